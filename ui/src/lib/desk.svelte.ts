import type { Deed, Hello, Place, RaiseBody, ServerFrame, Shown } from './api';
import { Alarms, type Ringing } from './alarms.svelte';
import { Client, Problem } from './client';
import { County } from './county.svelte';
import { deciding } from './decisions';
import { Feed } from './feed.svelte';
import { deviceID, newID } from './ids';
import { Outbox, type Item } from './outbox.svelte';
import { Own } from './own.svelte';
import type { Session } from './session.svelte';
import { Sound } from './sound.svelte';

export type Page = 'kiosk' | 'patrol' | 'dispatch' | 'start';

/** A decision made here that lost, for the person to read: nothing is silently overwritten. */
export interface Notice {
  id: string;
  incident: string;
  reason: string;
  code: string;
  by?: string;
  at?: string;
  missing?: string[];
}

/** How often the outbox is looked through and the tables refreshed, beside what events cause. */
const stationsEvery = 30_000;
/** How often a dispatch desk asks how the mesh does. */
const meshEvery = 10_000;

/** Desk is one page's parts put together: who is signed in, the feed, what it brought, and what goes out. */
export class Desk {
  readonly county = new County();
  readonly sound = new Sound();
  readonly client: Client;
  readonly feed: Feed;
  readonly outbox: Outbox;
  readonly alarms: Alarms;
  readonly own: Own;
  notices = $state<Notice[]>([]);
  /** One person at one kind of page is one device: five roles in one browser are five. */
  readonly #device: string;
  /** Why the tables could not be loaded; empty when they are. */
  trouble = $state('');

  constructor(
    readonly page: Page,
    readonly session: Session,
  ) {
    this.feed = new Feed({
      stations: () => this.#stations(),
      hello: () => this.#hello(),
      take: (f) => this.#take(f),
      ended: () => void this.#renew(),
      // Whatever was wrong, a hello that asks for everything anew is always right.
      unwelcome: () => (this.county.cursors = {}),
    });
    this.client = new Client(
      () => this.feed.base,
      () => this.session.token,
    );
    this.outbox = new Outbox(() => this.session.person?.id ?? '', this.client);
    this.#device = deviceID(`${page}.${session.person?.id ?? ''}`);
    this.alarms = new Alarms(
      `hive.alarms.${this.#device}`,
      () => this.session.person?.id,
      (r) => this.#receipt(r, 'reached'),
      (incident, wave) => this.feed.send({ type: 'receipt', incident, wave, state: 'released' }),
    );
    this.own = new Own(`hive.own.${this.#device}`, (place) => this.feed.send({ type: 'position', place }));
  }

  /** Opens the link and sends what an earlier page left behind. */
  start(): void {
    this.feed.open();
    void this.outbox.restore();
    setInterval(() => void this.county.loadStations(this.client).catch(() => undefined), stationsEvery);
    if (this.page === 'dispatch') setInterval(() => void this.#loadMesh(), meshEvery);
  }

  leave(): void {
    this.feed.close();
    this.session.signOut();
    window.location.assign(window.location.pathname);
  }

  raise(body: RaiseBody): Promise<Item> {
    return this.outbox.put(newID(), '/v1/alerts', body);
  }

  do(incident: string, deed: Deed): Promise<Item> {
    return this.outbox.put(newID(), `/v1/incidents/${incident}/events`, deed);
  }

  /** Does a deed that may be a decision, saying which earlier one its maker saw. */
  decide(i: Shown, deed: Deed): Promise<Item> {
    return this.do(i.id, deciding(i, deed));
  }

  /** The person has looked at an alarm. */
  opened(r: Ringing): void {
    if (r.opened) return;
    this.alarms.open(r);
    this.#receipt(r, 'opened');
  }

  setDuty(duty: boolean): void {
    this.own.setDuty(duty);
    this.feed.send({ type: 'duty', duty });
  }

  dismiss(n: Notice): void {
    this.notices = this.notices.filter((x) => x.id !== n.id);
  }

  /** Where this person is, as a place for an event. */
  here(): Place | undefined {
    return this.own.at && { ...this.own.at };
  }

  #stations(): string[] {
    const own = window.location.origin;
    const others = this.county.stations.filter((s) => s.alive && s.url && s.url !== own && !s.self);
    return [own, ...others.map((s) => s.url)];
  }

  #hello(): Hello {
    return {
      type: 'hello',
      token: this.session.token,
      device: this.#device,
      after: { ...this.county.cursors },
      heard: this.alarms.heard(),
      ...(this.own.at && this.own.duty ? { position: this.own.at } : {}),
      duty: this.own.duty,
    };
  }

  #take(frame: ServerFrame): void {
    this.county.take(frame);
    this.alarms.take(frame);
    switch (frame.type) {
      case 'welcome':
        void this.#load();
        void this.outbox.flush();
        break;
      case 'kept':
        this.outbox.kept(frame.event, frame);
        break;
      case 'refused':
        this.#refused(frame);
        break;
    }
  }

  #refused(f: Extract<ServerFrame, { type: 'refused' }>): void {
    const lost = f.by || f.at ? { lost: { event: '', kind: 'note' as const, by: f.by ?? '', at: f.at ?? '' } } : {};
    this.outbox.refused(f.event, { detail: f.reason, code: f.code, ...(f.missing ? { missing: f.missing } : {}), ...lost });
    const notice: Notice = { id: f.event, incident: f.incident, reason: f.reason, code: f.code };
    if (f.by) notice.by = f.by;
    if (f.at) notice.at = f.at;
    if (f.missing) notice.missing = f.missing;
    this.notices = [...this.notices.filter((n) => n.id !== f.event), notice];
  }

  async #load(): Promise<void> {
    try {
      await this.county.load(this.client);
      if (this.page === 'dispatch') await this.#loadMesh();
      this.trouble = '';
    } catch (e) {
      this.trouble = e instanceof Error ? e.message : String(e);
      if (e instanceof Problem && e.status === 401) void this.#renew();
    }
  }

  /** Where the station cannot be asked, the bar about the link says so. */
  async #loadMesh(): Promise<void> {
    await this.county.loadMesh(this.client).catch(() => undefined);
  }

  /** The station forgot the session: sign in again as the same person. */
  async #renew(): Promise<void> {
    const person = this.session.person;
    if (!person) return;
    try {
      await this.session.signIn(this.client, this.page === 'kiosk' ? { kiosk: true } : { person: person.id });
      this.feed.nudge();
    } catch (e) {
      this.trouble = e instanceof Error ? e.message : String(e);
    }
  }

  #receipt(r: Ringing, state: 'reached' | 'opened'): void {
    const { incident, wave, support } = r.frame;
    this.feed.send({ type: 'receipt', incident, wave, ...(support ? { support } : {}), state });
  }
}
