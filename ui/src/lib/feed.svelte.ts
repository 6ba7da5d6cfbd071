import type { ClientFrame, Hello, ServerFrame } from './api';
import { shortest, wait } from './backoff';

/** The station's heartbeat, and ours, in milliseconds. */
export const heartbeat = 10_000;
/** Silence after which the link counts as dead. */
export const deadAfter = 25_000;
/** How long a socket may take to open and say welcome. */
export const connectTimeout = 5_000;

/** The close codes the station names. */
export const closed = {
  slow: 4000,
  sessionEnded: 4001,
  badHello: 4002,
  tooMany: 4003,
  goingDown: 4004,
} as const;

export type LinkState = 'idle' | 'connecting' | 'up' | 'down';

export interface FeedParts {
  /** Base URLs of stations to talk to, the page's own first. */
  stations(): string[];
  hello(): Hello;
  take(frame: ServerFrame): void;
  /** The station no longer knows this session. */
  ended(): void;
  /** The station did not understand the hello. */
  unwelcome(): void;
  Socket?: new (url: string, protocol: string) => WebSocket;
  random?: () => number;
}

/**
 * Feed owns the page's websocket: it opens it, keeps it alive, notices its silence, and opens it again,
 * at another station when the page's own is out of reach. There is no last attempt.
 */
export class Feed {
  state = $state<LinkState>('idle');
  /** When the station last said anything, on this page's clock; 0: never. */
  heardAt = $state(0);
  /** Since when the link is down, on this page's clock; 0 while it is up. */
  downSince = $state(0);
  /** The base URL of the station it talks to. */
  base = $state('');

  #socket: WebSocket | undefined;
  #attempt = 0;
  #turn = 0;
  #spread = 0; // ms, over which the station asked its clients to come back
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #beat: ReturnType<typeof setInterval> | undefined;
  #stop: (() => void) | undefined;

  constructor(private readonly parts: FeedParts) {
    this.base = parts.stations()[0] ?? '';
  }

  /** Opens the link and keeps it until close. */
  open(): void {
    if (this.#stop) return;
    this.#stop = this.#listen();
    this.downSince = Date.now();
    this.#connect();
  }

  close(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#drop();
    clearTimeout(this.#retry);
    this.state = 'idle';
  }

  /** Sends a frame; false when the link is down: what matters is in the outbox, the rest is soft. */
  send(frame: ClientFrame): boolean {
    if (this.state !== 'up' || !this.#socket) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Tries again now, for whatever reason there is hope. */
  nudge(): void {
    if (!this.#stop || this.state === 'up' || this.state === 'connecting') return;
    this.#attempt = 0;
    this.#connect();
  }

  #listen(): () => void {
    const hope = (): void => this.nudge();
    // The network is back for everybody in this moment: come as the station asked, not all at once.
    let back: ReturnType<typeof setTimeout> | undefined;
    const online = (): void => {
      clearTimeout(back);
      const ms = (this.parts.random ?? Math.random)() * this.#spread;
      if (ms < 1) hope();
      else back = setTimeout(hope, ms);
    };
    const visible = (): void => {
      if (document.visibilityState === 'visible') this.nudge();
    };
    window.addEventListener('online', online);
    window.addEventListener('pageshow', hope);
    window.addEventListener('focus', hope);
    document.addEventListener('visibilitychange', visible);
    return () => {
      clearTimeout(back);
      window.removeEventListener('online', online);
      window.removeEventListener('pageshow', hope);
      window.removeEventListener('focus', hope);
      document.removeEventListener('visibilitychange', visible);
    };
  }

  #connect(): void {
    clearTimeout(this.#retry);
    this.#drop();
    const stations = this.parts.stations();
    this.base = stations[this.#turn % Math.max(1, stations.length)] ?? '';
    this.state = 'connecting';
    const url = this.base.replace(/^http/, 'ws') + '/v1/live';
    const Socket = this.parts.Socket ?? WebSocket;
    const socket = new Socket(url, 'hive.v1');
    this.#socket = socket;
    this.#await(connectTimeout);
    socket.onopen = () => socket.send(JSON.stringify(this.parts.hello()));
    socket.onmessage = (m: MessageEvent) => this.#hear(socket, m.data);
    socket.onclose = (e: CloseEvent) => this.#lost(socket, e.code);
  }

  /** Gives the station so long to say something. */
  #await(ms: number): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#lost(this.#socket, 0), ms);
  }

  #hear(socket: WebSocket, data: unknown): void {
    if (socket !== this.#socket) return;
    const frame = parse(data);
    if (!frame) return;
    if (frame.type === 'welcome') this.#up(frame.spread_ms);
    if (this.state === 'up') this.#await(deadAfter);
    this.heardAt = Date.now();
    this.parts.take(frame);
  }

  #up(spread: number): void {
    this.state = 'up';
    this.#spread = spread;
    this.downSince = 0;
    this.#attempt = 0;
    clearInterval(this.#beat);
    this.#beat = setInterval(() => this.send({ type: 'ping' }), heartbeat);
  }

  #lost(socket: WebSocket | undefined, code: number): void {
    if (socket !== this.#socket || !this.#stop) return;
    const wasUp = this.state === 'up';
    this.#drop();
    this.state = 'down';
    if (!this.downSince) this.downSince = Date.now();
    if (code === closed.sessionEnded) this.parts.ended();
    if (code === closed.badHello) this.parts.unwelcome();
    // A link that stood is tried again from the page's own station on; one that never did, at the next.
    this.#turn = wasUp && code !== closed.goingDown ? 0 : this.#turn + 1;
    this.#attempt++;
    const random = this.parts.random ?? Math.random;
    const ms = code === closed.slow ? shortest : wait(this.#attempt, random(), this.#spread);
    this.#retry = setTimeout(() => this.#connect(), ms);
  }

  #drop(): void {
    clearTimeout(this.#watch);
    clearInterval(this.#beat);
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket && socket.readyState <= 1) socket.close();
  }
}

function parse(data: unknown): ServerFrame | undefined {
  if (typeof data !== 'string') return undefined;
  try {
    const frame = JSON.parse(data) as { type?: unknown };
    return typeof frame.type === 'string' ? (frame as ServerFrame) : undefined;
  } catch {
    return undefined;
  }
}
