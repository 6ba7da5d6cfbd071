// What the station's HTTP API and websocket say, as the screens see it. JSON is snake_case, times are
// RFC 3339 in UTC, places are WGS-84 degrees, distances metres.

export interface Point {
  lon: number;
  lat: number;
}

/** A place: degrees, or a grid with words, or both; radius is its uncertainty in metres. */
export interface Place extends Partial<Point> {
  grid?: string;
  words?: string;
  radius?: number;
}

export type Grade = 1 | 2 | 3 | 4;

export type Step = 'accepted' | 'declined' | 'en_route' | 'on_scene' | 'released';

export type Kind =
  | Step
  | 'raised'
  | 'emergency_called'
  | 'registered'
  | 'graded'
  | 'wave'
  | 'receipts'
  | 'support_requested'
  | 'clue'
  | 'card_updated'
  | 'assigned'
  | 'note'
  | 'cancel_requested'
  | 'resolved'
  | 'cancelled'
  | 'stood_down';

export type Status =
  | 'reported'
  | 'registered'
  | 'graded'
  | 'dispatched'
  | 'handling'
  | 'resolved'
  | 'void'
  | 'cancelled';

export type Field = 'registration' | 'grade' | 'assignment' | 'card' | 'outcome' | 'alarm';

export interface Card {
  what: string;
  do?: string;
  dont?: string;
}

export interface Text {
  zh: string;
  en: string;
}

export interface Person {
  id: string;
  name: string;
  roles: string[];
  home?: string;
}

export interface SessionAnswer {
  token: string;
  person: Person;
  station: string;
}

export interface StationInfo {
  id: string;
  name: string;
  kind: string;
  cell: string;
  township: string;
  place?: Point;
  url: string;
  alive: boolean;
  self: boolean;
  seen_at: string;
}

export interface Category {
  id: string;
  name: Text;
  grade: Grade;
  wanted: number;
  rings?: number[];
  order: number;
  sealed?: boolean;
  alarm: boolean;
  police_only?: boolean;
}

export interface GridInfo {
  id: string;
  name: string;
  township?: string;
  place: Point;
  radius: number;
}

export interface Landmark {
  id?: string;
  name: string;
  place: Point;
}

export interface Grids {
  grids: GridInfo[];
  landmarks?: Landmark[];
  note?: string;
}

/** Which guarantee holds for an event now. */
export interface Kept {
  here: boolean;
  near: number;
  recorded: boolean;
  index?: number;
}

/** The answer to a raise or a deed. */
export interface Taken {
  incident: string;
  event: string;
  kept: Kept;
  sent: number;
  again: boolean;
}

export interface Wave {
  number: number;
  ring: number;
  at: string;
  continues?: boolean;
  wide?: boolean;
  provisional?: boolean;
}

export interface Answer {
  person: string;
  step: Step;
  reason?: string;
  at: string;
  provisional?: boolean;
}

export interface Assignment {
  person: string;
  words?: string;
  by: string;
  at: string;
  provisional?: boolean;
}

export interface Support {
  event: string;
  by: string;
  words?: string;
  place?: Place;
  at: string;
  provisional?: boolean;
}

export interface Receipts {
  wave: number;
  sent: number;
  reached: number;
  opened: number;
  answered: number;
}

export interface Ref {
  event: string;
  kind: Kind;
  by: string;
  at: string;
}

export interface Line {
  event: string;
  index?: number;
  kind: Kind;
  by?: string;
  station: string;
  at?: string;
  told_at: string;
  provisional?: boolean;
  verdict?: string;
  lost?: Ref;
  body?: Record<string, unknown>;
}

/** An incident as this person may see it; the fields after `mine` are for those who work matters. */
export interface Shown {
  id: string;
  cell: string;
  category: string;
  grade: Grade;
  status: Status;
  place: Place;
  card?: Card;
  drill?: boolean;
  raised_at: string;
  provisional?: boolean;
  alarm?: { open: boolean; ended_at?: string; ended_by_kind?: Kind };
  waves?: Wave[];
  wanted?: number;
  coming?: number;
  on_scene?: number;
  mine?: { raised?: boolean; assigned?: boolean; step?: Step; at?: string; reason?: string };
  silent?: boolean;
  note?: string;
  source?: string;
  outside_number?: string;
  raised_by?: string;
  station?: string;
  called?: { service: string; number?: string }[];
  answers?: Answer[];
  assigned?: Assignment[];
  support?: Support[];
  cancel_asked?: { by: string; at: string };
  receipts?: Receipts[];
  latest?: Partial<Record<Field, string>>;
  timeline?: Line[];
  kept?: Kept;
}

export interface Position {
  person: string;
  place: Point;
  at: string;
  step?: Step;
}

/** A person's latest position, or that there is none any more. */
export type PositionNews = Position | { person: string; at: string; gone: true };

export interface AlarmFrame {
  type: 'alarm';
  incident: string;
  wave: number;
  support?: string;
  card: Card;
  category: string;
  grade: Grade;
  place: Place;
  provisional?: boolean;
  distance?: number;
  bearing?: number;
  continues?: boolean;
  drill?: boolean;
}

export type ServerFrame =
  | {
      type: 'welcome';
      station: string;
      session?: unknown;
      cursors?: Record<string, string>;
      server_time: string;
    }
  | AlarmFrame
  | { type: 'incident'; cell: string; cursor: string; incident: Shown }
  | ({ type: 'kept'; event: string } & Kept)
  | ({ type: 'receipts'; incident: string } & Receipts)
  | { type: 'refused'; event: string; incident: string; reason: string; code: string; by?: string; at?: string }
  | { type: 'stood_down'; incident: string; kind?: Kind; provisional?: boolean }
  | { type: 'positions'; positions: PositionNews[] }
  | { type: 'stations'; stations?: StationInfo[] }
  | { type: 'pong' }
  | { type: 'error'; code: string; message: string };

export interface Heard {
  incident: string;
  wave: number;
  support?: string;
}

export interface Hello {
  type: 'hello';
  token: string;
  device: string;
  after: Record<string, string>;
  heard: Heard[];
  position?: Point;
  duty?: boolean;
}

/** released: the device stopped sounding because the alarm ended. */
export type ReceiptState = 'reached' | 'opened' | 'released';

export type ClientFrame =
  | Hello
  | { type: 'position'; place: Point }
  | { type: 'duty'; duty: boolean }
  | { type: 'receipt'; incident: string; wave: number; support?: string; state: ReceiptState }
  | { type: 'ping' };

/** What a page asks a station to do to an incident: the event's kind and its body's own fields. */
export type Deed = { kind: Kind; id?: string; saw?: string } & Record<string, unknown>;

export interface RaiseBody {
  category: string;
  place: Place;
  note?: string;
  id?: string;
  drill?: boolean;
  called_110?: boolean | string;
  silent?: boolean;
  source?: string;
  outside_number?: string;
  grade?: Grade;
}

/** RFC 9457, with what HiveMesh adds to a refusal. */
export interface ProblemBody {
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  lost?: Ref;
}
