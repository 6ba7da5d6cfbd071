import type { Place, Point } from './api';

// The same sphere as alerts/geo.go: the mean radius R1 of the WGS-84 ellipsoid in metres (IUGG).
const earthRadius = 6371008.8;

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** Great-circle distance in metres. */
export function distance(p: Point, q: Point): number {
  const lat1 = radians(p.lat);
  const lat2 = radians(q.lat);
  const h =
    Math.sin((lat2 - lat1) / 2) ** 2 +
    Math.cos(lat1) * Math.cos(lat2) * Math.sin(radians(q.lon - p.lon) / 2) ** 2;
  return 2 * earthRadius * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Initial bearing from p to q in degrees clockwise from north, in [0, 360). */
export function bearing(p: Point, q: Point): number {
  const lat1 = radians(p.lat);
  const lat2 = radians(q.lat);
  const dLon = radians(q.lon - p.lon);
  const y = Math.sin(dLon) * Math.cos(lat2);
  const x = Math.cos(lat1) * Math.sin(lat2) - Math.sin(lat1) * Math.cos(lat2) * Math.cos(dLon);
  return ((Math.atan2(y, x) * 180) / Math.PI + 360) % 360;
}

/** The point that lies east and north metres from p; good for county distances. */
export function offset(p: Point, east: number, north: number): Point {
  const lat = p.lat + ((north / earthRadius) * 180) / Math.PI;
  const lon = p.lon + ((east / (earthRadius * Math.cos(radians(p.lat)))) * 180) / Math.PI;
  return { lon, lat };
}

export const compass = ['n', 'ne', 'e', 'se', 's', 'sw', 'w', 'nw'] as const;
export type Compass = (typeof compass)[number];

/** The nearest of the eight compass points. */
export function compassOf(degrees: number): Compass {
  return compass[Math.round((((degrees % 360) + 360) % 360) / 45) % 8] ?? 'n';
}

/** The place's point, when it has one. */
export function pointOf(place: Place | undefined): Point | undefined {
  return place?.lon !== undefined && place.lat !== undefined ? { lon: place.lon, lat: place.lat } : undefined;
}

/** What is nearest to p, with its distance in metres. */
export function nearest<T extends { place?: Place }>(p: Point, things: T[]): { thing: T; metres: number } | undefined {
  let best: { thing: T; metres: number } | undefined;
  for (const thing of things) {
    const at = pointOf(thing.place);
    if (!at) continue;
    const metres = distance(p, at);
    if (!best || metres < best.metres) best = { thing, metres };
  }
  return best;
}
