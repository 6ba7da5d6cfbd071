import gcoord from 'gcoord';
import { describe, expect, it } from 'vitest';
import { fromDatum, toDatum } from './datum';
import { distance } from './geo';

// Golden vectors of the WGS-84 to GCJ-02 shift, in degrees; made with gcoord 1.0.7 and fixed here, so that
// neither side can drift. The first is Yongqing, where the shift is 511 m east-west and 120 m north-south.
const golden: [lon: number, lat: number, gcjLon: number, gcjLat: number][] = [
  [116.5, 39.32, 116.5059345562, 39.3210823683],
  [116.404, 39.915, 116.4102444992, 39.9164042815],
  [121.4737, 31.2304, 121.4782230593, 31.2284577376],
  [87.6168, 43.8256, 87.6196499495, 43.8268053931],
  [113.2644, 23.1291, 113.2697295921, 23.1264233399],
];

describe('datum', () => {
  it.each(golden)('shifts %d, %d', (lon, lat, gcjLon, gcjLat) => {
    const s = toDatum({ lon, lat }, 'gcj02');
    expect(s.lon).toBeCloseTo(gcjLon, 9);
    expect(s.lat).toBeCloseTo(gcjLat, 9);
  });

  it('shifts as far as the next village at Yongqing', () => {
    const p = { lon: 116.5, lat: 39.32 };
    expect(distance(p, toDatum(p, 'gcj02'))).toBeGreaterThan(500);
  });

  it('agrees with an independent implementation all over a county', () => {
    for (let lon = 116.3; lon < 116.8; lon += 0.05) {
      for (let lat = 39.1; lat < 39.5; lat += 0.05) {
        const [x, y] = gcoord.transform<[number, number]>([lon, lat], gcoord.WGS84, gcoord.GCJ02);
        const s = toDatum({ lon, lat }, 'gcj02');
        expect(distance(s, { lon: x, lat: y })).toBeLessThan(0.01);
      }
    }
  });

  it('comes back to within a centimetre', () => {
    const p = { lon: 116.5, lat: 39.32 };
    expect(distance(p, fromDatum(toDatum(p, 'gcj02'), 'gcj02'))).toBeLessThan(0.01);
  });

  it('leaves WGS-84 and places abroad alone', () => {
    const p = { lon: 116.5, lat: 39.32 };
    expect(toDatum(p, 'wgs84')).toEqual(p);
    const paris = { lon: 2.35, lat: 48.85 };
    expect(toDatum(paris, 'gcj02')).toEqual(paris);
  });
});
