import { SvelteMap } from 'svelte/reactivity';
import type {
  Category,
  Cell,
  Grids,
  Mesh,
  Person,
  Position,
  Receipts,
  ServerFrame,
  Shown,
  Status,
  StationInfo,
} from './api';
import { clock } from './clock.svelte';
import { readJSON, device, writeJSON } from './storage';

interface Getter {
  get<T>(path: string): Promise<T>;
}

const stationsKey = 'hive.stations';

/** County is what this page knows of the county: filled by frames and by asking, read by screens. */
export class County {
  station = $state('');
  stations = $state<StationInfo[]>(readJSON(device, stationsKey, []));
  categories = $state<Category[]>([]);
  grids = $state<Grids>({ grids: [], landmarks: [], note: '' });
  people = $state<Person[]>([]);
  /** Those that go on; what was merged into another is no place to send a matter to. */
  cells = $state<Cell[]>([]);
  /** How the station that is asked and its links do, and the same when it was asked before. */
  mesh = $state<Mesh>();
  meshBefore = $state<Mesh>();
  incidents = new SvelteMap<string, Shown>();
  positions = new SvelteMap<string, Position>();
  receipts = new SvelteMap<string, Receipts>();
  cursors: Record<string, string> = {};

  /** Takes what concerns the county out of a frame; the rest is for alarms and the outbox. */
  take(frame: ServerFrame): void {
    switch (frame.type) {
      case 'welcome':
        this.station = frame.station;
        clock.set(frame.server_time);
        break;
      case 'incident':
        this.#put(frame.incident);
        if (frame.cursor) this.cursors[frame.cell] = frame.cursor;
        break;
      case 'positions':
        for (const p of frame.positions) {
          if (p.place) this.positions.set(p.person, { ...p, place: p.place });
          else this.positions.delete(p.person);
        }
        break;
      case 'stations':
        if (frame.stations) this.#setStations(frame.stations);
        break;
      case 'receipts':
        this.receipts.set(`${frame.incident}/${frame.wave}`, frame);
        break;
    }
  }

  /** Asks the station for what frames do not bring: tables that hardly change. Matters come by frames. */
  async load(from: Getter): Promise<void> {
    const [rules, grids] = await Promise.all([
      from.get<{ categories: Category[] }>('/v1/rules'),
      from.get<Grids>('/v1/grids'),
    ]);
    this.categories = [...rules.categories].sort((a, b) => (a.order || 99) - (b.order || 99));
    this.grids = grids;
    await Promise.all([this.loadStations(from), this.loadPeople(from)]);
  }

  async loadStations(from: Getter): Promise<void> {
    this.#setStations((await from.get<{ stations: StationInfo[] }>('/v1/stations')).stations);
  }

  /** What a dispatch desk watches beside matters: the county's cells, and how the mesh does. */
  async loadMesh(from: Getter): Promise<void> {
    const [all, mesh] = await Promise.all([from.get<{ cells: Cell[] }>('/v1/cells'), from.get<Mesh>('/v1/mesh')]);
    this.cells = all.cells.filter((c) => !c.merged_into);
    this.meshBefore = this.mesh;
    this.mesh = mesh;
  }

  /** The newest matters, closed ones too: frames bring only what is open or has changed since. */
  async loadIncidents(from: Getter): Promise<void> {
    const page = await from.get<{ incidents: Shown[] }>('/v1/incidents?limit=200');
    for (const i of page.incidents) if (!this.incidents.has(i.id)) this.#put(i);
  }

  /** One incident in full, with its receipts. */
  async loadIncident(from: Getter, id: string): Promise<void> {
    const shown = await from.get<Shown>(`/v1/incidents/${id}`);
    this.#put(shown);
  }

  /** Names are for those who may see them; elsewhere a page goes without. */
  async loadPeople(from: Getter): Promise<void> {
    try {
      this.people = (await from.get<{ people: Person[] }>('/v1/people')).people;
    } catch {
      this.people = [];
    }
  }

  person(id: string | undefined): Person | undefined {
    return this.people.find((p) => p.id === id);
  }

  /** How people are called on a screen; a kiosk bears the name of its station. */
  nameOf(id: string | undefined): string {
    if (id === undefined) return '';
    const kiosk = id.startsWith('kiosk:') ? this.stationOf(id.slice('kiosk:'.length)) : undefined;
    return this.person(id)?.name ?? kiosk?.name ?? id;
  }

  stationOf(id: string | undefined): StationInfo | undefined {
    return this.stations.find((s) => s.id === id);
  }

  /** The cells that a matter of this one could go to. */
  cellsBut(id: string): Cell[] {
    return this.cells.filter((c) => c.cell !== id);
  }

  category(id: string): Category | undefined {
    return this.categories.find((c) => c.id === id);
  }

  #setStations(stations: StationInfo[]): void {
    this.stations = stations;
    writeJSON(device, stationsKey, stations);
  }

  #put(shown: Shown): void {
    const before = this.incidents.get(shown.id);
    this.incidents.set(shown.id, { ...shown, receipts: shown.receipts ?? before?.receipts ?? [] });
    for (const r of shown.receipts ?? []) this.receipts.set(`${shown.id}/${r.wave}`, r);
  }
}

/** Whether the matter is at its end. */
const closed: Status[] = ['resolved', 'void', 'cancelled', 'merged', 'verified', 'followed_up', 'judged', 'archived'];

/** Whether the work on it is over; it may still be checked, called after and judged. */
export function isClosed(i: Shown): boolean {
  return closed.includes(i.status);
}
