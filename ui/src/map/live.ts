import type L from 'leaflet';
import type { Point, Position, Shown } from '../lib/api';
import type { Datum } from '../lib/datum';
import { pointOf } from '../lib/geo';
import { at, label, pixels } from './ground';
import type { Look } from './look';

/** What moves on the map. */
export interface Live {
  incidents: Shown[];
  selected?: string | undefined;
  people: { position: Position; name: string }[];
  me?: Point | undefined;
  meWords: string;
  now: number;
  datum: Datum;
}

/** After so many ms a person is drawn grey, after so many more dashed: nothing is shown fresher than it is. */
const greyAfter = 30_000;
const dashedAfter = 5 * 60_000;
/** At or beyond this many metres a ring is everybody and is not drawn. */
const widestRing = 100_000;
/** How near a tap must be to a mark, in pixels: half a comfortable target. */
const reach = 24;

const numerals = { 1: '一', 2: '二', 3: '三', 4: '四' } as const;

export function drawLive(c: CanvasRenderingContext2D, map: L.Map, l: Live, look: Look): void {
  for (const i of l.incidents) if (i.id === l.selected) rings(c, map, i, l.datum, look);
  for (const p of l.people) person(c, map, p.position, p.name, l, look);
  for (const i of l.incidents) incident(c, map, i, l, look);
  if (l.me) me(c, map, l.me, l, look);
}

/** The incident whose mark is under the pointer. */
export function hit(map: L.Map, l: Live, point: L.Point): string | undefined {
  let best: { id: string; far: number } | undefined;
  for (const i of l.incidents) {
    const place = pointOf(i.place);
    if (!place) continue;
    const far = at(map, place, l.datum).distanceTo(point);
    if (far <= reach && (!best || far < best.far)) best = { id: i.id, far };
  }
  return best?.id;
}

function rings(c: CanvasRenderingContext2D, map: L.Map, i: Shown, datum: Datum, look: Look): void {
  const place = pointOf(i.place);
  if (!place) return;
  const p = at(map, place, datum);
  c.strokeStyle = look.grades[i.grade];
  c.lineWidth = 1.5;
  for (const wave of i.waves ?? []) {
    if (wave.ring >= widestRing) continue;
    c.setLineDash(wave.provisional ? [2, 5] : [9, 5]);
    c.beginPath();
    c.arc(p.x, p.y, pixels(map, place, wave.ring + (i.place.radius ?? 0)), 0, 2 * Math.PI);
    c.stroke();
  }
  c.setLineDash([]);
}

function incident(c: CanvasRenderingContext2D, map: L.Map, i: Shown, l: Live, look: Look): void {
  const place = pointOf(i.place);
  if (!place) return;
  const p = at(map, place, l.datum);
  const colour = look.grades[i.grade];
  const r = i.id === l.selected ? 15 : 12;
  shape(c, i.grade, p.x, p.y, r);
  c.lineWidth = 2;
  c.strokeStyle = look.paper;
  c.fillStyle = i.grade === 4 ? look.paper : colour;
  c.fill();
  c.stroke();
  if (i.grade === 4) {
    c.strokeStyle = colour;
    c.stroke();
  }
  c.fillStyle = i.grade === 4 ? colour : look.paper;
  c.font = `700 ${r}px ${look.font}`;
  c.textAlign = 'center';
  c.textBaseline = 'middle';
  c.fillText(numerals[i.grade], p.x, p.y + (i.grade === 2 ? r * 0.3 : 1));
  c.textBaseline = 'alphabetic';
  if (i.id !== l.selected) return;
  c.beginPath();
  c.arc(p.x, p.y, r + 6, 0, 2 * Math.PI);
  c.strokeStyle = look.text;
  c.lineWidth = 2.5;
  c.stroke();
}

function shape(c: CanvasRenderingContext2D, grade: number, x: number, y: number, r: number): void {
  c.beginPath();
  if (grade === 4) {
    c.arc(x, y, r, 0, 2 * Math.PI);
    return;
  }
  const corners = grade === 1 ? 8 : grade === 2 ? 3 : 4;
  const turn = grade === 2 ? -Math.PI / 2 : Math.PI / corners;
  const radius = grade === 2 ? r * 1.35 : r * 1.1;
  for (let k = 0; k < corners; k++) {
    const a = turn + (2 * Math.PI * k) / corners;
    const px = x + radius * Math.cos(a);
    const py = y + radius * Math.sin(a);
    if (k) c.lineTo(px, py);
    else c.moveTo(px, py);
  }
  c.closePath();
}

// State of a person by fill: free outline, on the way half, on scene full, long unheard of dashed.
function person(c: CanvasRenderingContext2D, map: L.Map, q: Position, name: string, l: Live, look: Look): void {
  const p = at(map, q.place, l.datum);
  const age = l.now - Date.parse(q.at);
  const colour = age > greyAfter ? look.ink : look.act;
  c.lineWidth = 2.5;
  c.strokeStyle = colour;
  c.fillStyle = look.paper;
  c.setLineDash(age > dashedAfter ? [2, 3] : []);
  c.beginPath();
  c.arc(p.x, p.y, 7, 0, 2 * Math.PI);
  c.fill();
  c.stroke();
  c.setLineDash([]);
  c.fillStyle = colour;
  c.beginPath();
  if (q.step === 'on_scene') c.arc(p.x, p.y, 7, 0, 2 * Math.PI);
  else if (q.step === 'accepted' || q.step === 'en_route') c.arc(p.x, p.y, 7, Math.PI / 2, (3 * Math.PI) / 2);
  c.fill();
  if (name) label(c, name, p.x + 11, p.y + 4, look, 12, 'left');
}

function me(c: CanvasRenderingContext2D, map: L.Map, place: Point, l: Live, look: Look): void {
  const p = at(map, place, l.datum);
  c.strokeStyle = look.act;
  c.lineWidth = 3;
  c.beginPath();
  c.arc(p.x, p.y, 9, 0, 2 * Math.PI);
  c.moveTo(p.x - 15, p.y);
  c.lineTo(p.x + 15, p.y);
  c.moveTo(p.x, p.y - 15);
  c.lineTo(p.x, p.y + 15);
  c.stroke();
  label(c, l.meWords, p.x + 14, p.y - 10, look, 13, 'left', true);
}
