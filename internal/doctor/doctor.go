package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config is what Run needs.
type Config struct {
	// URL is that of the server, such as https://push.example.com/cometd.
	URL string
	// Token is that of halley serve --doctor-token; without one plain Bayeux is spoken.
	Token string
	// Header is added to every request.
	Header http.Header
	// Ext is the ext object of handshakes, for credentials mostly; empty for none.
	Ext json.RawMessage
	// Plan is how long and how large the probes are.
	Plan Plan
	// Transport makes a new transport with no connections, which Run closes. Each probe has one of its own.
	Transport func() *http.Transport
	// Progress, where it is not nil, gets a line when something begins.
	Progress func(line string)
}

// ErrUnreachable says that the server did not answer, or is none that could be
// examined.
var ErrUnreachable = errors.New("the server could not be examined")

// ErrToken says that the server has a probe endpoint and another token.
var ErrToken = errors.New("the server refuses the token")

// Report is what was found.
type Report struct {
	URL  string `json:"url"`
	Mode Mode   `json:"mode"`
	// Took is how long it took, Longest the longest hold that was tried.
	Took    Seconds `json:"took"`
	Longest Seconds `json:"longest"`
	// Findings are what lies between; none on a clean path.
	Findings []Finding `json:"findings"`
	// Untested are what could not be seen, and why.
	Untested     []string     `json:"untested"`
	Observations Observations `json:"observations"`
}

// meter makes the requests of one run.
type meter struct {
	Config
	base *url.URL
}

// Run examines the path to a server. The error is ErrUnreachable or ErrToken,
// with the reason, or that of ctx.
func Run(ctx context.Context, c Config) (*Report, error) {
	base, err := url.Parse(strings.TrimSuffix(c.URL, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("%w: %q: want a URL such as https://push.example.com/cometd", ErrUnreachable, c.URL)
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, c.Plan.Limit)
	defer cancel()
	m := &meter{Config: c, base: base}
	begun := time.Now()
	var o *Observations
	if c.Token != "" {
		o, err = m.probe(ctx)
	}
	if err == nil && o == nil {
		o, err = m.bayeux(ctx)
	}
	if outer.Err() != nil {
		return nil, context.Cause(outer)
	}
	if err != nil {
		return nil, err
	}
	return &Report{
		URL: c.URL, Mode: o.Mode, Took: seconds(time.Since(begun)), Longest: seconds(c.Plan.Holds[len(c.Plan.Holds)-1]),
		Findings: Judge(*o), Untested: o.Untested, Observations: *o,
	}, nil
}

func (m *meter) progress(format string, args ...any) {
	if m.Progress != nil {
		m.Progress(fmt.Sprintf(format, args...))
	}
}
