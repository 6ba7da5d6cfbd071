import type { Cell, Mesh } from '../../lib/api';

/** What a desk is to know of how the county runs. It is told only what somebody at a desk can act on or must bear in mind. */
export type Trouble =
  | { what: 'expelled'; station: string; at: string }
  | { what: 'disk.error' }
  | { what: 'disk.low'; free: number }
  | { what: 'leaderless'; cell: string }
  | { what: 'stands'; cell: string; why: string };

/** For so long an expulsion is said, in ms: within a week everybody who shares a desk has read it. */
export const expelledFor = 7 * 24 * 3600_000;

/** before is what the station said the time before: an election of a second is nobody's trouble. */
export function troubles(mesh: Mesh | undefined, before: Mesh | undefined, cells: Cell[], now: number): Trouble[] {
  if (!mesh) return [];
  const out: Trouble[] = [];
  for (const g of mesh.gone) {
    if (g.why === 'expelled' && now - Date.parse(g.at) < expelledFor) out.push({ what: 'expelled', station: g.name || g.station, at: g.at });
  }
  if (mesh.disk.error) out.push({ what: 'disk.error' });
  else if (mesh.disk.level !== 'roomy') out.push({ what: 'disk.low', free: mesh.disk.free });
  const without = (m: Mesh | undefined, cell: string): boolean => m?.cells.some((c) => c.cell === cell && !c.leader) ?? false;
  for (const c of mesh.cells) {
    if (!cells.some((x) => x.cell === c.cell)) continue; // it has ended: nobody leads it any more
    if (c.error) out.push({ what: 'stands', cell: c.cell, why: c.error });
    else if (without(mesh, c.cell) && without(before, c.cell)) out.push({ what: 'leaderless', cell: c.cell });
  }
  return out;
}
