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
};

/** The deed, with the last decision on the same field that this screen shows its maker. */
export function deciding(i: Shown, deed: Deed): Deed {
  const field = fields[deed.kind];
  const saw = field && i.latest?.[field];
  return saw ? { ...deed, saw } : deed;
}
