import type L from 'leaflet';
import type { Grids, Point, StationInfo } from '../lib/api';
import { toDatum, type Datum } from '../lib/datum';
import { offset } from '../lib/geo';
import type { Look } from './look';

/** What lies still on the map. */
export interface Ground {
  grids: Grids;
  stations: StationInfo[];
  datum: Datum;
}

/** Distances between grid lines to choose from, in metres, and the fewest pixels between two lines. */
const steps = [500, 1000, 2000, 5000, 10_000, 20_000];
const leastPixels = 56;

export function at(map: L.Map, p: Point, datum: Datum): L.Point {
  const s = toDatum(p, datum);
  return map.latLngToContainerPoint([s.lat, s.lon]);
}

/** How many pixels so many metres are, around p. */
export function pixels(map: L.Map, p: Point, metres: number): number {
  const a = map.latLngToContainerPoint([p.lat, p.lon]);
  const q = offset(p, metres, 0);
  return map.latLngToContainerPoint([q.lat, q.lon]).x - a.x;
}

/** Draws the schematic ground: a kilometre grid, the grids' circles, landmarks and stations. */
export function drawGround(c: CanvasRenderingContext2D, map: L.Map, size: L.Point, g: Ground, look: Look): void {
  c.fillStyle = look.ground;
  c.fillRect(0, 0, size.x, size.y);
  kilometres(c, map, size, g, look);
  for (const grid of g.grids.grids) gridCircle(c, map, grid.place, grid.radius, grid.name, g.datum, look);
  for (const mark of g.grids.landmarks ?? []) landmark(c, map, mark.place, mark.name, g.datum, look);
  for (const s of g.stations) if (s.place) station(c, map, s, s.place, g.datum, look);
}

function kilometres(c: CanvasRenderingContext2D, map: L.Map, size: L.Point, g: Ground, look: Look): void {
  const origin = g.stations.find((s) => s.place)?.place ?? g.grids.grids[0]?.place;
  if (!origin) return;
  const zero = { lon: Math.floor(origin.lon * 10) / 10, lat: Math.floor(origin.lat * 10) / 10 };
  const perMetre = pixels(map, zero, 1000) / 1000;
  const step = steps.find((s) => s * perMetre >= leastPixels) ?? 50_000;
  const gap = step * perMetre;
  const start = at(map, zero, g.datum);
  c.strokeStyle = look.line;
  c.lineWidth = 1;
  c.beginPath();
  for (let x = ((start.x % gap) + gap) % gap; x < size.x; x += gap) {
    c.moveTo(Math.round(x) + 0.5, 0);
    c.lineTo(Math.round(x) + 0.5, size.y);
  }
  for (let y = ((start.y % gap) + gap) % gap; y < size.y; y += gap) {
    c.moveTo(0, Math.round(y) + 0.5);
    c.lineTo(size.x, Math.round(y) + 0.5);
  }
  c.stroke();
}

function gridCircle(
  c: CanvasRenderingContext2D,
  map: L.Map,
  place: Point,
  radius: number,
  name: string,
  datum: Datum,
  look: Look,
): void {
  const p = at(map, place, datum);
  const r = Math.max(4, pixels(map, place, radius));
  c.beginPath();
  c.arc(p.x, p.y, r, 0, 2 * Math.PI);
  c.globalAlpha = 0.55;
  c.fillStyle = look.line;
  c.fill();
  c.globalAlpha = 1;
  c.setLineDash([5, 4]);
  c.strokeStyle = look.ink;
  c.lineWidth = 1;
  c.stroke();
  c.setLineDash([]);
  if (r > 16) label(c, name, p.x, p.y - r - 5, look, 12, 'center');
}

function landmark(c: CanvasRenderingContext2D, map: L.Map, place: Point, name: string, datum: Datum, look: Look): void {
  const p = at(map, place, datum);
  c.fillStyle = look.ink;
  c.beginPath();
  c.moveTo(p.x, p.y - 5);
  c.lineTo(p.x + 5, p.y + 4);
  c.lineTo(p.x - 5, p.y + 4);
  c.fill();
  if (map.getZoom() >= 13) label(c, name, p.x + 8, p.y + 4, look, 11, 'left');
}

function station(c: CanvasRenderingContext2D, map: L.Map, s: StationInfo, place: Point, datum: Datum, look: Look): void {
  const p = at(map, place, datum);
  c.beginPath();
  for (let i = 0; i < 6; i++) {
    const a = (Math.PI / 3) * i + Math.PI / 6;
    const x = p.x + 10 * Math.cos(a);
    const y = p.y + 10 * Math.sin(a);
    if (i) c.lineTo(x, y);
    else c.moveTo(x, y);
  }
  c.closePath();
  c.lineWidth = 2.5;
  c.strokeStyle = s.alive ? look.fine : look.stale;
  c.fillStyle = s.alive ? look.paper : look.ground;
  c.setLineDash(s.alive ? [] : [3, 3]);
  c.fill();
  c.stroke();
  c.setLineDash([]);
  label(c, s.name, p.x, p.y + 25, look, 13, 'center', true);
}

/** Writes words with a halo of the ground, so that lines below do not strike them through. */
export function label(
  c: CanvasRenderingContext2D,
  words: string,
  x: number,
  y: number,
  look: Look,
  size: number,
  align: CanvasTextAlign,
  strong = false,
): void {
  c.font = `${strong ? '700 ' : ''}${size}px ${look.font}`;
  c.textAlign = align;
  c.lineWidth = 3.5;
  c.lineJoin = 'round';
  c.strokeStyle = look.ground;
  c.strokeText(words, x, y);
  c.fillStyle = strong ? look.text : look.ink;
  c.fillText(words, x, y);
}
