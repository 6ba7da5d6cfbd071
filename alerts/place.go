package alerts

import (
	"bytes"
	"encoding/json"
	"errors"
)

// placeForm is a Place as the API writes it: lon and lat flat.
type placeForm struct {
	Lon    *float64 `json:"lon,omitempty"`
	Lat    *float64 `json:"lat,omitempty"`
	Grid   string   `json:"grid,omitempty"`
	Words  string   `json:"words,omitempty"`
	Radius float64  `json:"radius,omitempty"`
}

// MarshalJSON writes {"lon", "lat", "grid", "words", "radius"}; what is not known is absent.
func (p Place) MarshalJSON() ([]byte, error) {
	f := placeForm{Grid: p.Grid, Words: p.Words, Radius: p.Radius}
	if p.Point != nil {
		f.Lon, f.Lat = &p.Point.Lon, &p.Point.Lat
	}
	return json.Marshal(f)
}

// UnmarshalJSON reads what MarshalJSON writes, and refuses other fields and half a point.
func (p *Place) UnmarshalJSON(b []byte) error {
	var f placeForm
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return err
	}
	if (f.Lon == nil) != (f.Lat == nil) {
		return errors.New("a place has both lon and lat, or neither")
	}
	*p = Place{Grid: f.Grid, Words: f.Words, Radius: f.Radius}
	if f.Lon != nil {
		p.Point = &Point{Lon: *f.Lon, Lat: *f.Lat}
	}
	return nil
}
