import type { Category, Cell, Line, Place, Point, StationInfo, Text } from '../lib/api';
import { bearing, compassOf, distance, nearest, pointOf } from '../lib/geo';
import { chosen, isKey, say, sayName } from './words.svelte';

/** At or beyond this many metres a ring means everybody (alerts.CountyRing). */
const countyRing = 1e6;

/** Closer than this, a direction says less than "near". Metres. */
const besideMetres = 60;

export function distanceWords(metres: number): string {
  if (metres < 950) return say('geo.metres', { n: Math.round(metres / 10) * 10 });
  return say('geo.km', { n: Number((metres / 1000).toFixed(metres < 9950 ? 1 : 0)) });
}

export function bearingWords(degrees: number): string {
  return say(`geo.${compassOf(degrees)}`);
}

/** "距辛屯站 2.3 公里 东北": where to is, seen from a named point. */
export function fromWords(what: string, from: Point, to: Point): string {
  const metres = distance(from, to);
  if (metres < besideMetres) return say('geo.near', { what });
  return say('geo.from', { what, distance: distanceWords(metres), bearing: bearingWords(bearing(from, to)) });
}

/** Where a place is in words: its own, and its distance from the nearest station. */
export function placeWords(place: Place | undefined, gridName: (id: string) => string): string {
  if (!place) return say('geo.unknown');
  const own = [place.grid ? gridName(place.grid) : '', place.words ?? ''].filter(Boolean).join(' ');
  return own || (pointOf(place) ? '' : say('geo.unknown'));
}

/** The place as seen from the station nearest to it. */
export function stationWords(place: Place | undefined, stations: StationInfo[]): string {
  const at = pointOf(place);
  const near = at && nearest(at, stations);
  return at && near?.thing.place ? fromWords(near.thing.name, near.thing.place, at) : '';
}

export function ringWords(ring: number): string {
  return ring >= countyRing ? say('geo.everyone') : say('geo.within', { distance: distanceWords(ring) });
}

export function ageWords(seconds: number): string {
  if (seconds < 100) return say('age.s', { n: Math.floor(seconds) });
  if (seconds < 100 * 60) return say('age.m', { n: Math.floor(seconds / 60) });
  if (seconds < 48 * 3600) return say('age.h', { n: Math.floor(seconds / 3600) });
  return say('age.d', { n: Math.floor(seconds / 86400) });
}

export function categoryWords(c: Category | undefined, id: string): string {
  return c ? c.name[chosen.language] : id;
}

export function roleWords(roles: string[]): string {
  return roles.map((r) => sayName('role', r)).join(' · ');
}

/** A cell by the townships it is made of; the home cell has those that no other has. */
export function cellWords(c: Cell): string {
  if (c.townships.length) return c.townships.join(' · ');
  return c.home ? say('dispatch.cell.rest') : c.cell;
}

/** A code, step or result of the category's table in words; what the table does not have stands for itself. */
export function codedWords(list: readonly { id: string; name: Text }[] | undefined, id: string): string {
  return list?.find((c) => c.id === id)?.name[chosen.language] ?? id;
}

const text = (v: unknown): string => (typeof v === 'string' ? v : '');

/** What a line of the timeline says happened. */
export function lineWords(line: Line, personName: (id: string) => string, cellName: (id: string) => string): string {
  const body = line.body ?? {};
  switch (line.kind) {
    case 'emergency_called':
      return say('kind.emergency_called', { service: text(body['service']) });
    case 'registered':
      return body['void'] ? say('kind.void') : say('kind.registered');
    case 'wave':
      return say(body['continues'] ? 'kind.wave.continues' : 'kind.wave', {
        n: Number(body['wave'] ?? 0),
        ring: ringWords(Number(body['ring'] ?? 0)),
      });
    case 'clue':
      return say(body['seen'] ? 'kind.clue.seen' : 'kind.clue.unseen');
    case 'assigned':
      return say('kind.assigned', { person: personName(text(body['person'])) });
    case 'transferred':
      return say(line.by ? 'kind.transferred' : 'kind.transferred.directory', { cell: cellName(text(body['to'])) });
    case 'level_changed':
      return say('kind.level_changed', { level: sayName('level', text(body['level'])) });
    case 'feedback':
      return say(body['done'] ? 'kind.feedback.done' : 'kind.feedback');
    case 'supervised':
      return say(body['lifted'] ? 'kind.supervised.lifted' : 'kind.supervised');
    case 'verified':
      return say(body['passed'] ? 'kind.verified' : 'kind.verified.not');
    case 'followed_up':
      return say(body['reached'] ? 'kind.followed_up' : 'kind.followed_up.not');
    case 'rated':
      return say('kind.rated', { verdict: sayName('rating', text(body['satisfaction'])) });
    case 'accepted':
    case 'declined':
    case 'en_route':
    case 'on_scene':
    case 'released':
      return sayName('stepped', line.kind);
    case 'asked':
    case 'returned':
    case 'stepped':
    case 'wished':
    case 'appointed':
    case 'affected':
    case 'judged':
    case 'reopened':
    case 'archived':
    case 'merged':
    case 'unmerged':
    case 'raised':
    case 'graded':
    case 'receipts':
    case 'support_requested':
    case 'card_updated':
    case 'note':
    case 'cancel_requested':
    case 'resolved':
    case 'cancelled':
    case 'stood_down':
    case 'handed_over':
      return say(`kind.${line.kind}`);
    default:
      return say('kind.other', { kind: String(line.kind) });
  }
}

/** What a category lacks, said by a station as "what: which". */
export function missingWords(missing: string, c?: Category): string {
  const [what = '', which = ''] = missing.split(': ');
  if (what === 'step') return say('course.lacks.step', { what: codedWords(c?.steps, which) });
  if (what === 'evidence') return say('course.lacks.evidence', { what: sayName('evidence', which) });
  return missing;
}

/** Why something did not count, in the screen's language; what the catalogue has no words for, as the station says it. */
export function whyWords(code: string | undefined, said: string, missing: readonly string[] = [], c?: Category): string {
  const key = `why.${code ?? ''}`;
  const why = isKey(key) ? say(key) : said;
  return [why, ...missing.map((m) => missingWords(m, c))].join(' · ');
}

/** A party that gives its verdict: the reporter, or one named by a label. */
export function partyWords(party: string): string {
  return party === 'reporter' ? say('course.reporter') : party;
}

/** What the maker of a timeline line added in words. */
export function lineDetail(line: Line, gridName: (id: string) => string, c?: Category): string {
  const body = line.body ?? {};
  const parts = [text(body['words']), text(body['note']), text(body['number']), text(body['outside_number'])];
  if (line.kind === 'resolved') parts.unshift(codedWords(c?.codes, text(body['code'])));
  if (line.kind === 'feedback' && body['done']) parts.unshift(codedWords(c?.codes, text(body['done'])));
  if (line.kind === 'stepped') {
    const step = c?.steps?.find((s) => s.id === body['step']);
    parts.unshift(codedWords(c?.steps, text(body['step'])), codedWords(step?.results, text(body['result'])));
  }
  if (line.kind === 'affected' || line.kind === 'rated') parts.unshift(partyWords(text(body['party'])));
  if (line.kind === 'declined') parts.push(reasonWords(text(body['reason'])));
  else parts.push(text(body['reason']));
  if (line.kind === 'clue') {
    const heading = text(body['heading']);
    if (heading) parts.push(`${say('patrol.clue.heading')} ${headingWords(heading)}`);
    parts.push(placeWords(body['place'] as Place, gridName));
  }
  const card = body['card'] as { what?: string } | undefined;
  if (line.kind === 'card_updated') parts.push(text(card?.what));
  return parts.filter(Boolean).join(' · ');
}

export function headingWords(heading: string): string {
  return heading in { n: 1, ne: 1, e: 1, se: 1, s: 1, sw: 1, w: 1, nw: 1 }
    ? say(`geo.${heading as 'n'}`)
    : heading;
}

/** Reasons to decline are sent as codes, so that each screen says them in its own language. */
export const declineReasons = ['far', 'busy', 'unable', 'vehicle'] as const;

export function reasonWords(reason: string): string {
  const known = declineReasons.find((r) => r === reason);
  return known ? say(`patrol.decline.${known}`) : reason;
}
