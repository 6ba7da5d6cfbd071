import { beforeEach, describe, expect, it } from 'vitest';
import { Alarms, type Ringing } from './alarms.svelte';
import type { AlarmFrame, Shown } from './api';

const frame = (over: Partial<AlarmFrame> = {}): AlarmFrame => ({
  type: 'alarm',
  incident: 'i1',
  wave: 1,
  card: { what: 'a girl was led away' },
  category: 'abduction',
  grade: 1,
  place: { lon: 116.5, lat: 39.32 },
  drill: false,
  provisional: false,
  ...over,
});

let sounded: Ringing[] = [];
let released: [string, number][] = [];

function alarms(): Alarms {
  return new Alarms(
    'test',
    () => 'li',
    (r) => sounded.push(r),
    (incident, wave) => released.push([incident, wave]),
  );
}

beforeEach(() => {
  window.localStorage.clear();
  sounded = [];
  released = [];
});

describe('alarms', () => {
  it('sound once for one wave, also when the frame comes again or a later wave comes', () => {
    const a = alarms();
    a.take(frame());
    a.take(frame());
    a.take(frame({ wave: 2 }));
    expect(sounded).toHaveLength(1);
  });

  it('sound again when the search continues', () => {
    const a = alarms();
    a.take(frame());
    a.take(frame({ wave: 3, continues: true }));
    a.take(frame({ wave: 3, continues: true }));
    expect(sounded).toHaveLength(2);
    expect(a.ringing).toHaveLength(1);
  });

  it('remember over a reload what was heard and what still waits for an answer', () => {
    alarms().take(frame());
    const after = alarms();
    expect(after.heard()).toEqual([{ incident: 'i1', wave: 1 }]);
    expect(after.ringing).toHaveLength(1);
    after.take(frame());
    expect(sounded).toHaveLength(1);
  });

  it('end by stand-down: silent, told, receipted, and not named again', () => {
    const a = alarms();
    a.take(frame());
    a.take({ type: 'stood_down', incident: 'i1', kind: 'resolved', provisional: true });
    expect(a.ringing).toHaveLength(0);
    expect(a.ended).toMatchObject([{ incident: 'i1', kind: 'resolved', provisional: true }]);
    expect(released).toEqual([['i1', 1]]);
    expect(a.heard()).toEqual([]);
  });

  it('say nothing of the end of what never sounded here', () => {
    const a = alarms();
    a.take({ type: 'stood_down', incident: 'other', kind: 'stood_down', provisional: false });
    expect(a.ended).toHaveLength(0);
  });

  it('put a call for support above every alarm, and answer it apart', () => {
    const a = alarms();
    a.take(frame());
    a.take(frame({ support: 's1', wave: 0 }));
    expect(a.ringing[0]?.frame.support).toBe('s1');
    expect(a.heard()).toContainEqual({ incident: 'i1', wave: 0, support: 's1' });
    a.answered('i1', 's1');
    expect(a.ringing.map((r) => r.frame.support)).toEqual([undefined]);
  });

  it('put the worse grade first', () => {
    const a = alarms();
    a.take(frame({ incident: 'mild', grade: 3 }));
    a.take(frame({ incident: 'bad', grade: 1 }));
    expect(a.ringing.map((r) => r.frame.incident)).toEqual(['bad', 'mild']);
  });

  it('are answered on this device when the person answered on another', () => {
    const a = alarms();
    a.take(frame());
    const incident = { id: 'i1', mine: { step: 'accepted', at: '' } } as Shown;
    a.take({ type: 'incident', cell: 'c', cursor: '1.1', incident });
    expect(a.ringing).toHaveLength(0);
    expect(a.ended).toHaveLength(0);
  });

  it('are answered by the own step among everybody’s, and by nothing less than a step', () => {
    const a = alarms();
    a.take(frame());
    const see = (more: Partial<Shown>): void =>
      a.take({ type: 'incident', cell: 'c', cursor: '1.1', incident: { id: 'i1', ...more } as Shown });
    see({ mine: { assigned: true } });
    see({ answers: [{ person: 'wang', step: 'accepted', at: '' }] });
    expect(a.ringing).toHaveLength(1);
    see({ answers: [{ person: 'li', step: 'accepted', at: '' }] });
    expect(a.ringing).toHaveLength(0);
  });
});
