import { isClosed } from './county.svelte';
import type { Desk } from './desk.svelte';
import { partOf } from './part';
import type { Tone } from './sound.svelte';

/**
 * Keeps the tones of a page in step with what waits for an answer there: called inside an effect, it reads
 * the alarms and the matters assigned to this person, starts what is new and ends what is answered.
 */
export function ring(desk: Desk): void {
  const due = new Map<string, Tone>();
  for (const r of desk.alarms.ringing) {
    if (r.aside) continue;
    const name = `${r.frame.support ?? r.frame.incident}/${r.frame.wave}`;
    due.set(name, r.frame.support || r.frame.grade === 1 ? 'first' : 'other');
  }
  const me = desk.session.person?.id;
  for (const i of desk.county.incidents.values()) {
    const part = partOf(i, me);
    if (part.assigned && !part.step && !isClosed(i)) due.set(`assigned/${i.id}`, 'assigned');
  }
  desk.sound.keepOnly(new Set(due.keys()));
  for (const [name, tone] of due) desk.sound.ring(name, tone);
}
