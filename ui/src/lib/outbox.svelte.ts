import { openDB, type IDBPDatabase } from 'idb';
import type { Deed, Kept, ProblemBody, RaiseBody, Taken } from './api';
import { wait } from './backoff';
import { Problem } from './client';

export type ItemState =
  | 'writing' // not yet on this device's disk
  | 'saved' // on this device's disk
  | 'taken' // a station took it; kept says how it is kept
  | 'refused'; // a station said no; nothing more will happen by itself

/** One raise or deed on its way, with what is known of it. */
export interface Item {
  id: string;
  person: string;
  path: string;
  body: RaiseBody | Deed;
  made: number;
  state: ItemState;
  /** A clerk's disk may refuse too; then the item lives only as long as the page. */
  durable: boolean;
  tries: number;
  incident?: string;
  event?: string;
  kept?: Kept;
  sent?: number;
  problem?: ProblemBody;
}

interface Poster {
  post<T>(path: string, body: unknown): Promise<T>;
}

/** After so many ms without an answer an item says "not yet delivered". */
export const lateAfter = 5_000;
/** How many finished items a page keeps in sight. */
const remembered = 50;

/**
 * Outbox takes raises and deeds, writes them to this device's disk before it says "saved", and hands them
 * to a station in order, again and again, until one has taken or refused them. The client's id makes the
 * second sending of one item the same alert.
 */
export class Outbox {
  items = $state<Item[]>([]);
  #db: Promise<IDBPDatabase | undefined>;
  #running = false;
  /** How events are kept, and why they lost, by frames that came while a request was under way. */
  #early = new Map<string, Kept>();
  #lost = new Map<string, ProblemBody>();
  #again = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly person: () => string,
    private readonly poster: Poster,
    name = 'hive-outbox',
  ) {
    this.#db = openDB(name, 1, {
      upgrade: (db) => {
        db.createObjectStore('items', { keyPath: 'id' });
      },
    }).catch(() => undefined);
  }

  /** Brings back what this person had not sent when the page went away. */
  async restore(): Promise<void> {
    const db = await this.#db;
    const kept = ((await db?.getAll('items')) ?? []) as Item[];
    const mine = kept.filter((i) => i.person === this.person() && !this.items.some((j) => j.id === i.id));
    mine.sort((a, b) => a.made - b.made);
    this.items = [...mine.map((i) => ({ ...i, state: 'saved' as const })), ...this.items];
    void this.flush();
  }

  /** Puts one item in and starts sending; resolves when it is on disk (or the disk has refused). */
  async put(id: string, path: string, body: RaiseBody | Deed): Promise<Item> {
    this.items.push({
      id,
      person: this.person(),
      path,
      body: { ...body, id },
      made: Date.now(),
      state: 'writing',
      durable: true,
      tries: 0,
    });
    const item = this.items[this.items.length - 1] as Item;
    this.#trim();
    try {
      const db = await this.#db;
      if (!db) throw new Error('no database');
      await db.put('items', $state.snapshot(item));
    } catch {
      item.durable = false;
    }
    if (item.state === 'writing') item.state = 'saved';
    void this.flush();
    return item;
  }

  /** Sends all that waits, oldest first; stops at the first that finds no station. */
  async flush(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    clearTimeout(this.#timer);
    try {
      do {
        this.#again = false;
        for (const item of this.items.filter((i) => i.state === 'saved')) {
          if (!(await this.#send(item))) {
            this.#later(item);
            return;
          }
        }
      } while (this.#again);
    } finally {
      this.#running = false;
      this.#early.clear();
      this.#lost.clear();
    }
  }

  /** A frame said how an event is kept now. */
  kept(event: string, kept: Kept): void {
    // The socket may outrun the answer to the request that made the event.
    if (this.#running) this.#early.set(event, kept);
    for (const i of this.items) {
      if (i.event !== event) continue;
      i.kept = kept;
      if (kept.here || kept.near > 0 || kept.recorded) void this.#erase(i.id);
    }
  }

  /** A frame said that an event made here lost. */
  refused(event: string, problem: ProblemBody): void {
    if (this.#running) this.#lost.set(event, problem);
    for (const i of this.items) {
      if (i.event !== event) continue;
      i.state = 'refused';
      i.problem = problem;
    }
  }

  forget(id: string): void {
    this.items = this.items.filter((i) => i.id !== id);
    void this.#erase(id);
  }

  async #send(item: Item): Promise<boolean> {
    item.tries++;
    try {
      const taken = await this.poster.post<Taken>(item.path, item.body);
      item.incident = taken.incident;
      item.event = taken.event;
      item.kept = this.#early.get(taken.event) ?? taken.kept;
      item.sent = taken.sent;
      const lost = this.#lost.get(taken.event);
      item.state = lost ? 'refused' : 'taken';
      if (lost) item.problem = lost;
      // A station that could keep it nowhere is no reason to forget it here: it stays on this disk.
      if (item.kept.here || item.kept.near > 0 || item.kept.recorded) await this.#erase(item.id);
      return true;
    } catch (e) {
      if (!(e instanceof Problem) || !final(e.status)) return false;
      item.state = 'refused';
      item.problem = e.body;
      await this.#erase(item.id);
      return true;
    }
  }

  #later(item: Item): void {
    this.#timer = setTimeout(() => void this.flush(), wait(item.tries, Math.random()));
  }

  async #erase(id: string): Promise<void> {
    const db = await this.#db;
    await db?.delete('items', id).catch(() => undefined);
  }

  #trim(): void {
    const done = this.items.filter((i) => i.state === 'taken');
    for (const i of done.slice(0, Math.max(0, done.length - remembered))) this.forget(i.id);
  }
}

/** Whether an HTTP status means that sending the same again cannot help. */
function final(status: number): boolean {
  return status >= 400 && status < 500 && status !== 401 && status !== 408 && status !== 425 && status !== 429;
}
