// Waiting times between attempts to connect: 0.5 to 15 s with full jitter, and no last attempt.
export const shortest = 500;
export const longest = 15_000;

/**
 * How long to wait before attempt n (from 1), in milliseconds; random is in [0, 1). spread is over how long the
 * station asked its clients to come back: after a power cut all of them come at once.
 */
export function wait(n: number, random: number, spread = 0): number {
  const cap = Math.min(longest, Math.max(spread, shortest * 2 ** Math.min(n, 10)));
  return shortest + random * (cap - shortest);
}
