package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap/zapcore"

	"hivemesh/cluster/disk"
)

// Links between the voters of a cell: what raft's and gossip's timings are chosen by.
const (
	LinksLAN   = "lan"   // wired: an election takes a fraction of a second
	LinksMixed = "mixed" // metered or slow: an election takes seconds, idle traffic is small
)

// What keeps a station up: one with a battery is a better voter.
const (
	PowerMains   = "mains"
	PowerBattery = "battery" // it outlives a power cut of some hours
)

// Defaults of a station's config.
const (
	DefaultHTTP = "127.0.0.1:8080" // loopback: a kiosk opens its own station, and needs no certificate for it
	DefaultMesh = "0.0.0.0:9080"   // the other stations must reach it
	defaultLog  = "info"
)

// Config is one station's. configs/station.yaml explains each key.
type Config struct {
	Dir    string   `yaml:"dir"`
	HTTP   string   `yaml:"http"`
	Mesh   string   `yaml:"mesh"`
	Seeds  []string `yaml:"seeds"`
	Demo   bool     `yaml:"demo"`
	Links  string   `yaml:"links"`
	Power  string   `yaml:"power"`
	County string   `yaml:"county"`
	Rules  string   `yaml:"rules"`
	Log    string   `yaml:"log"`
}

// LoadConfig reads a station's config strictly: an unknown key, a wrong type or a value that cannot work is
// refused with its line.
func LoadConfig(path string) (Config, error) {
	var c Config
	if err := loadYAML(path, nil, &c); err != nil {
		return c, err
	}
	c = c.withDefaults()
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c Config) withDefaults() Config {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&c.HTTP, DefaultHTTP)
	set(&c.Mesh, DefaultMesh)
	set(&c.Links, LinksLAN)
	set(&c.Power, PowerMains)
	set(&c.Log, defaultLog)
	return c
}

// Check says everything that is wrong with c, each with its key.
func (c Config) Check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Dir == "" {
		bad("dir: missing; say where the station keeps its data")
	}
	for key, addr := range map[string]string{"http": c.HTTP, "mesh": c.Mesh} {
		if err := checkAddr(addr); err != nil {
			bad("%s: %w", key, err)
		}
	}
	for k, addr := range c.Seeds {
		if err := checkAddr(addr); err != nil {
			bad("seeds[%d]: %w", k, err)
		}
	}
	if c.Links != LinksLAN && c.Links != LinksMixed {
		bad("links: %q is neither %s nor %s", c.Links, LinksLAN, LinksMixed)
	}
	if c.Power != "" && c.Power != PowerMains && c.Power != PowerBattery {
		bad("power: %q is neither %s nor %s", c.Power, PowerMains, PowerBattery)
	}
	if _, err := zapcore.ParseLevel(c.Log); err != nil {
		bad("log: %q is not one of debug, info, warn, error", c.Log)
	}
	if c.Demo && !loopback(c.HTTP) {
		bad("demo: sign-in without proof is for loopback only, and http is %s; set http to 127.0.0.1:%s or demo to false", c.HTTP, port(c.HTTP))
	}
	return errors.Join(errs...)
}

func checkAddr(addr string) error {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: the port is not 0 to 65535", addr)
	}
	return nil
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func port(addr string) string {
	_, p, _ := net.SplitHostPort(addr)
	return p
}

// Save writes c so that LoadConfig reads it back.
func (c Config) Save(path string) error {
	b, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	head := "# One station of a county. Every key is explained in configs/station.yaml of HiveMesh.\n"
	return disk.WriteFile(path, append([]byte(head), b...), 0o600)
}

// loadYAML reads a file strictly into v, or the shipped bytes where path is empty. A mistake is shown with
// its line and a caret.
func loadYAML(path string, shipped []byte, v any) error {
	b := shipped
	if path != "" {
		var err error
		if b, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	if err := yaml.UnmarshalWithOptions(b, v, yaml.Strict()); err != nil {
		return fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
	}
	return nil
}
