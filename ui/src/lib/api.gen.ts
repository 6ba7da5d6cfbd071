// Made by `npm run types` from api.schema.json. Do not edit.

export type ClientFrame = HelloFrame | PositionFrame | DutyFrame | ReceiptFrame | PingFrame;
/**
 * one of the kinds
 */
export type Deed =
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'emergency_called';
      number?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      service: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'registered';
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      void?: boolean;
    }
  | {
      grade: 1 | 2 | 3 | 4;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'graded';
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      continues?: boolean;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'wave';
      reason?: string;
      ring: number;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      wave?: number;
      wide?: boolean;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'accepted';
      place?: PlaceForm;
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'declined';
      place?: PlaceForm;
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'en_route';
      place?: PlaceForm;
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'on_scene';
      place?: PlaceForm;
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'released';
      place?: PlaceForm;
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'support_requested';
      place?: PlaceForm;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words?: string;
    }
  | {
      heading?: string;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'clue';
      place: PlaceForm;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      seen: boolean;
      seen_at: string;
      words?: string;
    }
  | {
      card: Card;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'card_updated';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'assigned';
      person: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'note';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'cancel_requested';
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      code: string;
      evidence?: Evidence[] | null;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'resolved';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'cancelled';
      reason: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'stood_down';
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'transferred';
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      to: string;
    }
  | {
      answers: {
        [k: string]: string;
      };
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'asked';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'returned';
      reason: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'level_changed';
      level: 'village' | 'township' | 'county';
      reason: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      done?: string;
      evidence?: Evidence[] | null;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'feedback';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words: string;
    }
  | {
      due?: string;
      evidence?: Evidence[] | null;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'stepped';
      result?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      step: string;
      words?: string;
    }
  | {
      at: string;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'wished';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words?: string;
    }
  | {
      at: string;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'appointed';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      until?: string;
      words?: string;
    }
  | {
      due?: string;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'supervised';
      lifted?: boolean;
      reason: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      evidence?: Evidence[] | null;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'verified';
      passed: boolean;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words?: string;
    }
  | {
      given_up?: boolean;
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'followed_up';
      reached: boolean;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'affected';
      party: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'rated';
      party: string;
      satisfaction: 'satisfied' | 'partly' | 'unsatisfied' | 'no_opinion';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
      words?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'judged';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'reopened';
      reason: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'archived';
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      into: string;
      kind: 'merged';
      reason?: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    }
  | {
      /**
       * yours, so that trying again makes no second event
       */
      id?: string;
      kind: 'unmerged';
      reason: string;
      /**
       * the last accepted decision on this field that you saw
       */
      saw?: string;
    };
export type ServerFrame =
  | WelcomeFrame
  | AlarmFrame
  | StoodDownFrame
  | IncidentFrame
  | KeptFrame
  | ReceiptsFrame
  | RefusedFrame
  | PositionsFrame
  | StationsFrame
  | ErrorFrame
  | PongFrame;

export interface AlarmFrame {
  /**
   * degrees clockwise from north
   */
  bearing?: number;
  card: Card;
  category: string;
  /**
   * search continues: sounds again for those who heard an earlier wave
   */
  continues?: boolean;
  /**
   * metres from where you are known to be
   */
  distance?: number;
  drill: boolean;
  grade: 1 | 2 | 3 | 4;
  incident: string;
  place: PlaceForm;
  /**
   * not on the record yet; an incident frame says when it is
   */
  provisional: boolean;
  /**
   * the call for support; it sounds above every alarm
   */
  support?: string;
  type: 'alarm';
  /**
   * 0 for a call for support
   */
  wave: number;
}
export interface Card {
  do?: string;
  dont?: string;
  what: string;
}
export interface PlaceForm {
  /**
   * a grid of GET /v1/grids, instead of lon and lat
   */
  grid?: string;
  /**
   * degrees WGS-84, with lon
   */
  lat?: number;
  /**
   * degrees WGS-84, with lat
   */
  lon?: number;
  /**
   * metres of uncertainty
   */
  radius?: number;
  /**
   * where, as people say it
   */
  words?: string;
}
export interface CategoryView {
  /**
   * whether it sounds at all
   */
  alarm: boolean;
  /**
   * guided questions
   */
  asks?: Question[];
  /**
   * what it may be resolved with; none: any
   */
  codes?: Outcome[];
  /**
   * needed to resolve it
   */
  evidence?: ('words' | 'photo' | 'document' | 'agreement' | 'receipt')[];
  grade: 1 | 2 | 3 | 4;
  /**
   * who may report back, do the steps and return it, beside those who dispatch; none: all whom the moves let
   */
  handles?: string[];
  id: string;
  /**
   * who handles it
   */
  level: 'village' | 'township' | 'county';
  name: Text;
  /**
   * place among a kiosk's buttons; 0: not on the first page
   */
  order: number;
  /**
   * wakes police roles only, until a dispatcher says otherwise
   */
  police_only: boolean;
  /**
   * metres of waves 1, 2, 3 …
   */
  rings: number[];
  sealed: boolean;
  /**
   * what is done on the way
   */
  steps?: StepRow[];
  wakes: string[];
  /**
   * responders wanted
   */
  wanted: number;
}
export interface Question {
  choices?: Coded[];
  id: string;
  name: Text;
}
export interface Coded {
  id: string;
  name: Text;
}
export interface Text {
  en: string;
  zh: string;
}
export interface Outcome {
  id: string;
  name: Text;
  needs?: string[];
}
export interface StepRow {
  after?: string;
  by?: string[];
  dated?: boolean;
  evidence?: ('words' | 'photo' | 'document' | 'agreement' | 'receipt')[];
  id: string;
  name: Text;
  needed?: boolean;
  passes?: string[];
  results?: Coded[];
}
export interface CellInputBody {
  /**
   * a new name, or one of GET /v1/cells
   */
  cell: string;
  /**
   * who begins a new cell's record; left out: the steadiest of its stations
   *
   * @maxItems 7
   */
  founders?:
    | []
    | [string]
    | [string, string]
    | [string, string, string]
    | [string, string, string, string]
    | [string, string, string, string, string]
    | [string, string, string, string, string, string]
    | [string, string, string, string, string, string, string];
  /**
   * yours, so that trying again makes no second change
   */
  id?: string;
  /**
   * @maxItems 400
   */
  stations?: string[];
  /**
   * @maxItems 400
   */
  townships?: string[];
  voters?: number;
}
export interface CellView {
  cell: string;
  /**
   * how often the directory changed it
   */
  epoch: number;
  /**
   * this station follows its record
   */
  followed: boolean;
  /**
   * every station follows it; its record holds the directory
   */
  home: boolean;
  /**
   * it has ended, and this is its successor
   */
  merged_into?: string;
  /**
   * those that work for it now, as far as this station knows them
   */
  stations: string[];
  townships: string[];
  /**
   * how many are wanted; absent: by the number of stations
   */
  voters?: number;
}
export interface CellsOutputBody {
  cells: CellView[];
}
export interface HelloFrame {
  /**
   * cursor of the last incident frame per cell
   */
  after?: {
    [k: string]: string;
  };
  /**
   * a stable id of this device, the same at every station
   */
  device: string;
  /**
   * on duty or willing to be called; true unless said otherwise
   */
  duty?: boolean;
  /**
   * what this device has sounded for and not yet dropped
   *
   * @maxItems 1000
   */
  heard?: HeardWave[];
  position?: PointForm;
  /**
   * unless the upgrade brought a bearer token or cookie
   */
  token?: string;
  type: 'hello';
}
export interface HeardWave {
  incident: string;
  support?: string;
  wave?: number;
}
export interface PointForm {
  lat: number | null;
  lon: number | null;
}
export interface PositionFrame {
  place: PointForm;
  type: 'position';
}
export interface DutyFrame {
  duty: boolean | null;
  type: 'duty';
}
export interface ReceiptFrame {
  incident: string;
  /**
   * released: the device stopped sounding after stood_down
   */
  state: 'reached' | 'opened' | 'released';
  support?: string;
  type: 'receipt';
  /**
   * 0 or absent with support
   */
  wave?: number;
}
export interface PingFrame {
  type: 'ping';
}
export interface Evidence {
  kind: 'words' | 'photo' | 'document' | 'agreement' | 'receipt';
  sha256?: string;
  words?: string;
}
export interface EmergencyCalled {
  number?: string;
  service: string;
}
export interface ErrorFrame {
  code: string;
  message: string;
  type: 'error';
}
export interface EventOutputBody {
  event: string;
  kept: Kept;
}
export interface Kept {
  here: boolean;
  index?: number;
  near: number;
  recorded: boolean;
  /**
   * on the record, and does not count: why
   */
  refused?: string;
}
export interface Fault {
  message: string;
  where: string;
}
export interface Grid {
  id: string;
  name: string;
  place: Point;
  radius: number;
  township: string;
}
export interface Point {
  lat: number;
  lon: number;
}
export interface IncidentDetail {
  alarm: ShownAlarm;
  answers?: ShownAnswer[];
  appointment?: ShownAppointment;
  assigned?: ShownAssignment[];
  called?: EmergencyCalled[];
  /**
   * calls after it that reached nobody, in this round
   */
  calls?: number;
  cancel_asked?: ShownRef;
  card: Card;
  category: string;
  /**
   * whose record it is in
   */
  cell: string;
  /**
   * who checked it once and may not again
   */
  checkers?: string[];
  /**
   * the code that a handler says it is done with
   */
  claimed?: string;
  /**
   * those that have begun
   */
  clocks?: ShownClock[];
  coming: number;
  drill: boolean;
  /**
   * an end was refused: the search continues
   */
  end_refused?: boolean;
  evidence?: Evidence[];
  grade: 1 | 2 | 3 | 4;
  /**
   * who may not check it or call after it
   */
  handlers?: string[];
  id: string;
  judgement?: ShownJudgement;
  kept?: Kept;
  /**
   * what the category asks for before it can be resolved
   */
  lacks?: string[];
  /**
   * by field, the decision that the next one names in saw
   */
  latest?: {
    [k: string]: string;
  };
  /**
   * who handles it
   */
  level?: 'village' | 'township' | 'county';
  merged_into?: string;
  mine?: ShownMine;
  /**
   * the cell it is going to, until that has it
   */
  moved_to?: string;
  note?: string;
  on_scene: number;
  outside_number?: string;
  /**
   * who may give a verdict beside the reporter
   */
  parties?: string[];
  place: PlaceForm;
  /**
   * something of what is shown is not yet in the record
   */
  provisional: boolean;
  raised_at: string;
  raised_by?: string;
  /**
   * hidden from whoever handled the matter until they are counted
   */
  ratings?: ShownRating[];
  /**
   * of every wave: for who sees the matter in full, and who raised it
   */
  receipts?: WaveReceipts[];
  /**
   * how often it was opened again
   */
  round?: number;
  silent?: boolean;
  source?: 'kiosk' | 'patrol' | 'phone' | 'counter';
  station?: string;
  status:
    | 'reported'
    | 'registered'
    | 'graded'
    | 'returned'
    | 'reopened'
    | 'dispatched'
    | 'handling'
    | 'resolved'
    | 'void'
    | 'cancelled'
    | 'merged'
    | 'verified'
    | 'followed_up'
    | 'judged'
    | 'archived';
  /**
   * of this round, as they were done
   */
  steps?: ShownStep[];
  supervision?: ShownSupervision;
  support?: ShownSupport[];
  timeline?: ShownLine[];
  /**
   * answers to the guided questions, by question
   */
  told?: {
    [k: string]: string;
  };
  wanted: number;
  waves: ShownWave[];
  wish?: ShownAppointment;
}
export interface ShownAlarm {
  ended_at?: string;
  ended_by_kind?:
    | 'raised'
    | 'receipts'
    | 'handed_over'
    | 'emergency_called'
    | 'registered'
    | 'graded'
    | 'wave'
    | 'accepted'
    | 'declined'
    | 'en_route'
    | 'on_scene'
    | 'released'
    | 'support_requested'
    | 'clue'
    | 'card_updated'
    | 'assigned'
    | 'note'
    | 'cancel_requested'
    | 'resolved'
    | 'cancelled'
    | 'stood_down'
    | 'transferred'
    | 'asked'
    | 'returned'
    | 'level_changed'
    | 'feedback'
    | 'stepped'
    | 'wished'
    | 'appointed'
    | 'supervised'
    | 'verified'
    | 'followed_up'
    | 'affected'
    | 'rated'
    | 'judged'
    | 'reopened'
    | 'archived'
    | 'merged'
    | 'unmerged';
  open: boolean;
}
export interface ShownAnswer {
  at: string;
  person: string;
  provisional?: boolean;
  reason?: string;
  step: 'accepted' | 'declined' | 'en_route' | 'on_scene' | 'released';
}
export interface ShownAppointment {
  at: string;
  until?: string;
  words?: string;
}
export interface ShownAssignment {
  at: string;
  by: string;
  person: string;
  provisional?: boolean;
  words?: string;
}
export interface ShownRef {
  at: string;
  by: string;
  event: string;
  kind:
    | 'raised'
    | 'receipts'
    | 'handed_over'
    | 'emergency_called'
    | 'registered'
    | 'graded'
    | 'wave'
    | 'accepted'
    | 'declined'
    | 'en_route'
    | 'on_scene'
    | 'released'
    | 'support_requested'
    | 'clue'
    | 'card_updated'
    | 'assigned'
    | 'note'
    | 'cancel_requested'
    | 'resolved'
    | 'cancelled'
    | 'stood_down'
    | 'transferred'
    | 'asked'
    | 'returned'
    | 'level_changed'
    | 'feedback'
    | 'stepped'
    | 'wished'
    | 'appointed'
    | 'supervised'
    | 'verified'
    | 'followed_up'
    | 'affected'
    | 'rated'
    | 'judged'
    | 'reopened'
    | 'archived'
    | 'merged'
    | 'unmerged';
}
export interface ShownClock {
  began: string;
  /**
   * seconds
   */
  limit: number;
  name: 'answer' | 'dispatch' | 'arrive' | 'feedback' | 'close' | 'due' | 'verify' | 'follow_up';
  /**
   * absent: it runs
   */
  stopped?: string;
}
export interface ShownJudgement {
  at: string;
  no_opinion: number;
  partly: number;
  round: number;
  satisfied: number;
  unsatisfied: number;
}
export interface ShownMine {
  appointment?: ShownAppointment;
  assigned?: boolean;
  at?: string;
  /**
   * what was told, for whoever was sent to handle a matter of everyday
   */
  note?: string;
  raised?: boolean;
  /**
   * the viewer raised it, and his verdict is there
   */
  rated?: boolean;
  reason?: string;
  step?: 'accepted' | 'declined' | 'en_route' | 'on_scene' | 'released';
}
export interface ShownRating {
  at: string;
  party: string;
  satisfaction: 'satisfied' | 'partly' | 'unsatisfied' | 'no_opinion';
  words?: string;
}
export interface WaveReceipts {
  answered: number;
  opened: number;
  reached: number;
  sent: number;
  wave: number;
}
export interface ShownStep {
  at: string;
  by?: string;
  due?: string;
  evidence?: Evidence[];
  provisional?: boolean;
  result?: string;
  step: string;
  words?: string;
}
export interface ShownSupervision {
  at: string;
  /**
   * absent: by a station's own rule
   */
  by?: string;
  due?: string;
  reason: string;
}
export interface ShownSupport {
  at: string;
  by: string;
  event: string;
  place?: PlaceForm;
  provisional?: boolean;
  words?: string;
}
export interface ShownLine {
  /**
   * the leader's time; while provisional the maker's
   */
  at: string;
  /**
   * the fields of its kind
   */
  body: {
    [k: string]: unknown;
  };
  /**
   * absent: the station itself
   */
  by?: string;
  event: string;
  /**
   * the cell whose record it was carried over from
   */
  from?: string;
  /**
   * in the cell's record; absent while provisional
   */
  index?: number;
  kind:
    | 'raised'
    | 'receipts'
    | 'handed_over'
    | 'emergency_called'
    | 'registered'
    | 'graded'
    | 'wave'
    | 'accepted'
    | 'declined'
    | 'en_route'
    | 'on_scene'
    | 'released'
    | 'support_requested'
    | 'clue'
    | 'card_updated'
    | 'assigned'
    | 'note'
    | 'cancel_requested'
    | 'resolved'
    | 'cancelled'
    | 'stood_down'
    | 'transferred'
    | 'asked'
    | 'returned'
    | 'level_changed'
    | 'feedback'
    | 'stepped'
    | 'wished'
    | 'appointed'
    | 'supervised'
    | 'verified'
    | 'followed_up'
    | 'affected'
    | 'rated'
    | 'judged'
    | 'reopened'
    | 'archived'
    | 'merged'
    | 'unmerged';
  lost?: ShownRef;
  /**
   * lacking: what the category asks for
   */
  missing?: string[];
  provisional?: boolean;
  station: string;
  /**
   * by the maker's clock
   */
  told_at: string;
  verdict: string;
}
export interface ShownWave {
  at: string;
  continues?: boolean;
  number: number;
  provisional?: boolean;
  /**
   * metres
   */
  ring: number;
  wide?: boolean;
}
export interface IncidentFrame {
  cell: string;
  /**
   * keep it, and give it as after in the next hello, at any station; absent where the station does not follow the cell
   */
  cursor?: string;
  incident: Shown;
  type: 'incident';
}
export interface Shown {
  alarm: ShownAlarm;
  answers?: ShownAnswer[];
  appointment?: ShownAppointment;
  assigned?: ShownAssignment[];
  called?: EmergencyCalled[];
  /**
   * calls after it that reached nobody, in this round
   */
  calls?: number;
  cancel_asked?: ShownRef;
  card: Card;
  category: string;
  /**
   * whose record it is in
   */
  cell: string;
  /**
   * who checked it once and may not again
   */
  checkers?: string[];
  /**
   * the code that a handler says it is done with
   */
  claimed?: string;
  /**
   * those that have begun
   */
  clocks?: ShownClock[];
  coming: number;
  drill: boolean;
  /**
   * an end was refused: the search continues
   */
  end_refused?: boolean;
  evidence?: Evidence[];
  grade: 1 | 2 | 3 | 4;
  /**
   * who may not check it or call after it
   */
  handlers?: string[];
  id: string;
  judgement?: ShownJudgement;
  /**
   * what the category asks for before it can be resolved
   */
  lacks?: string[];
  /**
   * by field, the decision that the next one names in saw
   */
  latest?: {
    [k: string]: string;
  };
  /**
   * who handles it
   */
  level?: 'village' | 'township' | 'county';
  merged_into?: string;
  mine?: ShownMine;
  /**
   * the cell it is going to, until that has it
   */
  moved_to?: string;
  note?: string;
  on_scene: number;
  outside_number?: string;
  /**
   * who may give a verdict beside the reporter
   */
  parties?: string[];
  place: PlaceForm;
  /**
   * something of what is shown is not yet in the record
   */
  provisional: boolean;
  raised_at: string;
  raised_by?: string;
  /**
   * hidden from whoever handled the matter until they are counted
   */
  ratings?: ShownRating[];
  /**
   * how often it was opened again
   */
  round?: number;
  silent?: boolean;
  source?: 'kiosk' | 'patrol' | 'phone' | 'counter';
  station?: string;
  status:
    | 'reported'
    | 'registered'
    | 'graded'
    | 'returned'
    | 'reopened'
    | 'dispatched'
    | 'handling'
    | 'resolved'
    | 'void'
    | 'cancelled'
    | 'merged'
    | 'verified'
    | 'followed_up'
    | 'judged'
    | 'archived';
  /**
   * of this round, as they were done
   */
  steps?: ShownStep[];
  supervision?: ShownSupervision;
  support?: ShownSupport[];
  timeline?: ShownLine[];
  /**
   * answers to the guided questions, by question
   */
  told?: {
    [k: string]: string;
  };
  wanted: number;
  waves: ShownWave[];
  wish?: ShownAppointment;
}
export interface IncidentsOutputBody {
  /**
   * where each cell's record stands in this answer; give it as after in hello
   */
  cursor: {
    [k: string]: string;
  };
  incidents: Shown[];
  /**
   * there are older ones: ask again with before
   */
  more: boolean;
}
export interface KeptFrame {
  event: string;
  here: boolean;
  incident?: string;
  index?: number;
  near: number;
  recorded: boolean;
  /**
   * on the record, and does not count: why
   */
  refused?: string;
  type: 'kept';
}
export interface Landmark {
  kind?: string;
  name: string;
  place: Point;
}
export interface Lost {
  at: string;
  by: string;
  event: string;
  kind:
    | 'raised'
    | 'receipts'
    | 'handed_over'
    | 'emergency_called'
    | 'registered'
    | 'graded'
    | 'wave'
    | 'accepted'
    | 'declined'
    | 'en_route'
    | 'on_scene'
    | 'released'
    | 'support_requested'
    | 'clue'
    | 'card_updated'
    | 'assigned'
    | 'note'
    | 'cancel_requested'
    | 'resolved'
    | 'cancelled'
    | 'stood_down'
    | 'transferred'
    | 'asked'
    | 'returned'
    | 'level_changed'
    | 'feedback'
    | 'stepped'
    | 'wished'
    | 'appointed'
    | 'supervised'
    | 'verified'
    | 'followed_up'
    | 'affected'
    | 'rated'
    | 'judged'
    | 'reopened'
    | 'archived'
    | 'merged'
    | 'unmerged';
}
export interface MergeInputBody {
  /**
   * yours, so that trying again makes no second change
   */
  id?: string;
  into: string;
}
export interface MeshCell {
  cell: string;
  chain: string;
  depth: number;
  epoch: number;
  error?: string;
  feeds: number;
  fold?: string;
  index: number;
  lag: number;
  leader: string;
  pending: number;
  role: string;
  source?: string;
  voters: string[];
}
export interface MeshDisk {
  ballast: boolean;
  error?: string;
  failed: number;
  free: number;
  level: string;
}
export interface MeshGone {
  /**
   * by the clock of whoever said so
   */
  at: string;
  /**
   * of the home cell's record, where an expulsion is noted; absent: not yet
   */
  entry?: number;
  name: string;
  station: string;
  why: 'expelled' | 'replaced' | 'left';
}
export interface MeshInfo {
  cells: MeshCell[];
  disk: MeshDisk;
  gone: MeshGone[];
  gossip_key: MeshKey;
  members: MeshMember[];
  pid: number;
  station: string;
  traffic: MeshTraffic[];
  version: string;
}
export interface MeshKey {
  /**
   * of the home cell's record, where the change is noted; absent for the first, or not yet
   */
  entry?: number;
  generation: number;
}
export interface MeshMember {
  alive: boolean;
  http: string;
  mesh: string;
  name: string;
  pid: number;
  station: string;
}
export interface MeshTraffic {
  in: number;
  out: number;
  protocol: string;
  rate: number;
}
export interface MoveView {
  /**
   * kinds of station that may sign it; none: any
   */
  at?: string[];
  by: string[];
  /**
   * what it decides; none: a fact
   */
  field?: string;
  /**
   * statuses it is possible from; none: any open one
   */
  from?: (
    | 'reported'
    | 'registered'
    | 'graded'
    | 'returned'
    | 'reopened'
    | 'dispatched'
    | 'handling'
    | 'resolved'
    | 'void'
    | 'cancelled'
    | 'merged'
    | 'verified'
    | 'followed_up'
    | 'judged'
    | 'archived'
  )[];
  kind:
    | 'raised'
    | 'receipts'
    | 'handed_over'
    | 'emergency_called'
    | 'registered'
    | 'graded'
    | 'wave'
    | 'accepted'
    | 'declined'
    | 'en_route'
    | 'on_scene'
    | 'released'
    | 'support_requested'
    | 'clue'
    | 'card_updated'
    | 'assigned'
    | 'note'
    | 'cancel_requested'
    | 'resolved'
    | 'cancelled'
    | 'stood_down'
    | 'transferred'
    | 'asked'
    | 'returned'
    | 'level_changed'
    | 'feedback'
    | 'stepped'
    | 'wished'
    | 'appointed'
    | 'supervised'
    | 'verified'
    | 'followed_up'
    | 'affected'
    | 'rated'
    | 'judged'
    | 'reopened'
    | 'archived'
    | 'merged'
    | 'unmerged';
  /**
   * the reporter and the raising kiosk may as well
   */
  own: boolean;
}
export interface PeopleOutputBody {
  people: PersonInfo[];
}
export interface PersonInfo {
  home: string;
  id: string;
  name: string;
  roles: string[];
}
export interface PlaceInputBody {
  cell: string;
  /**
   * yours, so that trying again makes no second change
   */
  id?: string;
}
export interface PongFrame {
  server_time: string;
  type: 'pong';
}
export interface PositionView {
  at: string;
  /**
   * no longer shared
   */
  gone?: boolean;
  person: string;
  place?: Point;
  /**
   * the latest answer to the open matter the person works on
   */
  step?: 'accepted' | 'declined' | 'en_route' | 'on_scene' | 'released';
}
export interface PositionsFrame {
  positions: PositionView[];
  type: 'positions';
}
export interface Problem {
  /**
   * stable name for programs
   */
  code: string;
  /**
   * what is wrong, and what still works
   */
  detail: string;
  /**
   * what to do about it
   */
  do?: string;
  /**
   * every mistake, when there are several
   */
  errors?: Fault[];
  /**
   * the values that would have been known
   */
  known?: string[];
  lost?: Lost;
  /**
   * lacking: what the category asks for before this, each as what: which
   */
  missing?: string[];
  /**
   * the HTTP status
   */
  status: number;
  /**
   * the HTTP status in words
   */
  title: string;
  /**
   * where the docs page explains the code
   */
  type: string;
  /**
   * the place of the mistake, e.g. body.place.lon
   */
  where?: string;
}
export interface RaiseInputBody {
  /**
   * whether 110 was called, or the number it gave the case
   */
  called_110?: boolean | string;
  /**
   * one of GET /v1/rules
   */
  category: string;
  drill?: boolean;
  /**
   * instead of the category's (dispatch only)
   */
  grade?: 1 | 2 | 3 | 4;
  /**
   * yours, so that trying again makes no second alert
   */
  id?: string;
  note?: string;
  /**
   * the number another service gave it (dispatch only)
   */
  outside_number?: string;
  place?: PlaceForm;
  /**
   * coercion: no sound or light at this station
   */
  silent?: boolean;
  source?: 'kiosk' | 'patrol' | 'phone' | 'counter';
}
export interface ReceiptsFrame {
  answered: number;
  incident: string;
  opened: number;
  reached: number;
  sent: number;
  type: 'receipts';
  wave: number;
}
export interface RefusedFrame {
  at?: string;
  /**
   * who made the one it lost to
   */
  by?: string;
  code: string;
  event: string;
  incident: string;
  /**
   * the event it lost to
   */
  lost?: string;
  /**
   * lacking: what the category asks for before this, each as what: which
   */
  missing?: string[];
  reason: string;
  type: 'refused';
}
export interface RulesOutputBody {
  categories: CategoryView[];
  moves: MoveView[];
  version: number;
}
export interface WelcomeFrame {
  /**
   * where the incident frames that follow take up, per cell; a cell that is missing starts anew
   */
  cursors: {
    [k: string]: string;
  };
  kiosk: boolean;
  server_time: string;
  session: PersonInfo;
  /**
   * when this connection is lost, wait a random time of up to so many milliseconds before the first try: after a power cut everybody comes at once
   */
  spread_ms: number;
  station: string;
  type: 'welcome';
}
export interface StoodDownFrame {
  incident: string;
  /**
   * what ended it: stood_down, resolved, cancelled or registered (void)
   */
  kind:
    | 'raised'
    | 'receipts'
    | 'handed_over'
    | 'emergency_called'
    | 'registered'
    | 'graded'
    | 'wave'
    | 'accepted'
    | 'declined'
    | 'en_route'
    | 'on_scene'
    | 'released'
    | 'support_requested'
    | 'clue'
    | 'card_updated'
    | 'assigned'
    | 'note'
    | 'cancel_requested'
    | 'resolved'
    | 'cancelled'
    | 'stood_down'
    | 'transferred'
    | 'asked'
    | 'returned'
    | 'level_changed'
    | 'feedback'
    | 'stepped'
    | 'wished'
    | 'appointed'
    | 'supervised'
    | 'verified'
    | 'followed_up'
    | 'affected'
    | 'rated'
    | 'judged'
    | 'reopened'
    | 'archived'
    | 'merged'
    | 'unmerged';
  provisional: boolean;
  type: 'stood_down';
}
export interface StationsFrame {
  stations: StationView[];
  type: 'stations';
}
export interface StationView {
  alive: boolean;
  cell: string;
  id: string;
  kind: string;
  name: string;
  place?: Point;
  /**
   * when gossip last changed its mind
   */
  seen_at: string;
  self: boolean;
  township: string;
  /**
   * where its pages and API are
   */
  url: string;
}
export interface SessionBody {
  expires: string;
  kiosk: boolean;
  person: PersonInfo;
  /**
   * the station that answers
   */
  station: string;
  /**
   * bearer token, good at every station of the county
   */
  token?: string;
}
export interface SignInInputBody {
  /**
   * instead of person: the session of this station's own kiosk
   */
  kiosk?: boolean;
  /**
   * id of a person of GET /v1/people
   */
  person?: string;
}
export interface StationsOutputBody {
  stations: StationView[];
}
export interface Taken {
  again: boolean;
  event: string;
  incident: string;
  kept: Kept;
  sent: number;
}
export interface Territory {
  grids: Grid[];
  landmarks: Landmark[];
  note: string;
}
