import { describe, expect, it } from 'vitest';
import { bearingWords, distanceWords, fromWords, ringWords } from '../words/phrases';
import { bearing, compassOf, distance, nearest, offset } from './geo';

const xinzhuang = { lon: 116.5, lat: 39.32 };

describe('geo', () => {
  it('agrees with a degree of latitude on the mean sphere', () => {
    expect(distance({ lon: 116, lat: 39 }, { lon: 116, lat: 40 })).toBeCloseTo(111195.08, 1);
    expect(distance(xinzhuang, xinzhuang)).toBe(0);
  });

  it.each([
    [0, 1000, 0, 'n'],
    [1000, 1000, 45, 'ne'],
    [1000, 0, 90, 'e'],
    [0, -1000, 180, 's'],
    [-1000, 0, 270, 'w'],
    [-1000, 1000, 315, 'nw'],
  ])('sees %d m east, %d m north at %d degrees, %s', (east, north, degrees, point) => {
    const to = offset(xinzhuang, east, north);
    expect(distance(xinzhuang, to)).toBeCloseTo(Math.hypot(east, north), 0);
    expect(bearing(xinzhuang, to)).toBeCloseTo(degrees, 0);
    expect(compassOf(bearing(xinzhuang, to))).toBe(point);
  });

  it('wraps around north', () => {
    expect(compassOf(359)).toBe('n');
    expect(compassOf(-10)).toBe('n');
    expect(compassOf(338)).toBe('n');
    expect(compassOf(337)).toBe('nw');
  });

  it('finds what is nearest and passes over what has no place', () => {
    const near = { place: offset(xinzhuang, 300, 0) };
    const found = nearest(xinzhuang, [{}, { place: offset(xinzhuang, 900, 0) }, near]);
    expect(found?.thing).toBe(near);
    expect(found?.metres).toBeCloseTo(300, 0);
  });
});

describe('words of place', () => {
  it('says distances as people do', () => {
    expect(distanceWords(134)).toBe('130 米');
    expect(distanceWords(2345)).toBe('2.3 公里');
    expect(distanceWords(1000)).toBe('1 公里');
    expect(distanceWords(12_600)).toBe('13 公里');
  });

  it('says distance and direction, or that it is near', () => {
    expect(fromWords('辛屯站', xinzhuang, offset(xinzhuang, 1626, 1626))).toBe('距辛屯站 2.3 公里 东北');
    expect(fromWords('辛屯站', xinzhuang, offset(xinzhuang, 20, 0))).toBe('辛屯站附近');
    expect(bearingWords(200)).toBe('南');
  });

  it('says the widest ring is the county', () => {
    expect(ringWords(3000)).toBe('3 公里内');
    expect(ringWords(1e6)).toBe('全县');
  });
});
