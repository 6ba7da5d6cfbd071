package alerts

import (
	"errors"
	"fmt"
	"math"
)

// Point is a place on the ground in WGS-84 degrees.
type Point struct {
	Lon float64 `cbor:"1,keyasint" json:"lon"`
	Lat float64 `cbor:"2,keyasint" json:"lat"`
}

// earthRadius is the mean radius R1 of the WGS-84 ellipsoid in metres (IUGG).
const earthRadius = 6371008.8

// CountyRing is a ring wide enough to mean "everybody in the county", in metres.
const CountyRing = 1e6

// ErrPlace says that coordinates are not on the Earth.
var ErrPlace = errors.New("place is out of range")

// Check refuses what is not a finite longitude in [-180, 180] and latitude in [-90, 90].
func (p Point) Check() error {
	switch {
	case math.IsNaN(p.Lon) || p.Lon < -180 || p.Lon > 180:
		return fmt.Errorf("%w: lon %v is not within -180 to 180 degrees", ErrPlace, p.Lon)
	case math.IsNaN(p.Lat) || p.Lat < -90 || p.Lat > 90:
		return fmt.Errorf("%w: lat %v is not within -90 to 90 degrees", ErrPlace, p.Lat)
	}
	return nil
}

// Distance is the great-circle distance from p to q in metres (haversine; error against the ellipsoid is
// under 0.6 %, far below what a ring of a kilometre needs).
func (p Point) Distance(q Point) float64 {
	lat1, lat2 := radians(p.Lat), radians(q.Lat)
	dLat, dLon := lat2-lat1, radians(q.Lon-p.Lon)
	sinLat, sinLon := math.Sin(dLat/2), math.Sin(dLon/2)
	h := sinLat*sinLat + math.Cos(lat1)*math.Cos(lat2)*sinLon*sinLon
	return 2 * earthRadius * math.Asin(math.Min(1, math.Sqrt(h)))
}

// Bearing is the initial bearing from p to q in degrees clockwise from north, in [0, 360).
func (p Point) Bearing(q Point) float64 {
	lat1, lat2, dLon := radians(p.Lat), radians(q.Lat), radians(q.Lon-p.Lon)
	y := math.Sin(dLon) * math.Cos(lat2)
	x := math.Cos(lat1)*math.Sin(lat2) - math.Sin(lat1)*math.Cos(lat2)*math.Cos(dLon)
	return math.Mod(math.Atan2(y, x)*180/math.Pi+360, 360)
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }
