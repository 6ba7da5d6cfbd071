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
)

// kindRow is one row of the table of kinds: how a body is made, and what the kind decides, if anything.
type kindRow struct {
	body  func() Body
	field Field // empty: a fact
	alarm bool  // belongs to the alarm lane: every station of the county holds it
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
		return kindRow{body: func() Body { return new(Receipts) }}, true
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
func (f *Foreign) Kind() Kind        { return f.Name }
