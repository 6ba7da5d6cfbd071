import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Cell, Mesh, Shown } from '../../lib/api';
import { County } from '../../lib/county.svelte';
import type { Desk } from '../../lib/desk.svelte';
import TransferDialog from './TransferDialog.svelte';
import TroubleStrip from './TroubleStrip.svelte';
import { expelledFor, troubles } from './trouble';

afterEach(cleanup);

const cell = (id: string, over: Partial<Cell> = {}): Cell => ({ cell: id, home: false, epoch: 1, townships: [], stations: [], followed: true, ...over });
const west = cell('west', { townships: ['西乡', '南乡'], stations: ['w1', 'w2'] });
const east = cell('east', { townships: ['东乡'] });
const rest = cell('yongqing', { home: true });

const record = (id: string, over: Partial<Mesh['cells'][number]> = {}): Mesh['cells'][number] => ({
  cell: id, chain: '', depth: 0, epoch: 1, feeds: 0, index: 1, lag: 0, leader: 'post', pending: 0, role: 'voter', voters: [], ...over,
});
const mesh = (over: Partial<Mesh> = {}): Mesh => ({
  station: 'post', version: '', pid: 1, members: [], traffic: [], gossip_key: { generation: 1 }, gone: [],
  cells: [record('yongqing')], disk: { level: 'roomy', free: 1e10, ballast: true, failed: 0 }, ...over,
});
const now = Date.parse('2026-03-01T10:00:00Z');

describe('a transfer', () => {
  function opened(cells: Cell[]): { decide: ReturnType<typeof vi.fn>; close: ReturnType<typeof vi.fn> } {
    const county = new County();
    county.cells = cells;
    const [decide, close] = [vi.fn(), vi.fn()];
    render(TransferDialog, { desk: { county, decide } as unknown as Desk, incident: { id: 'i', cell: 'yongqing' } as Shown, close });
    return { decide, close };
  }

  it('goes to the cell that was chosen by its townships, with the reason', async () => {
    const { decide, close } = opened([west, east, rest]);
    expect(screen.queryByRole('radio', { name: /县本级/ })).toBeNull(); // it is there already
    await fireEvent.click(screen.getByRole('button', { name: '确定' }));
    expect(decide).not.toHaveBeenCalled();
    await fireEvent.click(screen.getByRole('radio', { name: /西乡 · 南乡/ }));
    await fireEvent.input(screen.getByRole('textbox', { name: '原因' }), { target: { value: ' 已过界 ' } });
    await fireEvent.click(screen.getByRole('button', { name: '确定' }));
    expect(decide).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ id: 'i' }), { kind: 'transferred', to: 'west', reason: '已过界' });
    expect(close).toHaveBeenCalledOnce();
  });

  it('needs no choice where there is one other cell', async () => {
    const { decide } = opened([east, rest]);
    await fireEvent.click(screen.getByRole('button', { name: '确定' }));
    expect(decide).toHaveBeenCalledExactlyOnceWith(expect.anything(), { kind: 'transferred', to: 'east' });
  });
});

describe('the strip of troubles', () => {
  it('is not there when all is well', () => {
    const county = new County();
    county.cells = [rest];
    county.mesh = mesh();
    render(TroubleStrip, { county });
    expect(screen.queryByRole('status')).toBeNull();
  });

  it('says in words what is wrong', () => {
    const county = new County();
    county.cells = [rest, west];
    const bad = mesh({
      cells: [record('yongqing', { leader: '' }), record('west', { error: 'damaged' })],
      disk: { level: 'shed', free: 100 * 2 ** 20, ballast: true, failed: 0 },
      gone: [{ station: 'e2', name: '东二', why: 'expelled', at: new Date().toISOString() }],
    });
    [county.meshBefore, county.mesh] = [bad, bad];
    render(TroubleStrip, { county });
    const said = screen.getByRole('status', { name: '运行提示' }).textContent;
    for (const want of ['东二', '100 MB', '县本级片区', '西乡 · 南乡', 'damaged']) expect(said).toContain(want);
  });

  it('takes an election for nothing, and an ended cell for none', () => {
    const without = mesh({ cells: [record('yongqing', { leader: '' }), record('old', { leader: '' })] });
    expect(troubles(without, mesh(), [rest], now)).toEqual([]);
    expect(troubles(without, without, [rest], now)).toEqual([{ what: 'leaderless', cell: 'yongqing' }]);
  });

  it('names an expulsion for a week, nobody who left, and a disk that cannot be written to before one that is low', () => {
    const at = (ago: number): string => new Date(now - ago).toISOString();
    const gone: Mesh['gone'] = [
      { station: 'e1', name: '', why: 'expelled', at: at(1000) },
      { station: 'e2', name: '', why: 'expelled', at: at(expelledFor + 1) },
      { station: 'e3', name: '', why: 'left', at: at(1000) },
    ];
    expect(troubles(mesh({ gone }), undefined, [rest], now)).toEqual([{ what: 'expelled', station: 'e1', at: at(1000) }]);
    const disk = { level: 'low', free: 1, ballast: false, failed: 9, error: 'EIO' };
    expect(troubles(mesh({ disk }), undefined, [rest], now)).toEqual([{ what: 'disk.error' }]);
  });
});
