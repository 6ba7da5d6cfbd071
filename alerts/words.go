package alerts

// Grade is how bad a matter is: 1 特别重大 (red) to 4 一般 (blue).
type Grade int

// The four grades.
const (
	Grade1 Grade = 1 + iota // Ⅰ 特别重大, red
	Grade2                  // Ⅱ 重大, orange
	Grade3                  // Ⅲ 较大, yellow
	Grade4                  // Ⅳ 一般, blue
)

// Valid reports whether g is one of the four.
func (g Grade) Valid() bool { return g >= Grade1 && g <= Grade4 }

// Role is what a person may be called for and may do.
type Role string

// The roles.
const (
	Reporter        Role = "reporter"
	Informant       Role = "informant"
	GridWorker      Role = "grid_worker"
	GridLeader      Role = "grid_leader"
	Volunteer       Role = "volunteer"
	Guard           Role = "guard"
	EnterpriseMgr   Role = "enterprise_manager"
	VillageCadre    Role = "village_cadre"
	Mediator        Role = "mediator"
	AuxiliaryPolice Role = "auxiliary_police"
	Officer         Role = "officer"
	Dispatcher      Role = "dispatcher"
	TownshipCentre  Role = "township_centre"
	CountyCentre    Role = "county_centre"
	DepartmentDesk  Role = "department_desk"
	FollowUpCaller  Role = "follow_up_caller"
	Auditor         Role = "auditor"
	Admin           Role = "admin"
	KioskRole       Role = "kiosk" // a station's own screen: raises for whoever stands there, sees clue cards
)

// Valid reports whether r is one of them.
func (r Role) Valid() bool {
	switch r {
	case Reporter, Informant, GridWorker, GridLeader, Volunteer, Guard, EnterpriseMgr, VillageCadre, Mediator,
		AuxiliaryPolice, Officer, Dispatcher, TownshipCentre, CountyCentre, DepartmentDesk, FollowUpCaller, Auditor,
		Admin, KioskRole:
		return true
	}
	return false
}

// StationKind is what sort of place a station stands in.
type StationKind string

// The kinds of station.
const (
	Village        StationKind = "village"
	Enterprise     StationKind = "enterprise"
	School         StationKind = "school"
	Hospital       StationKind = "hospital"
	Checkpoint     StationKind = "checkpoint"
	Market         StationKind = "market"
	PolicePost     StationKind = "police_post"
	TownshipOffice StationKind = "township_centre"
	CountyOffice   StationKind = "county_centre"
	Mobile         StationKind = "mobile"
)

// Valid reports whether k is one of them.
func (k StationKind) Valid() bool {
	switch k {
	case Village, Enterprise, School, Hospital, Checkpoint, Market, PolicePost, TownshipOffice, CountyOffice, Mobile:
		return true
	}
	return false
}

// Trusted reports whether stations of kind k may sign decisions: a stolen village box cannot make an
// officer cancel a search.
func (k StationKind) Trusted() bool {
	return k == PolicePost || k == TownshipOffice || k == CountyOffice
}
