import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import Dialog from './Dialog.svelte';
import GradeMark from './GradeMark.svelte';
import HoldButton from './HoldButton.svelte';

const words = (text: string) => createRawSnippet(() => ({ render: () => `<span>${text}</span>` }));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

describe('a button to hold', () => {
  function held(): { done: ReturnType<typeof vi.fn>; button: HTMLElement } {
    const done = vi.fn();
    render(HoldButton, { done, children: words('hold me') });
    return { done, button: screen.getByRole('button', { name: 'hold me' }) };
  }

  it('acts after 1.5 s of holding, once', async () => {
    const { done, button } = held();
    await fireEvent.pointerDown(button, { button: 0 });
    vi.advanceTimersByTime(1499);
    expect(done).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5000);
    expect(done).toHaveBeenCalledOnce();
  });

  it.each(['pointerUp', 'pointerLeave', 'pointerCancel', 'blur'] as const)('does nothing when let go by %s', async (way) => {
    const { done, button } = held();
    await fireEvent.pointerDown(button, { button: 0 });
    vi.advanceTimersByTime(1000);
    await fireEvent[way](button);
    vi.advanceTimersByTime(5000);
    expect(done).not.toHaveBeenCalled();
  });

  it('can be held by keyboard, and a repeating key does not begin anew', async () => {
    const { done, button } = held();
    await fireEvent.keyDown(button, { key: 'Enter' });
    vi.advanceTimersByTime(1000);
    await fireEvent.keyDown(button, { key: 'Enter', repeat: true });
    vi.advanceTimersByTime(500);
    expect(done).toHaveBeenCalledOnce();
  });
});

describe('a dialog', () => {
  it('is named by its title, takes the focus, and closes by Escape', async () => {
    const close = vi.fn();
    render(Dialog, { title: 'Assign whom?', close, children: words('inside') });
    const box = screen.getByRole('dialog', { name: 'Assign whom?' });
    expect(box.contains(document.activeElement)).toBe(true);
    await fireEvent.keyDown(box, { key: 'Escape' });
    expect(close).toHaveBeenCalledOnce();
  });
});

describe('a mark of grade', () => {
  it.each([1, 2, 3, 4] as const)('of %d has a shape, a numeral and a name, not only a colour', (grade) => {
    render(GradeMark, { grade });
    const mark = screen.getByRole('img');
    expect(mark.getAttribute('aria-label')).toMatch(/[ⅠⅡⅢⅣ]级/);
    expect(mark.textContent).toMatch(/[一二三四]/);
  });
});
