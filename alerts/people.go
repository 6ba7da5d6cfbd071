package alerts

// Person is one entry of the directory.
type Person struct {
	ID    PersonID
	Name  string
	Roles []Role
	Home  StationID // the station a person counts at while no position is known
}

// Has reports whether the person holds any of roles.
func (p Person) Has(roles ...Role) bool {
	for _, have := range p.Roles {
		for _, want := range roles {
			if have == want {
				return true
			}
		}
	}
	return false
}

// Subject is who acts or looks, from where: authority is (role, action, kind of the signing station).
type Subject struct {
	Person  PersonID
	Roles   []Role
	Station StationID   // the station this session is at
	Kind    StationKind // of that station
}

// Listener is who may hear an alarm, with everything eligibility depends on.
type Listener struct {
	Subject
	At   *Point // last known position, else the home station's; nil: nowhere known
	Duty bool   // on duty or willing; false hears nothing
}

// Heard is what one device has sounded for already.
type Heard struct {
	Waves   map[IncidentID]int // the highest wave heard
	Support map[Hash]bool
}

// Alarm is what a device is to sound for.
type Alarm struct {
	Incident    *Incident
	Wave        int      // 0 for a call for support
	Support     *Support // set for a call for support
	Provisional bool
}
