package suite

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/halleypush/halley/conformance/wire"
)

// Options says what to run against which server. Only URL is needed.
type Options struct {
	URL        string   // http or https; WebSockets use the same address
	Name       string   // of the server, in reports; default the URL
	Transports []string // which carriers to use, by name; default all that the server has

	Header        [][2]string     // added to each request
	Cookies       [][2]string     // every client begins with them
	HandshakeExt  json.RawMessage // an object, merged into the ext of each handshake
	ChannelPrefix string          // of the channels that cases use, such as /test; default none
	Insecure      bool            // accept any certificate
	AppendType    bool            // append the type of a meta message to the address, such as /handshake
	Fixture       *Fixture        // what the server was set up with; default nothing

	Only     []string // patterns of ids, such as BX-HS-*; default all
	Sections []string // names or codes; default all

	Profile      string  // default spec
	Strict       bool    // non-strict is a failure
	Known        []Known // failures that are expected
	Jobs         int     // cases side by side; default 64, for most of them wait
	Seed         uint64  // of channel names and of the order; 0 takes one at random
	TimeoutScale float64 // multiplies what a slow machine is allowed; default 1

	// Progress is called after each result, by one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Done, Total int
	Failed      int // so far, known failures left out
	Last        *Result
}

// UsageError says that the options make no sense.
type UsageError struct{ Reason string }

func (e *UsageError) Error() string { return e.Reason }

func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// defaults returns a copy that is complete, and the target.
func (o Options) defaults(seed func() uint64) (Options, wire.Target, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return o, wire.Target{}, usage("%q is no http or https address", o.URL)
	}
	if o.Name == "" {
		o.Name = o.URL
	}
	if o.Profile == "" {
		o.Profile = "spec"
	}
	if _, ok := FindProfile(o.Profile); !ok {
		return o, wire.Target{}, usage("profile %q is unknown; want one of %s", o.Profile, strings.Join(ProfileNames(), ", "))
	}
	if o.Jobs <= 0 {
		o.Jobs = 64
	}
	if o.TimeoutScale <= 0 {
		o.TimeoutScale = 1
	}
	if o.Seed == 0 {
		o.Seed = seed()
	}
	if o.Fixture == nil {
		o.Fixture = &Fixture{}
	}
	for _, name := range o.Transports {
		if _, err := ParseOn(name); err != nil {
			return o, wire.Target{}, &UsageError{err.Error()}
		}
	}
	var ext map[string]any
	if len(o.HandshakeExt) > 0 && json.Unmarshal(o.HandshakeExt, &ext) != nil {
		return o, wire.Target{}, usage("handshake ext %s is no JSON object", o.HandshakeExt)
	}
	if o.ChannelPrefix != "" && !strings.HasPrefix(o.ChannelPrefix, "/") {
		return o, wire.Target{}, usage("channel prefix %q does not begin with /", o.ChannelPrefix)
	}
	o.ChannelPrefix = strings.TrimSuffix(o.ChannelPrefix, "/")
	return o, wire.Target{URL: u, Insecure: o.Insecure, Header: o.Header}, nil
}

func (o Options) cookies() [][2]string { return o.Cookies }

// Select returns the cases that the options ask for. A pattern or a section
// that matches nothing is an error.
func (o Options) Select(sections []Section) ([]Section, error) {
	used := map[string]bool{}
	var out []Section
	for _, s := range sections {
		if !named(s, o.Sections, used) {
			continue
		}
		kept := s
		kept.Cases = nil
		for _, c := range s.Cases {
			if len(o.Only) == 0 || matches(c.ID, o.Only, used) {
				kept.Cases = append(kept.Cases, c)
			}
		}
		if len(kept.Cases) > 0 {
			out = append(out, kept)
		}
	}
	for _, want := range slices.Concat(o.Sections, o.Only) {
		if !used[want] {
			return nil, usage("%q matches no case", want)
		}
	}
	return out, nil
}

func named(s Section, names []string, used map[string]bool) bool {
	ok := len(names) == 0
	for _, n := range names {
		if strings.EqualFold(n, s.Name) || strings.EqualFold(n, s.Code) {
			used[n], ok = true, true
		}
	}
	return ok
}

func matches(id string, patterns []string, used map[string]bool) bool {
	ok := false
	for _, p := range patterns {
		if hit, _ := path.Match(p, id); hit {
			used[p], ok = true, true
		}
	}
	return ok
}
