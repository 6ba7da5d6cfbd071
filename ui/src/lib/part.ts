import type { Shown, Step } from './api';

/** What one person is to a matter. */
export interface Part {
  /** The latest answer: accepted, declined, on the way and so on; absent before the first. */
  step?: Step;
  assigned: boolean;
}

/**
 * The person's own part. The public side is shown it as `mine`; who works matters sees everybody's answers and
 * assignments in one frame for all of them, and the own one is among these.
 */
export function partOf(i: Shown, person: string | undefined): Part {
  const step = i.mine?.step ?? i.answers?.find((a) => a.person === person)?.step;
  const assigned = i.mine?.assigned ?? i.assigned?.some((a) => a.person === person) ?? false;
  return step ? { step, assigned } : { assigned };
}

/** Whether the person has it in hand: sent there, or coming by their own word. */
export function inHand(p: Part): boolean {
  return p.step ? p.step !== 'declined' && p.step !== 'released' : p.assigned;
}
