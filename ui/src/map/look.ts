import type { Grade } from '../lib/api';

/** The colours that a canvas draws with, read from the page's theme. */
export interface Look {
  ground: string;
  paper: string;
  line: string;
  ink: string;
  text: string;
  fine: string;
  stale: string;
  act: string;
  grades: Record<Grade, string>;
  font: string;
}

export function lookOf(element: Element): Look {
  const style = getComputedStyle(element);
  const v = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ground: v('--map-ground'),
    paper: v('--ground'),
    line: v('--map-line'),
    ink: v('--map-ink'),
    text: v('--ink'),
    fine: v('--fine'),
    stale: v('--stale'),
    act: v('--act'),
    grades: { 1: v('--g1'), 2: v('--g2'), 3: v('--g3'), 4: v('--g4') },
    font: style.fontFamily,
  };
}
