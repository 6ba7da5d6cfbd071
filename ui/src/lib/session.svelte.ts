import type { Person, SessionAnswer } from './api';
import { readJSON, tab, writeJSON } from './storage';

interface Poster {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
}

/**
 * Session is who is signed in at this page. The token is kept per tab, so that five roles can be open side
 * by side: a cookie would be shared by all tabs and all ports.
 */
export class Session {
  person = $state<Person>();
  token = $state('');
  station = $state('');
  #key: string;

  constructor(page: string) {
    this.#key = `hive.session.${page}`;
    const kept = readJSON<SessionAnswer | null>(tab, this.#key, null);
    if (kept) this.#set(kept);
  }

  /** People who may sign in at a demo county. */
  async people(poster: Poster): Promise<Person[]> {
    return (await poster.get<{ people: Person[] }>('/v1/people')).people;
  }

  async signIn(poster: Poster, who: { person: string } | { kiosk: true }): Promise<void> {
    // The old token stays until there is a new one: a socket that says hello without any would be whoever
    // signed in last in this browser, by the cookie.
    const answer = await poster.post<SessionAnswer>('/v1/session', who);
    this.#set(answer);
    writeJSON(tab, this.#key, answer);
  }

  signOut(): void {
    tab.drop(this.#key);
    this.token = '';
    this.person = undefined;
  }

  #set(answer: SessionAnswer): void {
    this.token = answer.token;
    this.person = answer.person;
    this.station = answer.station;
  }
}

/** Roles that see and steer everything. */
export const dispatchRoles = ['dispatcher', 'township_centre', 'county_centre'];
/** Roles that a call for support sounds at, besides dispatch. */
export const policeRoles = ['officer', 'auxiliary_police'];

export function has(person: Person | undefined, roles: string[]): boolean {
  return person?.roles.some((r) => roles.includes(r)) ?? false;
}
