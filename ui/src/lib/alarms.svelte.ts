import type { AlarmFrame, Heard, ServerFrame, Shown } from './api';
import { partOf } from './part';
import { device, readJSON, writeJSON } from './storage';

/** One alarm on this device, from its sounding to its answer or end. */
export interface Ringing {
  frame: AlarmFrame;
  at: number;
  opened: boolean;
  /** The person put it aside to look at the map; it no longer fills the screen and no longer sounds. */
  aside: boolean;
}

/** What the person is told once an alarm has ended. */
export interface Ended {
  incident: string;
  kind: string;
  provisional: boolean;
  what: string;
}

interface Memory {
  heard: Record<string, number>;
  support: Record<string, string>;
  ringing: Ringing[];
}

/** A device forgets heard waves past this many incidents, the oldest first. */
const remembered = 500;
/** A station takes no hello that lists more. */
const mostHeard = 1000;

const nameOf = (f: AlarmFrame): string => (f.support ? `support/${f.support}` : f.incident);

/**
 * Alarms remembers, over reloads and station changes, what this device has sounded for, so that it sounds
 * once for one wave of one incident, and holds what still waits for an answer.
 */
export class Alarms {
  ringing = $state<Ringing[]>([]);
  ended = $state<Ended[]>([]);
  #memory: Memory;

  constructor(
    private readonly key: string,
    private readonly person: () => string | undefined,
    private readonly onNew: (r: Ringing) => void,
    private readonly onEnd: (incident: string, wave: number) => void,
  ) {
    this.#memory = readJSON<Memory>(device, key, { heard: {}, support: {}, ringing: [] });
    this.ringing = this.#memory.ringing;
  }

  /** What hello tells the station. */
  heard(): Heard[] {
    const waves = Object.entries(this.#memory.heard).map(([incident, wave]) => ({ incident, wave }));
    const support = Object.entries(this.#memory.support).map(([support, incident]) => ({
      incident,
      wave: 0,
      support,
    }));
    return [...waves, ...support].slice(-mostHeard);
  }

  take(frame: ServerFrame): void {
    if (frame.type === 'alarm') this.#sound(frame);
    if (frame.type === 'stood_down') this.#end(frame.incident, frame.kind ?? 'stood_down', frame.provisional ?? false);
    if (frame.type === 'incident') this.#see(frame.incident);
  }

  open(r: Ringing): void {
    r.opened = true;
    this.#keep();
  }

  putAside(r: Ringing): void {
    r.aside = true;
    this.#keep();
  }

  /** The person has answered: nothing of this incident rings here any more. */
  answered(incident: string, support?: string): void {
    this.ringing = this.ringing.filter((r) =>
      support ? r.frame.support !== support : r.frame.incident !== incident || r.frame.support,
    );
    this.#keep();
  }

  readEnded(e: Ended): void {
    this.ended = this.ended.filter((x) => x !== e);
  }

  #sound(frame: AlarmFrame): void {
    if (this.#isHeard(frame)) return;
    if (frame.support) this.#memory.support[frame.support] = frame.incident;
    else this.#memory.heard[frame.incident] = frame.wave;
    const ring: Ringing = { frame, at: Date.now(), opened: false, aside: false };
    const others = this.ringing.filter((r) => nameOf(r.frame) !== nameOf(frame));
    this.ringing = frame.support ? [ring, ...others] : [...others, ring].sort(bySeverity);
    this.#keep();
    this.onNew(ring);
  }

  /** The station leaves out what hello said was heard; this also holds when a frame comes twice. */
  #isHeard(frame: AlarmFrame): boolean {
    if (frame.support) return frame.support in this.#memory.support;
    const wave = this.#memory.heard[frame.incident] ?? 0;
    return frame.continues ? wave >= frame.wave : wave > 0;
  }

  #end(incident: string, kind: string, provisional: boolean): void {
    const known = this.ringing.find((r) => r.frame.incident === incident);
    const wave = this.#memory.heard[incident];
    this.ringing = this.ringing.filter((r) => r.frame.incident !== incident);
    if (known || wave !== undefined) {
      this.onEnd(incident, wave ?? 0);
      const what = known?.frame.card.what ?? '';
      this.ended = [...this.ended.filter((e) => e.incident !== incident), { incident, kind, provisional, what }];
    }
    this.#forget(incident);
    this.#keep();
  }

  #see(shown: Shown): void {
    if (shown.alarm && !shown.alarm.open && this.ringing.some((r) => r.frame.incident === shown.id)) {
      this.#end(shown.id, shown.alarm.ended_by_kind ?? 'stood_down', shown.provisional ?? false);
      return;
    }
    const { step } = partOf(shown, this.person());
    if (step && step !== 'released') this.answered(shown.id);
  }

  /** Told of the end, the device need not name this incident in hello again. */
  #forget(incident: string): void {
    this.#memory.heard = without(this.#memory.heard, (id) => id === incident);
    this.#memory.support = without(this.#memory.support, (_, of) => of === incident);
  }

  #keep(): void {
    const heard = Object.entries(this.#memory.heard);
    if (heard.length > remembered) this.#memory.heard = Object.fromEntries(heard.slice(-remembered));
    this.#memory.ringing = $state.snapshot(this.ringing);
    writeJSON(device, this.key, this.#memory);
  }
}

/** Calls for support first, then the worse grade, then the older. */
function bySeverity(a: Ringing, b: Ringing): number {
  const support = Number(Boolean(b.frame.support)) - Number(Boolean(a.frame.support));
  return support || a.frame.grade - b.frame.grade || a.at - b.at;
}

function without<T>(all: Record<string, T>, gone: (key: string, value: T) => boolean): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter(([key, value]) => !gone(key, value)));
}
