import { expect, it } from 'vitest';
import type { Shown } from './api';
import { deciding } from './decisions';

const matter = (latest?: Shown['latest']) => ({ id: 'i1', latest }) as Shown;

it('a decision says which one before it was seen, and says so where it was none', () => {
  expect(deciding(matter({ grade: 'g1' }), { kind: 'graded', grade: 2 })).toMatchObject({ saw: 'g1' });
  expect(deciding(matter({ grade: 'g1' }), { kind: 'assigned', person: 'p' })).toMatchObject({ saw: '' });
  expect(deciding(matter(), { kind: 'assigned', person: 'p' })).toMatchObject({ saw: '' });
  expect(deciding(matter(), { kind: 'note', words: 'w' })).not.toHaveProperty('saw');
});
