package alerts

// Kind is what an event says happened: a past participle in English, a verb when asked for in the API.
type Kind string

// The kinds known to this version.
const (
	KindRaised           Kind = "raised"
	KindEmergencyCalled  Kind = "emergency_called"
	KindRegistered       Kind = "registered"
	KindGraded           Kind = "graded"
	KindWave             Kind = "wave"
	KindReceipts         Kind = "receipts"
	KindAccepted         Kind = "accepted"
	KindDeclined         Kind = "declined"
	KindEnRoute          Kind = "en_route"
	KindOnScene          Kind = "on_scene"
	KindReleased         Kind = "released"
	KindSupportRequested Kind = "support_requested"
	KindClue             Kind = "clue"
	KindCardUpdated      Kind = "card_updated"
	KindAssigned         Kind = "assigned"
	KindNote             Kind = "note"
	KindCancelRequested  Kind = "cancel_requested"
	KindResolved         Kind = "resolved"
	KindCancelled        Kind = "cancelled"
	KindStoodDown        Kind = "stood_down"

	// The course of a matter beside its alarm; course.go.
	KindAsked        Kind = "asked"         // the guided questions, answered
	KindReturned     Kind = "returned"      // 退回
	KindLevelChanged Kind = "level_changed" // 上报上级 / 下派
	KindFeedback     Kind = "feedback"      // 反馈
	KindStepped      Kind = "stepped"       // a step of the category's template was done
	KindAppointed    Kind = "appointed"     // a time was agreed
	KindWished       Kind = "wished"        // a time was wished for
	KindSupervised   Kind = "supervised"    // 督办, or its end
	KindVerified     Kind = "verified"      // 核查
	KindFollowedUp   Kind = "followed_up"   // 回访
	KindAffected     Kind = "affected"      // one more party that may give its verdict
	KindRated        Kind = "rated"         // one party's verdict
	KindJudged       Kind = "judged"        // 群众评判: the verdicts are counted
	KindReopened     Kind = "reopened"      // 重办
	KindArchived     Kind = "archived"      // 归档
	KindMerged       Kind = "merged"        // it is the same matter as another
	KindUnmerged     Kind = "unmerged"      // it is not, after all

	KindTransferred Kind = "transferred" // the matter goes to another cell
	KindCarried     Kind = "carried"     // in the other cell: one entry of the old one's record
	KindHandedOver  Kind = "handed_over" // in the old cell: how far the other one has it

	// The directory's, recorded in the home cell; sealed stands in the record that it ends.
	KindCellChanged     Kind = "cell_changed"
	KindStationPlaced   Kind = "station_placed"
	KindStationExpelled Kind = "station_expelled"
	KindKeyChanged      Kind = "gossip_key_changed"
	KindSealed          Kind = "sealed"
)

// Field is what a decision decides. Two decisions on one field exclude each other.
type Field string

// The fields of an incident that decisions are about.
const (
	FieldRegistration Field = "registration"
	FieldGrade        Field = "grade"
	FieldAssignment   Field = "assignment"
	FieldCard         Field = "card"
	FieldOutcome      Field = "outcome" // resolved or cancelled
	FieldAlarm        Field = "alarm"   // stood down
	FieldHome         Field = "home"    // which cell the matter is of

	FieldLevel        Field = "level"        // who handles it: village, township or county
	FieldAppointment  Field = "appointment"  // when
	FieldSupervision  Field = "supervision"  // whether it is under supervision
	FieldVerification Field = "verification" // whether the check was passed
	FieldFollowUp     Field = "follow_up"    // what the call after it came to
	FieldJudgement    Field = "judgement"    // what the public says of it
	FieldArchive      Field = "archive"
	FieldDuplicate    Field = "duplicate" // which matter it is the same as

	FieldCells Field = "cells" // of the directory: which townships and stations are of which cell
)

// kindRow is one row of the table of kinds: how a body is made, and what the kind decides, if anything.
type kindRow struct {
	body   func() Body
	field  Field // empty: a fact
	alarm  bool  // belongs to the alarm lane: every station of the county holds it
	county bool  // says something of the county or the cell itself: it belongs to no incident
	own    bool  // made by stations, never by a person
	after  bool  // a decision that is for a matter whose work is over, and for no other
	always bool  // a decision for any matter
}

// rowOf is the table of kinds. Adding a kind is adding a row here, a body in body.go, a move in the
// table of moves, and its effect in fold.go.
func rowOf(k Kind) (kindRow, bool) {
	switch k {
	case KindRaised:
		return kindRow{body: func() Body { return new(Raised) }, alarm: true}, true
	case KindEmergencyCalled:
		return kindRow{body: func() Body { return new(EmergencyCalled) }}, true
	case KindRegistered:
		return kindRow{body: func() Body { return new(Registered) }, field: FieldRegistration, alarm: true}, true // void ends an alarm
	case KindGraded:
		return kindRow{body: func() Body { return new(Graded) }, field: FieldGrade}, true
	case KindWave:
		return kindRow{body: func() Body { return new(Waved) }, alarm: true}, true
	case KindReceipts:
		return kindRow{body: func() Body { return new(Receipts) }, own: true}, true
	case KindAccepted, KindDeclined, KindEnRoute, KindOnScene, KindReleased:
		return kindRow{body: func() Body { return &Responded{Step: k} }}, true
	case KindSupportRequested:
		return kindRow{body: func() Body { return new(SupportRequested) }, alarm: true}, true
	case KindClue:
		return kindRow{body: func() Body { return new(Clue) }}, true
	case KindCardUpdated:
		return kindRow{body: func() Body { return new(CardUpdated) }, field: FieldCard}, true
	case KindAssigned:
		return kindRow{body: func() Body { return new(Assigned) }, field: FieldAssignment}, true
	case KindNote:
		return kindRow{body: func() Body { return new(Note) }}, true
	case KindCancelRequested:
		return kindRow{body: func() Body { return new(CancelRequested) }}, true
	case KindResolved:
		return kindRow{body: func() Body { return new(Resolved) }, field: FieldOutcome, alarm: true}, true
	case KindCancelled:
		return kindRow{body: func() Body { return new(Cancelled) }, field: FieldOutcome, alarm: true}, true
	case KindStoodDown:
		return kindRow{body: func() Body { return new(StoodDown) }, field: FieldAlarm, alarm: true}, true
	case KindAsked:
		return kindRow{body: func() Body { return new(Asked) }}, true
	case KindReturned:
		return kindRow{body: func() Body { return new(Returned) }}, true
	case KindLevelChanged:
		return kindRow{body: func() Body { return new(LevelChanged) }, field: FieldLevel}, true
	case KindFeedback:
		return kindRow{body: func() Body { return new(Feedback) }}, true
	case KindStepped:
		return kindRow{body: func() Body { return new(Stepped) }}, true
	case KindAppointed:
		return kindRow{body: func() Body { return new(Appointed) }, field: FieldAppointment}, true
	case KindWished:
		return kindRow{body: func() Body { return new(Wished) }}, true
	case KindSupervised:
		return kindRow{body: func() Body { return new(Supervised) }, field: FieldSupervision, always: true}, true
	case KindVerified:
		return kindRow{body: func() Body { return new(Verified) }, field: FieldVerification, after: true}, true
	case KindFollowedUp:
		return kindRow{body: func() Body { return new(FollowedUp) }, field: FieldFollowUp, after: true}, true
	case KindAffected:
		return kindRow{body: func() Body { return new(Affected) }}, true
	case KindRated:
		return kindRow{body: func() Body { return new(Rated) }}, true
	case KindJudged:
		return kindRow{body: func() Body { return new(Judged) }, field: FieldJudgement, after: true}, true
	case KindReopened:
		return kindRow{body: func() Body { return new(Reopened) }, field: FieldOutcome, after: true}, true
	case KindArchived:
		return kindRow{body: func() Body { return new(Archived) }, field: FieldArchive, after: true}, true
	case KindMerged:
		return kindRow{body: func() Body { return new(Merged) }, field: FieldDuplicate, alarm: true}, true
	case KindUnmerged:
		return kindRow{body: func() Body { return new(Unmerged) }, field: FieldDuplicate, after: true}, true
	case KindTransferred:
		return kindRow{body: func() Body { return new(Transferred) }, field: FieldHome, alarm: true}, true
	case KindCarried:
		return kindRow{body: func() Body { return new(Carried) }, own: true}, true // alarm lane: as what it carries
	case KindHandedOver:
		return kindRow{body: func() Body { return new(HandedOver) }, own: true}, true
	case KindCellChanged:
		return kindRow{body: func() Body { return new(CellChanged) }, field: FieldCells, county: true}, true
	case KindStationPlaced:
		return kindRow{body: func() Body { return new(StationPlaced) }, field: FieldCells, county: true}, true
	case KindStationExpelled:
		return kindRow{body: func() Body { return new(StationExpelled) }, county: true, own: true}, true
	case KindKeyChanged:
		return kindRow{body: func() Body { return new(KeyChanged) }, county: true, own: true}, true
	case KindSealed:
		return kindRow{body: func() Body { return new(Sealed) }, county: true, own: true}, true
	}
	return kindRow{}, false
}

// NewBody returns an empty body for decoding an event of kind k, or false when k is not known.
func NewBody(k Kind) (Body, bool) {
	row, ok := rowOf(k)
	if !ok {
		return nil, false
	}
	return row.body(), true
}

// FieldOf returns what kind k decides; empty for a fact.
func FieldOf(k Kind) Field {
	row, _ := rowOf(k)
	return row.field
}

// AlarmLane reports whether events of kind k are held by every station of the county.
func AlarmLane(k Kind) bool {
	row, _ := rowOf(k)
	return row.alarm
}

// AlarmLane reports whether every station of the county holds e while its alarm is open. What is carried into
// another cell is as urgent there as it was.
func (e Event) AlarmLane() bool {
	return AlarmLane(carriedOr(e).Kind)
}

// OfCounty reports whether events of kind k belong to no incident but to the county or its cells.
func OfCounty(k Kind) bool {
	row, _ := rowOf(k)
	return row.county
}

// Kind names the body's kind.
func (*Raised) Kind() Kind           { return KindRaised }
func (*EmergencyCalled) Kind() Kind  { return KindEmergencyCalled }
func (*Registered) Kind() Kind       { return KindRegistered }
func (*Graded) Kind() Kind           { return KindGraded }
func (*Waved) Kind() Kind            { return KindWave }
func (*Receipts) Kind() Kind         { return KindReceipts }
func (r *Responded) Kind() Kind      { return r.Step }
func (*SupportRequested) Kind() Kind { return KindSupportRequested }
func (*Clue) Kind() Kind             { return KindClue }
func (*CardUpdated) Kind() Kind      { return KindCardUpdated }
func (*Assigned) Kind() Kind         { return KindAssigned }
func (*Note) Kind() Kind             { return KindNote }
func (*CancelRequested) Kind() Kind  { return KindCancelRequested }
func (*Resolved) Kind() Kind         { return KindResolved }
func (*Cancelled) Kind() Kind        { return KindCancelled }
func (*StoodDown) Kind() Kind        { return KindStoodDown }
func (*Asked) Kind() Kind            { return KindAsked }
func (*Returned) Kind() Kind         { return KindReturned }
func (*LevelChanged) Kind() Kind     { return KindLevelChanged }
func (*Feedback) Kind() Kind         { return KindFeedback }
func (*Stepped) Kind() Kind          { return KindStepped }
func (*Appointed) Kind() Kind        { return KindAppointed }
func (*Wished) Kind() Kind           { return KindWished }
func (*Supervised) Kind() Kind       { return KindSupervised }
func (*Verified) Kind() Kind         { return KindVerified }
func (*FollowedUp) Kind() Kind       { return KindFollowedUp }
func (*Affected) Kind() Kind         { return KindAffected }
func (*Rated) Kind() Kind            { return KindRated }
func (*Judged) Kind() Kind           { return KindJudged }
func (*Reopened) Kind() Kind         { return KindReopened }
func (*Archived) Kind() Kind         { return KindArchived }
func (*Merged) Kind() Kind           { return KindMerged }
func (*Unmerged) Kind() Kind         { return KindUnmerged }
func (*Transferred) Kind() Kind      { return KindTransferred }
func (*Carried) Kind() Kind          { return KindCarried }
func (*HandedOver) Kind() Kind       { return KindHandedOver }
func (*CellChanged) Kind() Kind      { return KindCellChanged }
func (*StationPlaced) Kind() Kind    { return KindStationPlaced }
func (*StationExpelled) Kind() Kind  { return KindStationExpelled }
func (*KeyChanged) Kind() Kind       { return KindKeyChanged }
func (*Sealed) Kind() Kind           { return KindSealed }
func (f *Foreign) Kind() Kind        { return f.Name }
