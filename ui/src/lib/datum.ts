import type { Point } from './api';

// WGS-84 to GCJ-02, the datum of Chinese base maps. Everything inside is WGS-84; only a base layer that
// declares gcj02 has overlays shifted, at draw time. The formula is the published one; its constants are
// the Krasovsky 1940 ellipsoid.
const a = 6378245.0;
const ee = 0.006693421622965943;

export type Datum = 'wgs84' | 'gcj02';

/** The shift does not apply outside mainland China; this is the customary rough box. */
function abroad(p: Point): boolean {
  return p.lon < 72.004 || p.lon > 137.8347 || p.lat < 0.8293 || p.lat > 55.8271;
}

function waves(x: number): number {
  return ((20 * Math.sin(6 * x * Math.PI) + 20 * Math.sin(2 * x * Math.PI)) * 2) / 3;
}

function northing(x: number, y: number): number {
  const base = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * Math.sqrt(Math.abs(x));
  const fine = ((20 * Math.sin(y * Math.PI) + 40 * Math.sin((y / 3) * Math.PI)) * 2) / 3;
  const coarse = ((160 * Math.sin((y / 12) * Math.PI) + 320 * Math.sin((y * Math.PI) / 30)) * 2) / 3;
  return base + waves(x) + fine + coarse;
}

function easting(x: number, y: number): number {
  const base = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * Math.sqrt(Math.abs(x));
  const fine = ((20 * Math.sin(x * Math.PI) + 40 * Math.sin((x / 3) * Math.PI)) * 2) / 3;
  const coarse = ((150 * Math.sin((x / 12) * Math.PI) + 300 * Math.sin((x / 30) * Math.PI)) * 2) / 3;
  return base + waves(x) + fine + coarse;
}

/** Where a WGS-84 point is to be drawn on a base layer of the given datum. */
export function toDatum(p: Point, datum: Datum): Point {
  if (datum === 'wgs84' || abroad(p)) return p;
  const x = p.lon - 105;
  const y = p.lat - 35;
  const rad = (p.lat * Math.PI) / 180;
  const magic = 1 - ee * Math.sin(rad) ** 2;
  const root = Math.sqrt(magic);
  const dLat = (northing(x, y) * 180) / (((a * (1 - ee)) / (magic * root)) * Math.PI);
  const dLon = (easting(x, y) * 180) / ((a / root) * Math.cos(rad) * Math.PI);
  return { lon: p.lon + dLon, lat: p.lat + dLat };
}

/** The WGS-84 point of a place read off a base layer of the given datum, by fixed-point steps. */
export function fromDatum(q: Point, datum: Datum): Point {
  let p = q;
  // Each step shrinks the error about a thousandfold; three are far below a metre.
  for (let i = 0; i < 3; i++) {
    const s = toDatum(p, datum);
    p = { lon: p.lon + q.lon - s.lon, lat: p.lat + q.lat - s.lat };
  }
  return p;
}
