/** The decisions and remarks that open a window of their own. */
export type Decision = 'graded' | 'wave' | 'resolved' | 'cancelled' | 'stood_down' | 'void' | 'note';
