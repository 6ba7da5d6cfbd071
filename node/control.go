package node

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hivemesh/alerts"
	"hivemesh/cluster/record"
)

// controlFile says where the running station takes an operator's word, and the secret that shows that the
// operator may read the station's directory. It is there while the station runs.
const controlFile = "control.json"

type controlForm struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// ErrNotRunning says that no station runs on a directory.
var ErrNotRunning = errors.New("no station runs on this directory")

// maxControl is the longest request of an operator's, in bytes.
const maxControl = 64 << 10

// withControl puts what an operator may ask of this station, with the secret in its directory, before the
// public pages.
func (n *Node) withControl(public http.Handler) (http.Handler, error) {
	f := controlForm{URL: n.URL(), Token: rand.Text()}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(n.cfg.Dir, controlFile)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		n.log.Warn("an operator's commands will not reach this station") // a full disk keeps nobody from his alarms
		return public, nil
	}
	n.onClose(func() error {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	mux := http.NewServeMux()
	mux.Handle("/", public)
	handle := func(route string, do func(w http.ResponseWriter, r *http.Request) error) {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+f.Token)) != 1 {
				http.Error(w, "this is for whoever can read the station's directory", http.StatusForbidden)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxControl)
			if err := do(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
			}
		})
	}
	handle("POST /control/survey", func(w http.ResponseWriter, r *http.Request) error {
		return asked(w, r, func(ctx context.Context, s Survivors) (Survey, error) { return n.Survey(ctx, s), nil })
	})
	handle("POST /control/recover", func(w http.ResponseWriter, r *http.Request) error {
		return asked(w, r, func(ctx context.Context, a Recovery) (Survey, error) {
			if err := n.Recover(ctx, a); err != nil {
				return Survey{}, err
			}
			return n.Survey(ctx, a.Survivors), nil
		})
	})
	handle("POST /control/warrant", func(w http.ResponseWriter, r *http.Request) error {
		return asked(w, r, n.Warrant)
	})
	handle("POST /control/leave", func(w http.ResponseWriter, r *http.Request) error {
		return asked(w, r, func(ctx context.Context, l Leaving) (Left, error) {
			ctx, cancel := context.WithTimeout(ctx, l.Wait)
			defer cancel()
			return Left{Station: n.identity.Station}, n.Leave(ctx)
		})
	})
	handle("POST /control/snapshot", func(w http.ResponseWriter, _ *http.Request) error { return n.Snapshot(w) })
	return mux, nil
}

func asked[In, Out any](w http.ResponseWriter, r *http.Request, do func(context.Context, In) (Out, error)) error {
	var in In
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	out, err := do(r.Context(), in)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(out)
}

// Leaving is an operator's word that the station is to leave for good.
type Leaving struct {
	Wait time.Duration `json:"wait"` // how long it tries, in nanoseconds
}

// Left says which station has left.
type Left struct {
	Station alerts.StationID `json:"station"`
}

// Survivors are the stations of a cell that are left; an empty cell is the asked station's own.
type Survivors struct {
	Cell     alerts.CellID      `json:"cell"`
	Stations []alerts.StationID `json:"stations"`
}

// Recovery is an operator's word that a cell goes on with its survivors.
type Recovery struct {
	Survivors
	Signature []byte `json:"signature,omitempty"` // the authority's, on a warrant
}

// Warrant is what the county's authority signs for a Recovery.
type Warrant struct {
	Bytes []byte `json:"bytes"`
}

// Survey is how the survivors' copies of a cell's record stand, the furthest first.
type Survey struct {
	Cell      alerts.CellID     `json:"cell"`
	Standings []record.Standing `json:"standings"`
	Trouble   string            `json:"trouble,omitempty"` // who did not answer
}

// Survey asks the survivors.
func (n *Node) Survey(ctx context.Context, s Survivors) Survey {
	out := Survey{Cell: cmp.Or(s.Cell, n.identity.Cell)}
	var err error
	if out.Standings, err = n.county.Survey(ctx, out.Cell, s.Stations); err != nil {
		out.Trouble = err.Error()
	}
	return out
}

// Recover begins a new epoch upon this station's copy.
func (n *Node) Recover(ctx context.Context, a Recovery) error {
	return n.county.Recover(ctx, cmp.Or(a.Cell, n.identity.Cell), a.Stations, a.Signature)
}

// Warrant is what the authority is to sign, as this station's copy stands now.
func (n *Node) Warrant(ctx context.Context, s Survivors) (Warrant, error) {
	b, err := n.county.Warrant(ctx, cmp.Or(s.Cell, n.identity.Cell), s.Stations)
	return Warrant{b}, err
}

// Operator speaks to the station that runs on a directory, for whoever can read it.
type Operator struct{ form controlForm }

// OpenOperator reads how to reach the station that runs on dir; ErrNotRunning where none does.
func OpenOperator(dir string) (Operator, error) {
	var o Operator
	b, err := os.ReadFile(filepath.Join(dir, controlFile))
	if errors.Is(err, fs.ErrNotExist) {
		return o, fmt.Errorf("%s: %w: start it with hive serve", dir, ErrNotRunning)
	}
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(b, &o.form); err != nil {
		return o, fmt.Errorf("%s: %w", controlFile, err)
	}
	return o, nil
}

// Survey asks how the survivors stand.
func (o Operator) Survey(ctx context.Context, s Survivors) (out Survey, err error) {
	err = o.ask(ctx, "/control/survey", s, &out)
	return out, err
}

// Recover begins a new epoch of a cell's record upon the asked station's copy; see record.Cell.Recover.
func (o Operator) Recover(ctx context.Context, a Recovery) (out Survey, err error) {
	err = o.ask(ctx, "/control/recover", a, &out)
	return out, err
}

// Warrant asks what the authority is to sign.
func (o Operator) Warrant(ctx context.Context, s Survivors) (out Warrant, err error) {
	err = o.ask(ctx, "/control/warrant", s, &out)
	return out, err
}

// Leave takes the running station out of its county for good; it ends afterwards. See Node.Leave.
func (o Operator) Leave(ctx context.Context, l Leaving) (out Left, err error) {
	err = o.ask(ctx, "/control/leave", l, &out)
	return out, err
}

// Snapshot is one of all that the station has. What comes is to be read by InspectSnapshot before it counts: a
// station that stopped meanwhile leaves half of one.
func (o Operator) Snapshot(ctx context.Context) (io.ReadCloser, error) {
	return o.send(ctx, "POST", "/control/snapshot", http.NoBody)
}

func (o Operator) ask(ctx context.Context, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	body, err := o.send(ctx, "POST", path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(out)
}

func (o Operator) send(ctx context.Context, method, path string, in io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, o.form.URL+path, in)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+o.form.Token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w (it stopped without a word): %w", ErrNotRunning, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		why, _ := io.ReadAll(io.LimitReader(resp.Body, maxControl))
		return nil, errors.New(strings.TrimSpace(string(why)))
	}
	return resp.Body, nil
}
