import { describe, expect, it } from 'vitest';
import type { Shown } from '../../lib/api';
import { inOrder, settle } from './queue';

const matter = (id: string, over: Partial<Shown> = {}): Shown => ({
  id,
  cell: 'c',
  category: 'fire',
  grade: 2,
  status: 'reported',
  place: {},
  raised_at: '2026-01-01T00:00:00.000Z',
  alarm: { open: true },
  card: { what: 'smoke' },
  waves: [],
  wanted: 2,
  coming: 0,
  on_scene: 0,
  drill: false,
  provisional: false,
  ...over,
});

describe('queue', () => {
  it('pins unanswered alarms, then the worse, then the older; closed ones last', () => {
    const rows = [
      matter('closed', { status: 'resolved', grade: 1 }),
      matter('answered red', { grade: 1, coming: 2 }),
      matter('dull', { grade: 4, alarm: { open: false } }),
      matter('younger', { raised_at: '2026-01-01T00:05:00.000Z' }),
      matter('older'),
      matter('red', { grade: 1 }),
    ];
    expect(rows.sort(inOrder).map((i) => i.id)).toEqual(['red', 'older', 'younger', 'answered red', 'dull', 'closed']);
  });

  it('moves no row while the pointer is over the list, and says how many wait', () => {
    expect(settle(['a', 'b'], ['new', 'b', 'a'], true)).toEqual({ rows: ['a', 'b'], waiting: 1 });
    expect(settle(['a', 'b'], ['b'], true)).toEqual({ rows: ['b'], waiting: 0 });
    expect(settle(['a', 'b'], ['new', 'b', 'a'], false)).toEqual({ rows: ['new', 'b', 'a'], waiting: 0 });
  });
});
