package suite

import (
	"encoding/base64"
	"time"
	"unicode/utf8"

	"github.com/halleypush/halley/conformance/wire"
)

// ReportFormat is the version of the JSON report; conformance/schema/report.json
// is its schema.
const ReportFormat = 1

// ModeClient marks the report on a client.
const ModeClient = "client"

// Report is what a run found.
type Report struct {
	Format     int       `json:"format"`
	Tool       string    `json:"tool"`
	Mode       string    `json:"mode,omitempty"` // ModeClient if a client was tested, else empty
	URL        string    `json:"url"`
	Name       string    `json:"name"`
	Fixture    string    `json:"fixture,omitempty"`
	Profile    string    `json:"profile"`
	Strict     bool      `json:"strict"`
	Seed       uint64    `json:"seed"`
	Started    time.Time `json:"started"`
	DurationMs float64   `json:"durationMs"`
	Facts      *Facts    `json:"facts"`
	Summary    Summary   `json:"summary"`
	// KnownErrors are lines of the file of known failures that are wrong; each
	// makes the run fail.
	KnownErrors []string  `json:"knownErrors,omitempty"`
	Results     []*Result `json:"results"`
	Probes      []*Result `json:"probes"`
}

// Summary counts verdicts.
type Summary struct {
	Cases     int `json:"cases"`   // different ids
	Results   int `json:"results"` // cases times transports
	Pass      int `json:"pass"`
	NonStrict int `json:"nonStrict"`
	Fail      int `json:"fail"` // known failures included
	Info      int `json:"info"`
	Skipped   int `json:"skipped"`
	Error     int `json:"error"`
	Known     int `json:"known"` // failures and non-strict ones that are known
	Unknown   int `json:"unknown"`
}

// Result is what became of a case on a transport.
type Result struct {
	ID        string   `json:"id"`
	Section   string   `json:"section"`
	Title     string   `json:"title"`
	Spec      string   `json:"spec,omitempty"`
	Rules     []string `json:"rules,omitempty"`
	Level     Level    `json:"level"`
	Instead   string   `json:"instead,omitempty"`
	Transport string   `json:"transport"`
	// Outcome is what was seen; Verdict is that, weighed by the profile.
	Outcome    Verdict    `json:"outcome"`
	Verdict    Verdict    `json:"verdict"`
	Known      string     `json:"known,omitempty"` // the reason of the known failure
	Notes      []Note     `json:"notes,omitempty"`
	DurationMs float64    `json:"durationMs"`
	Transcript Transcript `json:"transcript"`
}

// Transcript is what went over the wire during a case, bounded.
type Transcript struct {
	Events  []Event `json:"events"`
	Dropped int     `json:"dropped,omitempty"` // events that were not kept
}

// Event is one thing on the wire, or a note.
type Event struct {
	AtMs float64   `json:"atMs"`
	Conn int       `json:"conn,omitempty"`
	Kind wire.Kind `json:"kind"`
	What string    `json:"what,omitempty"`
	// Text holds the bytes if they are UTF-8, Base64 if they are not.
	Text   string `json:"text,omitempty"`
	Base64 string `json:"base64,omitempty"`
	Cut    int    `json:"cut,omitempty"` // bytes that were left out at the end
}

// Passed tells whether nothing failed that is not known, no case broke, and
// the file of known failures is right.
func (r *Report) Passed() bool {
	return r.Summary.Unknown == 0 && r.Summary.Error == 0 && len(r.KnownErrors) == 0
}

// result sums the case up.
func (t *T) result(began time.Time) *Result { return t.sum(t.c, t.on, began) }

// sum makes a result of a record.
func (r *Record) sum(c Case, on On, began time.Time) *Result {
	notes := r.Notes()
	out := outcome(notes)
	return &Result{
		ID: c.ID, Title: c.Title, Spec: c.Spec, Rules: c.Rules, Level: c.Level, Instead: c.Instead,
		Transport: on.String(), Outcome: out, Verdict: out, Notes: notes,
		DurationMs: ms(time.Since(began)), Transcript: transcript(r.tape),
	}
}

func transcript(tape *wire.Tape) Transcript {
	events, dropped := tape.Events()
	out := Transcript{Events: make([]Event, 0, len(events)), Dropped: dropped}
	for _, e := range events {
		to := Event{AtMs: ms(e.At), Conn: e.Conn, Kind: e.Kind, What: e.What, Cut: e.Cut}
		if utf8.Valid(e.Data) {
			to.Text = string(e.Data)
		} else {
			to.Base64 = base64.StdEncoding.EncodeToString(e.Data)
		}
		out.Events = append(out.Events, to)
	}
	return out
}

// report puts the report together.
func (r *Runner) report(began time.Time, sections []Section) *Report {
	if d, ok := r.facts.hold.now(); ok {
		r.facts.HoldMs = ms(d)
	}
	if l, ok := r.facts.expiry.now(); ok {
		r.facts.AliveMs, r.facts.GoneMs = ms(l.Alive), ms(l.Gone)
	}
	out := &Report{
		Format: ReportFormat, Tool: "halley conform", URL: r.opts.URL, Name: r.opts.Name, Fixture: r.opts.Fixture.Name,
		Profile: r.opts.Profile, Strict: r.opts.Strict, Seed: r.opts.Seed, Started: began.UTC().Truncate(time.Millisecond),
		DurationMs: ms(time.Since(began)), Facts: r.facts, Results: r.results, Probes: r.probes,
	}
	everything := len(r.opts.Only) == 0 && len(r.opts.Sections) == 0 && len(r.opts.Transports) == 0
	out.KnownErrors = stale(r.opts.Known, r.results, everything)
	for _, s := range sections {
		out.Summary.Cases += len(s.Cases)
	}
	for _, res := range r.results {
		out.Summary.count(res)
	}
	return out
}

func (s *Summary) count(res *Result) {
	s.Results++
	switch res.Verdict {
	case Pass:
		s.Pass++
	case NonStrict:
		s.NonStrict++
	case Fail:
		s.Fail++
		if res.Known == "" {
			s.Unknown++
		}
	case Info:
		s.Info++
	case Skipped:
		s.Skipped++
	case Error:
		s.Error++
	}
	if res.Known != "" {
		s.Known++
	}
}
