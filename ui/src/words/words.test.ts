import { afterEach, describe, expect, it } from 'vitest';
import { en } from './en';
import { chosen, fill, say, beside, sayName } from './words.svelte';
import { zh } from './zh';

const marks = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? '').sort();
const sources = import.meta.glob<string>(['../**/*.svelte', '../**/*.ts', '!../**/*.test.ts', '!./zh.ts', '!./en.ts'], {
  query: '?raw',
  import: 'default',
  eager: true,
});

afterEach(() => {
  if (chosen.language === 'en') chosen.toggle();
});

describe('catalogue', () => {
  it('has the same keys in both languages, none empty', () => {
    expect(Object.keys(en).sort()).toEqual(Object.keys(zh).sort());
    for (const text of [...Object.values(zh), ...Object.values(en)]) expect(text.trim()).not.toBe('');
  });

  it('fills the same marks in both languages', () => {
    for (const key of Object.keys(zh) as (keyof typeof zh)[]) expect(marks(en[key]), key).toEqual(marks(zh[key]));
  });

  it('is used: every key stands in some screen, itself or by its family', () => {
    const all = Object.values(sources).join('\n');
    const families = [...all.matchAll(/`([a-z0-9.]+)\.\$\{/g)].map((m) => `${m[1]}.`);
    const named = ['role.', 'status.', 'stepped.', 'step.', 'source.', 'level.', 'rating.', 'evidence.', 'clock.', 'why.'];
    for (const key of Object.keys(zh)) {
      const used = all.includes(`'${key}'`) || [...families, ...named].some((f) => key.startsWith(f));
      expect(used, key).toBe(true);
    }
  });

  it('is the only place of visible words: no Chinese in markup or code', () => {
    // Numerals of the grades are shapes, and the tab titles stand in the pages' own HTML.
    const allowed = ['GradeMark.svelte', 'live.ts'];
    for (const [file, text] of Object.entries(sources)) {
      if (allowed.some((a) => file.endsWith(a))) continue;
      const code = text.replace(/\/\/.*|\/\*[\s\S]*?\*\/|<!--[\s\S]*?-->/g, '');
      expect(code.match(/[\u4e00-\u9fff]+/)?.[0], file).toBeUndefined();
    }
  });
});

describe('words', () => {
  it('speak Chinese first, the other on request, and mark the page for screen readers', () => {
    expect(say('step.accepted')).toBe('接令');
    expect(beside('step.accepted')).toBe('Accept');
    chosen.toggle();
    expect(say('step.accepted')).toBe('Accept');
    expect(document.documentElement.lang).toBe('en');
  });

  it('fill marks and leave unknown ones to be seen', () => {
    expect(fill('{a} {b}', { a: 1 })).toBe('1 {b}');
  });

  it('show an unknown name as it is', () => {
    expect(sayName('role', 'officer')).toBe('民警');
    expect(sayName('role', 'beekeeper')).toBe('beekeeper');
  });
});
