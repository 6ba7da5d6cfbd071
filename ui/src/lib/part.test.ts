import { describe, expect, it } from 'vitest';
import type { Shown } from './api';
import { inHand, partOf } from './part';

const shown = (more: Partial<Shown>): Shown => ({ id: 'i1', ...more }) as Shown;

describe('a person’s own part', () => {
  it('is told to the public side as mine', () => {
    expect(partOf(shown({ mine: { step: 'en_route', at: '' } }), 'wang')).toEqual({ step: 'en_route', assigned: false });
    expect(partOf(shown({ mine: { assigned: true } }), 'wang')).toEqual({ assigned: true });
    expect(partOf(shown({ mine: { raised: true } }), 'wang')).toEqual({ assigned: false });
  });

  it('stands among the answers and assignments for those who see all of them', () => {
    const i = shown({
      answers: [{ person: 'li', step: 'on_scene', at: '' }],
      assigned: [{ person: 'zhao', by: 'chen', at: '' }],
    });
    expect(partOf(i, 'li')).toEqual({ step: 'on_scene', assigned: false });
    expect(partOf(i, 'zhao')).toEqual({ assigned: true });
    expect(partOf(i, 'wang')).toEqual({ assigned: false });
  });

  it('is in hand from the assignment or the own word on, until declined or released', () => {
    expect(inHand({ assigned: false })).toBe(false);
    expect(inHand({ assigned: true })).toBe(true);
    expect(inHand({ step: 'accepted', assigned: false })).toBe(true);
    expect(inHand({ step: 'declined', assigned: true })).toBe(false);
    expect(inHand({ step: 'released', assigned: false })).toBe(false);
  });
});
