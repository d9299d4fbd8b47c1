package suite

import (
	"slices"
	"time"
)

// Judge weighs results and puts a report together for a harness that has a
// runner of its own, such as the one that tests clients.
type Judge struct {
	opts    Options
	profile Profile
}

// NewJudge takes the options that say what counts: Profile, Strict, Known,
// Only, Sections, Transports; the others stand in the report. It fails with a
// *UsageError.
func NewJudge(o Options) (*Judge, error) {
	if o.Profile == "" {
		o.Profile = "spec"
	}
	p, ok := FindProfile(o.Profile)
	if !ok {
		return nil, usage("profile %q is unknown; want one of %v", o.Profile, ProfileNames())
	}
	return &Judge{o, p}, nil
}

// Result sums up what a case left on its record.
func (j *Judge) Result(section string, c Case, on On, r *Record, began time.Time) *Result {
	res := r.sum(c, on, began)
	res.Section = section
	res.Verdict = j.profile.weigh(c, res.Outcome, j.opts.Strict)
	j.opts.mark(res)
	return res
}

// Report puts the results together, which are in order. The report has the
// mode "client".
func (j *Judge) Report(began time.Time, results []*Result) *Report {
	o := j.opts
	out := &Report{
		Format: ReportFormat, Tool: "halley conform", Mode: ModeClient, URL: o.URL, Name: o.Name, Profile: o.Profile, Strict: o.Strict, Seed: o.Seed,
		Started: began.UTC().Truncate(time.Millisecond), DurationMs: ms(time.Since(began)),
		Facts: newFacts(), Results: results, Probes: []*Result{},
	}
	everything := len(o.Only) == 0 && len(o.Sections) == 0 && len(o.Transports) == 0
	out.KnownErrors = stale(o.Known, results, everything)
	ids := map[string]bool{}
	out.Facts.Transports = []string{}
	for _, res := range results {
		ids[res.ID] = true
		out.Summary.count(res)
		if !slices.Contains(out.Facts.Transports, res.Transport) {
			out.Facts.Transports = append(out.Facts.Transports, res.Transport)
		}
	}
	out.Summary.Cases = len(ids)
	return out
}
