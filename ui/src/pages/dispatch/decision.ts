/** The decisions and remarks about the alarm that open a window of their own. */
export type Decision = 'graded' | 'wave' | 'resolved' | 'cancelled' | 'stood_down' | 'void' | 'note';

/** The deeds of a matter's course that do. */
export type CourseDeed =
  | 'stepped'
  | 'feedback'
  | 'appointed'
  | 'level_changed'
  | 'returned'
  | 'supervised'
  | 'merged'
  | 'unmerged'
  | 'verified'
  | 'followed_up'
  | 'affected'
  | 'rated'
  | 'reopened';

const courseDeeds: readonly string[] = [
  'stepped',
  'feedback',
  'appointed',
  'level_changed',
  'returned',
  'supervised',
  'merged',
  'unmerged',
  'verified',
  'followed_up',
  'affected',
  'rated',
  'reopened',
] satisfies CourseDeed[];

export function isCourse(d: string): d is CourseDeed {
  return courseDeeds.includes(d);
}
