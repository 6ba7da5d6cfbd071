import type { Deed, Field, Kind, Shown } from './api';

/** What each decision decides; the others are facts. Mirrors alerts/kinds.go. */
const fields: Partial<Record<Kind, Field>> = {
  registered: 'registration',
  graded: 'grade',
  assigned: 'assignment',
  card_updated: 'card',
  resolved: 'outcome',
  cancelled: 'outcome',
  stood_down: 'alarm',
  transferred: 'home',
  level_changed: 'level',
  appointed: 'appointment',
  supervised: 'supervision',
  verified: 'verification',
  followed_up: 'follow_up',
  judged: 'judgement',
  reopened: 'outcome',
  archived: 'archive',
  merged: 'duplicate',
  unmerged: 'duplicate',
};

/**
 * The deed, with the last decision on the same field that this screen shows its maker; empty where it shows
 * none. Left out, it would count as made upon whatever the station knows by then, of which nobody has seen anything.
 */
export function deciding(i: Shown, deed: Deed): Deed {
  const field = fields[deed.kind];
  return field ? { ...deed, saw: i.latest?.[field] ?? '' } : deed;
}
