import { cleanup, render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, it } from 'vitest';
import { County } from '../../lib/county.svelte';
import type { Desk } from '../../lib/desk.svelte';
import type { Item } from '../../lib/outbox.svelte';
import Steps from './Steps.svelte';

afterEach(cleanup);

const item = (over: Partial<Item>): Item => ({
  id: 'c1',
  person: 'kiosk:xz',
  path: '/v1/alerts',
  body: { category: 'fire', place: {} },
  made: Date.now(),
  state: 'taken',
  durable: true,
  tries: 1,
  incident: 'i1',
  event: 'e1',
  ...over,
});

function show(i: Item, county = new County()): { ticks: number; text: string } {
  const { container } = render(Steps, { desk: { county } as Desk, item: i });
  return { ticks: container.querySelectorAll('li.done').length, text: screen.getByRole('list').textContent ?? '' };
}

describe('the steps of an alert', () => {
  it('claim nothing before a station took it', () => {
    expect(show(item({ state: 'writing' }))).toMatchObject({ ticks: 0 });
    cleanup();
    const saved = show(item({ state: 'saved' }));
    expect(saved.ticks).toBe(0);
    expect(saved.text).toContain('已保存在本机');
  });

  it('say after five seconds that it is not delivered yet', () => {
    expect(show(item({ state: 'saved', made: Date.now() - 6000 })).text).toContain('尚未送出');
  });

  it('say when the station could not keep it', () => {
    const r = show(item({ kept: { here: false, near: 0, recorded: false }, sent: 3 }));
    expect(r.ticks).toBe(0);
    expect(r.text).toContain('本站未能保存，已发往 3 个站点');
  });

  it('tick here, near and recorded as each comes', () => {
    expect(show(item({ kept: { here: true, near: 0, recorded: false } })).ticks).toBe(1);
    cleanup();
    expect(show(item({ kept: { here: true, near: 2, recorded: false } })).ticks).toBe(2);
    cleanup();
    expect(show(item({ kept: { here: true, near: 4, recorded: true, index: 9 } })).text).toContain('第 9 条');
  });

  it('never say "delivered" for what was only sent', () => {
    const county = new County();
    county.take({ type: 'receipts', incident: 'i1', wave: 1, sent: 9, reached: 0, opened: 0, answered: 0 });
    const sent = show(item({ kept: { here: true, near: 0, recorded: false } }), county);
    expect(sent.text).toContain('已发送 9 台');
    expect(sent.text).not.toContain('已送达');
    cleanup();
    county.take({ type: 'receipts', incident: 'i1', wave: 1, sent: 9, reached: 4, opened: 1, answered: 2 });
    county.take({ type: 'receipts', incident: 'i1', wave: 2, sent: 5, reached: 3, opened: 0, answered: 2 });
    expect(show(item({ kept: { here: true, near: 0, recorded: false } }), county).text).toContain('已送达 7 台 · 已查看 1 · 已接令 2');
  });
});
