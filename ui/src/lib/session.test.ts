import { beforeEach, describe, expect, it } from 'vitest';
import type { SessionAnswer } from './api';
import { Session } from './session.svelte';

const answer = (id: string): SessionAnswer =>
  ({
    token: `token-${id}`,
    person: { id, name: id, roles: ['officer'], home: 'hancun-post' },
    station: 'hancun-post',
    kiosk: false,
    expires: '2026-01-01T00:00:00.000Z',
  }) as SessionAnswer;

const poster = (post: () => Promise<unknown>) => ({
  get: <T>() => Promise.reject<T>(new Error('nothing is read')),
  post: <T>() => post() as Promise<T>,
});

beforeEach(() => window.sessionStorage.clear());

describe('session', () => {
  // A socket that says hello without a token is whoever signed in last in this browser, by the cookie.
  it('has its own token at every moment of signing in again', async () => {
    const session = new Session('patrol');
    await session.signIn(poster(async () => answer('officer')), { person: 'officer' });
    let meanwhile = '';
    await session.signIn(
      poster(async () => {
        meanwhile = session.token;
        return answer('officer');
      }),
      { person: 'officer' },
    );
    expect(meanwhile).toBe('token-officer');
  });

  it('keeps its token when signing in again finds no station', async () => {
    const session = new Session('patrol');
    await session.signIn(poster(async () => answer('officer')), { person: 'officer' });
    await expect(session.signIn(poster(() => Promise.reject(new Error('away'))), { person: 'officer' })).rejects.toThrow('away');
    expect(session.token).toBe('token-officer');
    expect(new Session('patrol').token).toBe('token-officer'); // and after a reload
    expect(new Session('dispatch').token).toBe(''); // another page is another role
  });
});
