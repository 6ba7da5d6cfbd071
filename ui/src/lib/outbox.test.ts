import 'fake-indexeddb/auto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Taken } from './api';
import { Problem, Unreachable } from './client';
import { Outbox } from './outbox.svelte';

const taken = (over: Partial<Taken> = {}): Taken => ({
  incident: 'i1',
  event: 'e1',
  kept: { here: true, near: 0, recorded: false },
  sent: 2,
  again: false,
  ...over,
});

let name = '';
let n = 0;
beforeEach(() => {
  name = `outbox-${n++}`;
});

function outbox(post: (path: string, body: unknown) => Promise<unknown>, person = 'li'): Outbox {
  return new Outbox(
    () => person,
    { post: post as <T>(path: string, body: unknown) => Promise<T> },
    name,
  );
}

const raise = { category: 'fire', place: { grid: 'xz' } };

describe('outbox', () => {
  it('writes before it says saved, sends the client id, and knows what a station took', async () => {
    const post = vi.fn(async () => taken());
    const box = outbox(post);
    const item = await box.put('c1', '/v1/alerts', raise);
    await vi.waitFor(() => expect(item.state).toBe('taken'));
    expect(post).toHaveBeenCalledWith('/v1/alerts', { ...raise, id: 'c1' });
    expect(item.durable).toBe(true);
    expect(item.incident).toBe('i1');
    expect(item.kept).toEqual({ here: true, near: 0, recorded: false });
  });

  it('keeps what no station took over a reload, and sends the same id again', async () => {
    const cut = outbox(async () => Promise.reject(new Unreachable('cut off')));
    const item = await cut.put('c1', '/v1/alerts', raise);
    await vi.waitFor(() => expect(item.tries).toBe(1));
    expect(item.state).toBe('saved');

    const post = vi.fn(async () => taken());
    const after = outbox(post);
    await after.restore();
    await vi.waitFor(() => expect(after.items[0]?.state).toBe('taken'));
    expect(post).toHaveBeenCalledWith('/v1/alerts', { ...raise, id: 'c1' });

    const later = outbox(post);
    await vi.waitFor(async () => {
      later.items = [];
      await later.restore();
      expect(later.items).toHaveLength(0);
    });
  });

  it('leaves another person\'s items alone', async () => {
    const cut = outbox(async () => Promise.reject(new Unreachable('cut off')), 'li');
    await cut.put('c1', '/v1/alerts', raise);
    const post = vi.fn(async () => taken());
    const other = outbox(post, 'wang');
    await other.restore();
    expect(other.items).toHaveLength(0);
    expect(post).not.toHaveBeenCalled();
  });

  it('sends in order and holds back what comes after an item that found no station', async () => {
    const sent: string[] = [];
    let up = false;
    const box = outbox(async (path) => {
      if (!up) throw new Unreachable('cut off');
      sent.push(path);
      return taken();
    });
    await box.put('c1', '/first', raise);
    await box.put('c2', '/second', raise);
    up = true;
    await vi.waitFor(async () => {
      await box.flush();
      expect(sent).toEqual(['/first', '/second']);
    });
  });

  it('stops at a refusal, with whose decision came first, and goes on with the rest', async () => {
    const lost = { event: 'e0', kind: 'assigned' as const, by: 'chen', at: '2026-01-01T00:00:00.000Z' };
    const box = outbox(async (path) => {
      if (path === '/no') throw new Problem(409, { title: 'stale', code: 'stale', lost });
      return taken();
    });
    const no = await box.put('c1', '/no', { kind: 'assigned', person: 'li' });
    const yes = await box.put('c2', '/yes', { kind: 'note', words: 'x' });
    await vi.waitFor(() => expect(yes.state).toBe('taken'));
    expect(no.state).toBe('refused');
    expect(no.problem?.lost?.by).toBe('chen');
  });

  it.each([401, 429, 503])('tries again after status %d', async (status) => {
    const box = outbox(async () => Promise.reject(new Problem(status, {})));
    const item = await box.put('c1', '/v1/alerts', raise);
    await vi.waitFor(async () => {
      await box.flush();
      expect(item.tries).toBeGreaterThan(1);
    });
    expect(item.state).toBe('saved');
  });

  it('believes a frame that outruns the answer to its request', async () => {
    const box = outbox(async () => {
      box.kept('e1', { here: true, near: 4, recorded: true, index: 7 });
      return taken({ kept: { here: true, near: 0, recorded: false } });
    });
    const item = await box.put('c1', '/v1/alerts', raise);
    await vi.waitFor(() => expect(item.state).toBe('taken'));
    expect(item.kept).toEqual({ here: true, near: 4, recorded: true, index: 7 });
  });

  it('believes that an event lost, though the frame outruns the answer to its request', async () => {
    const box = outbox(async () => {
      box.refused('e1', { detail: 'another came first' });
      return taken();
    });
    const item = await box.put('c1', '/v1/incidents/i1/events', raise);
    await vi.waitFor(() => expect(item.state).toBe('refused'));
    expect(item.problem?.detail).toBe('another came first');
  });

  it('learns by frames how an event is kept, and that it lost', async () => {
    const box = outbox(async () => taken({ kept: { here: false, near: 0, recorded: false } }));
    const item = await box.put('c1', '/v1/alerts', raise);
    await vi.waitFor(() => expect(item.state).toBe('taken'));
    box.kept('e1', { here: true, near: 3, recorded: true, index: 7 });
    expect(item.kept).toEqual({ here: true, near: 3, recorded: true, index: 7 });
    box.refused('e1', { detail: 'ended' });
    expect(item.state).toBe('refused');
  });
});
