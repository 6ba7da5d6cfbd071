package alerts

import "regexp"

const (
	// maxNames bounds the townships or stations that one change of a cell names: with it the event fits.
	maxNames = 400
	// maxWord bounds the authority's word about a station, in bytes; it has some hundreds.
	maxWord = 12 << 10
	// maxVoters is more than any cell can use: each vote more makes each commit wait for more disks.
	maxVoters = 7
)

// cellText is the form of a cell's name: it stands in certificates and is the name of a folder.
var cellText = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func (p *problems) cell(field string, id CellID) {
	p.bad(!cellText.MatchString(string(id)), "%s %.40q: want 1 to 63 of a-z 0-9 - _, the first a letter or digit", field, id)
}

// countyBody checks what is said of the county, its cells and their matters' ways between them.
func (p *problems) countyBody(body Body) {
	switch b := body.(type) {
	case *Transferred:
		p.cell("to", b.To)
		p.text("reason", b.Reason, maxLine)
	case *HandedOver:
		p.bad(b.Index == 0, "index is 0")
	case *Sealed:
		p.cell("into", b.Into)
	case *CellChanged:
		p.cell("cell", b.Cell)
		if b.Into != "" {
			p.cell("merged_into", b.Into)
		}
		p.bad(len(b.Townships) > maxNames, "townships: %d are named, at most %d are taken", len(b.Townships), maxNames)
		p.bad(len(b.Stations) > maxNames, "stations: %d are named, at most %d are taken", len(b.Stations), maxNames)
		p.bad(len(b.Founders) > maxVoters, "founders: %d are named, at most %d are taken", len(b.Founders), maxVoters)
		p.bad(b.Voters < 0 || b.Voters > maxVoters, "voters %d is not within 0 to %d", b.Voters, maxVoters)
		for _, t := range b.Townships {
			p.bad(t == "", "townships: a name is empty")
			p.text("townships", t, maxID)
		}
		p.stations("stations", b.Stations)
		p.stations("founders", b.Founders)
	case *StationPlaced:
		p.stations("station", []StationID{b.Station})
		p.cell("cell", b.Cell)
	case *StationExpelled:
		p.stations("station", []StationID{b.Station})
		p.bad(len(b.Revocation) > maxWord, "revocation has %d bytes, at most %d are taken", len(b.Revocation), maxWord)
	case *KeyChanged:
		p.bad(b.Generation == 0, "generation is 0")
	}
}

func (p *problems) stations(field string, list []StationID) {
	seen := map[StationID]bool{}
	for _, s := range list {
		p.bad(s == "" || seen[s], "%s: a name is empty or given twice", field)
		p.text(field, string(s), maxID)
		seen[s] = true
	}
}

// carried checks that what is carried is of the same matter, and an event in its own right.
func (p *problems) carried(e Event, c *Carried) {
	p.cell("from", c.From)
	p.bad(c.From == e.Cell, "from is the cell itself")
	p.bad(c.Index > 0 && c.Prior >= c.Index, "prior %d is not before index %d", c.Prior, c.Index)
	p.bad(c.Event.Incident != e.Incident, "it carries an event of another incident")
	p.bad(c.Event.Kind == KindCarried || OfCounty(c.Event.Kind), "an event of kind %.40q cannot be carried", c.Event.Kind)
	p.year("at", c.At)
	if err := c.Event.Check(); err != nil {
		*p = append(*p, err)
	}
}
