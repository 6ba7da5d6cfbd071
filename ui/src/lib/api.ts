// What the station's HTTP API and websocket say, under the names that the screens use. All of it is made
// from the station's own documents (api.gen.ts), so that it cannot drift from what is served.
import type {
  AlarmFrame,
  CategoryView,
  CellView,
  HeardWave,
  HelloFrame,
  IncidentDetail,
  MeshInfo,
  PersonInfo,
  PlaceForm,
  PositionView,
  Problem,
  RaiseInputBody,
  ReceiptFrame,
  SessionBody,
  ShownAnswer,
  ShownAssignment,
  ShownLine,
  ShownRef,
  ShownSupport,
  ShownWave,
  StationView,
  Territory,
  WaveReceipts,
  Shown as ShownIncident,
} from './api.gen';

export type { AlarmFrame, Card, ClientFrame, Deed, Grid as GridInfo, Kept, Landmark, Point, ServerFrame, Taken, Text } from './api.gen';

export type Answer = ShownAnswer;
export type Assignment = ShownAssignment;
export type Category = CategoryView;
export type Cell = CellView;
export type Grade = AlarmFrame['grade'];
export type Grids = Territory;
export type Heard = HeardWave;
export type Hello = HelloFrame;
export type Kind = ShownLine['kind'];
export type Line = ShownLine;
export type Mesh = MeshInfo;
export type Person = PersonInfo;
export type Place = PlaceForm;
export type PositionNews = PositionView;
export type ProblemBody = Partial<Problem>;
export type RaiseBody = RaiseInputBody;
export type ReceiptState = ReceiptFrame['state'];
export type Receipts = WaveReceipts;
export type Ref = ShownRef;
/** The answer to signing in: with the token, which who-am-i leaves out. */
export type SessionAnswer = SessionBody & { token: string };
/** An incident as this person may see it; one asked for alone tells more of how far it got. */
export type Shown = ShownIncident & Partial<Pick<IncidentDetail, 'receipts' | 'kept'>>;
export type StationInfo = StationView;
export type Status = ShownIncident['status'];
export type Step = ShownAnswer['step'];
export type Support = ShownSupport;
export type Wave = ShownWave;

/** A position that is shared. */
export type Position = PositionView & { place: NonNullable<PositionView['place']> };

/** The fields of an incident that decisions are about. */
export type Field =
  | 'registration'
  | 'grade'
  | 'assignment'
  | 'card'
  | 'outcome'
  | 'alarm'
  | 'home'
  | 'level'
  | 'appointment'
  | 'supervision'
  | 'verification'
  | 'follow_up'
  | 'judgement'
  | 'archive'
  | 'duplicate';
