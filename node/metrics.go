package node

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"hivemesh/cluster/disk"
)

// describe registers what this station says of itself to Prometheus; raft's and memberlist's own figures
// come with collectors, which count for the whole process.
func (n *Node) describe(r *prometheus.Registry, collectors []prometheus.Collector) {
	station := prometheus.Labels{"station": string(n.identity.Station)}
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: station}, f))
	}
	counter := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: station}, f))
	}
	cell := n.identity.Cell
	gauge("hive_record_index", "Entries of the cell's record at this station.", func() float64 {
		s, _ := n.county.Status(cell)
		return float64(s.Index)
	})
	gauge("hive_record_lag", "Entries behind the highest index heard of.", func() float64 {
		s, _ := n.county.Status(cell)
		return float64(s.Lag)
	})
	gauge("hive_pending_events", "Events of the cell not yet seen in its record.", func() float64 {
		_, pending := n.county.Status(cell)
		return float64(pending)
	})
	gauge("hive_disk_free_bytes", "Room left on the station's disk.", func() float64 { return float64(n.meshDisk().Free) })
	gauge("hive_disk_level", "How the disk stands: 0 roomy, 1 low, 2 positions and small log lines are shed, 3 it leads no record.", func() float64 {
		space, _ := n.county.Disk()
		return float64(slices.Index(disk.Levels, space.Level))
	})
	gauge("hive_disk_ballast", "1 while there is ballast to throw out when the disk is full.", func() float64 {
		if n.meshDisk().Ballast {
			return 1
		}
		return 0
	})
	counter("hive_disk_failed_writes_total", "Writes of the station's stores that failed.", func() float64 { return float64(n.meshDisk().Failed) })
	gauge("hive_stations_alive", "Stations that gossip believes alive, this one included.", func() float64 {
		alive := 0.0
		for _, m := range n.county.Members() {
			if m.Alive {
				alive++
			}
		}
		return alive
	})
	gauge("hive_clock_skew_seconds", "How far this box's clock is from what the other stations agree on; 0 while they do not.", func() float64 { return n.county.Skew().Seconds() })
	gauge("hive_streams_out", "Streams to other stations that are open.", func() float64 { return float64(n.county.Links().Out) })
	counter("hive_flash_sent_total", "Events handed to streams.", func() float64 { return float64(n.county.Links().Sent) })
	counter("hive_flash_thinned_total", "Events and soft state not sent to a station because too much waited for it.", func() float64 {
		return float64(n.county.Links().Thinned)
	})
	counter("hive_flash_received_total", "Good events that came over streams, known ones included.", func() float64 {
		return float64(n.county.Links().Received)
	})
	r.MustRegister(&badEvents{n: n, desc: prometheus.NewDesc("hive_bad_events_total",
		"What came from other stations and was dropped, by reason.", []string{"reason"}, station)})
	r.MustRegister(&traffic{n: n, desc: prometheus.NewDesc("hive_mesh_bytes_total",
		"Bytes over the mesh port, TLS included, by protocol and direction.", []string{"protocol", "direction"}, station)})
	for _, c := range collectors {
		r.MustRegister(c)
	}
}

// traffic is what goes over the mesh port; protocols show themselves when they are spoken.
type traffic struct {
	n    *Node
	desc *prometheus.Desc
}

func (t *traffic) Describe(ch chan<- *prometheus.Desc) { ch <- t.desc }

func (t *traffic) Collect(ch chan<- prometheus.Metric) {
	for proto, f := range t.n.county.Traffic() {
		ch <- prometheus.MustNewConstMetric(t.desc, prometheus.CounterValue, float64(f.In), proto, "in")
		ch <- prometheus.MustNewConstMetric(t.desc, prometheus.CounterValue, float64(f.Out), proto, "out")
	}
}

// badEvents counts what was dropped; the reasons are known only when they happen.
type badEvents struct {
	n    *Node
	desc *prometheus.Desc
}

func (b *badEvents) Describe(ch chan<- *prometheus.Desc) { ch <- b.desc }

func (b *badEvents) Collect(ch chan<- prometheus.Metric) {
	for reason, count := range b.n.county.Links().Bad {
		ch <- prometheus.MustNewConstMetric(b.desc, prometheus.CounterValue, float64(count), reason)
	}
}
