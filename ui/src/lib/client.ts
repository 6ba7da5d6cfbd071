import type { ProblemBody } from './api';

/** How long a request may take before the station counts as out of reach. */
const patience = 8000;

/** The station answered, and the answer is no: why, in words, and to whom it lost. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly body: ProblemBody,
  ) {
    super(body.detail ?? body.title ?? `HTTP ${status}`);
  }
}

/** No answer: cut off, timed out, or broken on the way. */
export class Unreachable extends Error {}

/** Client speaks to whichever station the feed has chosen, as whoever is signed in. */
export class Client {
  constructor(
    private readonly base: () => string,
    private readonly token: () => string,
  ) {}

  get<T>(path: string): Promise<T> {
    return this.#ask<T>('GET', path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#ask<T>('POST', path, body);
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), patience);
    const headers: Record<string, string> = { Accept: 'application/json' };
    if (this.token()) headers['Authorization'] = `Bearer ${this.token()}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    try {
      const answer = await fetch(this.base() + path, {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal: stop.signal,
        credentials: 'omit',
      });
      return await read<T>(answer);
    } catch (e) {
      if (e instanceof Problem) throw e;
      throw new Unreachable(e instanceof Error ? e.message : String(e));
    } finally {
      clearTimeout(timer);
    }
  }
}

async function read<T>(answer: Response): Promise<T> {
  const text = await answer.text();
  if (!answer.ok) throw new Problem(answer.status, problemOf(text));
  return (text ? JSON.parse(text) : {}) as T;
}

function problemOf(text: string): ProblemBody {
  try {
    return JSON.parse(text) as ProblemBody;
  } catch {
    return {};
  }
}
