import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ServerFrame } from './api';
import { longest, shortest, wait } from './backoff';
import { closed, connectTimeout, deadAfter, Feed, heartbeat } from './feed.svelte';

/** A socket that a test plays the station's side of. */
const pong: ServerFrame = { type: 'pong', server_time: '2026-01-01T00:00:00.000Z' };

class FakeSocket {
  static made: FakeSocket[] = [];
  readyState = 0;
  sent: { type: string }[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((m: { data: string }) => void) | null = null;
  onclose: ((e: { code: number }) => void) | null = null;

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    FakeSocket.made.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text) as { type: string });
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(frame: ServerFrame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  welcome(): void {
    this.open();
    const session = { id: 'li', name: '李静', roles: ['dispatcher'], home: 'xinzhuang' };
    const now = new Date().toISOString();
    this.say({ type: 'welcome', station: 'xinzhuang', session, kiosk: false, cursors: {}, server_time: now, spread_ms: 5000 });
  }
  end(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

let open: Feed[] = [];
const last = (): FakeSocket => FakeSocket.made[FakeSocket.made.length - 1] as FakeSocket;

function feed(stations = ['http://a'], random = 0): { feed: Feed; frames: ServerFrame[]; ended: () => void; unwelcome: () => void } {
  const frames: ServerFrame[] = [];
  const ended = vi.fn();
  const unwelcome = vi.fn();
  const made = new Feed({
    stations: () => stations,
    hello: () => ({ type: 'hello', token: 't', device: 'd', after: { yongqing: '1.2' }, heard: [], duty: true }),
    take: (f) => frames.push(f),
    ended,
    unwelcome,
    Socket: FakeSocket as unknown as new (url: string, protocol: string) => WebSocket,
    random: () => random,
  });
  open.push(made);
  return { feed: made, frames, ended, unwelcome };
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.made = [];
});
afterEach(() => {
  open.forEach((f) => f.close());
  open = [];
  vi.useRealTimers();
});

describe('back-off', () => {
  it('lies between half a second and fifteen, wider each time, and never ends', () => {
    expect(wait(1, 0)).toBe(shortest);
    expect(wait(1, 1)).toBe(1000);
    expect(wait(3, 1)).toBe(4000);
    expect(wait(50, 1)).toBe(longest);
    expect(wait(1e6, 0.5)).toBeLessThanOrEqual(longest);
  });
  it('is spread over what the station asked for, however wide that is up to the longest', () => {
    expect(wait(1, 0, 5000)).toBe(shortest);
    expect(wait(1, 1, 5000)).toBe(5000);
    expect(wait(5, 1, 5000)).toBe(longest);
    expect(wait(1, 1, 1e9)).toBe(longest);
  });
});

describe('feed', () => {
  it('says hello with what it knows, then is up on welcome', () => {
    const { feed: f, frames } = feed();
    f.open();
    expect(last().url).toBe('ws://a/v1/live');
    expect(last().protocol).toBe('hive.v1');
    last().open();
    expect(last().sent).toEqual([expect.objectContaining({ type: 'hello', after: { yongqing: '1.2' } })]);
    expect(f.state).toBe('connecting');
    last().welcome();
    expect(f.state).toBe('up');
    expect(frames.map((x) => x.type)).toEqual(['welcome']);
  });

  it('beats, and counts as dead after 25 s without a word', () => {
    const { feed: f } = feed();
    f.open();
    last().welcome();
    vi.advanceTimersByTime(heartbeat);
    expect(last().sent.filter((x) => x.type === 'ping')).toHaveLength(1);
    last().say(pong);
    vi.advanceTimersByTime(deadAfter - 1);
    expect(f.state).toBe('up');
    vi.advanceTimersByTime(1);
    expect(f.state).toBe('down');
    expect(f.downSince).toBeGreaterThan(0);
  });

  it('gives up a socket that says no welcome within 5 s', () => {
    const { feed: f } = feed();
    f.open();
    last().open();
    vi.advanceTimersByTime(connectTimeout);
    expect(f.state).toBe('down');
    vi.advanceTimersByTime(shortest);
    expect(FakeSocket.made).toHaveLength(2);
  });

  it('tries for ever', () => {
    const { feed: f } = feed();
    f.open();
    for (let n = 0; n < 200; n++) {
      last().end();
      vi.advanceTimersByTime(shortest);
      expect(FakeSocket.made).toHaveLength(n + 2);
    }
    last().welcome();
    expect(f.state).toBe('up');
  });

  it.each(['online', 'focus', 'pageshow'])('tries at once on %s', (name) => {
    const { feed: f } = feed();
    f.open();
    last().end();
    expect(f.state).toBe('down');
    window.dispatchEvent(new Event(name));
    expect(FakeSocket.made).toHaveLength(2);
  });

  it('comes back spread over the time that the station asked for, also when the network is back', () => {
    const { feed: f } = feed(['http://a'], 0.5);
    f.open();
    last().welcome();
    last().end();
    window.dispatchEvent(new Event('online'));
    vi.advanceTimersByTime(2499);
    expect(FakeSocket.made).toHaveLength(1);
    vi.advanceTimersByTime(251);
    expect(FakeSocket.made).toHaveLength(2);
  });

  it('tries at once when the page becomes visible', () => {
    const { feed: f } = feed();
    f.open();
    last().end();
    document.dispatchEvent(new Event('visibilitychange'));
    expect(FakeSocket.made).toHaveLength(2);
  });

  it('talks to the next station when its own is out of reach, and comes home after a broken link', () => {
    const { feed: f } = feed(['http://a', 'http://b', 'http://c']);
    f.open();
    last().end();
    vi.advanceTimersByTime(shortest);
    expect(f.base).toBe('http://b');
    last().welcome();
    last().end();
    vi.advanceTimersByTime(shortest);
    expect(f.base).toBe('http://a');
  });

  it('leaves a station that says it is going down', () => {
    const { feed: f } = feed(['http://a', 'http://b']);
    f.open();
    last().welcome();
    last().end(closed.goingDown);
    vi.advanceTimersByTime(shortest);
    expect(f.base).toBe('http://b');
  });

  it('has the session renewed when the station ends it', () => {
    const { feed: f, ended } = feed();
    f.open();
    last().welcome();
    last().end(closed.sessionEnded);
    expect(ended).toHaveBeenCalledOnce();
    expect(f.state).toBe('down');
  });

  it('has the hello made anew when the station did not understand it', () => {
    const { feed: f, unwelcome } = feed();
    f.open();
    last().open();
    last().end(closed.badHello);
    expect(unwelcome).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(shortest);
    expect(FakeSocket.made).toHaveLength(2);
  });

  it('hears nothing from a socket it has given up', () => {
    const { feed: f, frames } = feed();
    f.open();
    const old = last();
    old.welcome();
    old.end();
    vi.advanceTimersByTime(shortest);
    old.say(pong);
    expect(frames.map((x) => x.type)).toEqual(['welcome']);
    expect(f.state).toBe('connecting');
  });

  it('drops what is no frame and says so by going on', () => {
    const { feed: f, frames } = feed();
    f.open();
    last().welcome();
    last().onmessage?.({ data: 'not json' });
    last().onmessage?.({ data: '{"no":"type"}' });
    expect(frames).toHaveLength(1);
    expect(f.state).toBe('up');
  });
});
