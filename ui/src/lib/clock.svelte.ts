// The one ticking clock of a page, corrected by the station's time where that is known.
class Clock {
  /** Now, in milliseconds since 1970, as the station tells it; changes once a second. */
  now = $state(Date.now());
  #ahead = 0;

  constructor() {
    setInterval(() => this.#tick(), 1000);
  }

  /** The station says what time it is. */
  set(serverTime: string): void {
    const told = Date.parse(serverTime);
    if (Number.isNaN(told)) return;
    this.#ahead = told - Date.now();
    this.#tick();
  }

  #tick(): void {
    this.now = Date.now() + this.#ahead;
  }
}

export const clock = new Clock();

const two = (n: number): string => String(n).padStart(2, '0');

/** A time as 12:08:31 in the screen's own zone; with the date when it is not today's. */
export function timeOf(at: string | number | undefined, now: number): string {
  if (at === undefined) return '';
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return '';
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  if (d.toDateString() === new Date(now).toDateString()) return time;
  return `${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}

/** Seconds from at to now, never negative. */
export function ageOf(at: string | number | undefined, now: number): number {
  if (at === undefined) return 0;
  const t = new Date(at).getTime();
  return Number.isNaN(t) ? 0 : Math.max(0, Math.round((now - t) / 1000));
}
