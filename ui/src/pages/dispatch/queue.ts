import type { Shown } from '../../lib/api';
import { isClosed } from '../../lib/county.svelte';

/** Whether a matter with an open alarm has nobody coming yet. */
export function isUnanswered(i: Shown): boolean {
  return !isClosed(i) && !!i.alarm?.open && !i.coming;
}

/** Unanswered alarms first, then by grade, then the older first; closed ones last. */
export function inOrder(a: Shown, b: Shown): number {
  return (
    Number(isClosed(a)) - Number(isClosed(b)) ||
    Number(isUnanswered(b)) - Number(isUnanswered(a)) ||
    a.grade - b.grade ||
    a.raised_at.localeCompare(b.raised_at) ||
    a.id.localeCompare(b.id)
  );
}

/**
 * The order of rows while the pointer is over them: those shown stay where they are, and new ones wait
 * behind a button, so that no row moves from under a finger. Gone rows leave.
 */
export function settle(shown: string[], wanted: string[], held: boolean): { rows: string[]; waiting: number } {
  if (!held) return { rows: wanted, waiting: 0 };
  const rows = shown.filter((id) => wanted.includes(id));
  return { rows, waiting: wanted.length - rows.length };
}
