import { flushSync } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { longestMute, Sound } from './sound.svelte';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('sound', () => {
  it('repeats a first-grade tone every 5 s and one for an assigned person every 10 s, until answered', () => {
    const s = new Sound();
    s.ring('a', 'first');
    s.ring('b', 'assigned');
    expect(s.played).toBe(2);
    vi.advanceTimersByTime(10_000);
    expect(s.played).toBe(5);
    s.keepOnly(new Set(['b']));
    vi.advanceTimersByTime(10_000);
    expect(s.played).toBe(6);
    s.keepOnly(new Set());
    vi.advanceTimersByTime(60_000);
    expect(s.played).toBe(6);
  });

  it('sounds once for any other new one, however often the page looks again', () => {
    const s = new Sound();
    s.ring('a', 'other');
    s.ring('a', 'other');
    vi.advanceTimersByTime(60_000);
    expect(s.played).toBe(1);
  });

  // An effect that played the link-lost tone once depended on what playing changes, and fed itself.
  it('may be played in an effect without feeding it', async () => {
    vi.stubGlobal('AudioContext', class {
      state = 'suspended';
      resume = (): Promise<void> => Promise.resolve();
    });
    const s = new Sound();
    await s.unlock();
    expect(s.locked).toBe(true);
    let lost = $state(false);
    const stop = $effect.root(() => {
      $effect(() => {
        if (lost) s.play('lost');
      });
    });
    flushSync();
    lost = true;
    flushSync();
    s.mute(1000, 'unlocking or muting is no reason to play it again');
    s.unmute();
    s.locked = !s.locked;
    flushSync();
    expect(s.played).toBe(1);
    stop();
  });

  it('is shelved for ten minutes at most', () => {
    const s = new Sound();
    s.mute(60 * 60_000, 'meeting');
    expect(s.mutedUntil - Date.now()).toBe(longestMute);
    s.unmute();
    expect(s.mutedUntil).toBe(0);
  });
});
