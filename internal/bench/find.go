package bench

import (
	"context"
	"errors"
)

// Find looks for the highest rate that a server sustains. The zero value of a
// field means its default.
type Find struct {
	// Start is the first rate, in messages published a second (default: that of
	// the Config).
	Start float64
	// Limit is the highest rate that is tried (default 100 million).
	Limit float64
	// Precision ends the search when the lowest bad rate is that much over the
	// highest good one (default 0.05).
	Precision float64
	// Steps bounds how many runs are made (default 24).
	Steps int
	// Progress is called after each step, if set.
	Progress func(Step)
	// Run makes a run (default: Run, but on the same sessions as long as all that
	// was sent arrives).
	Run func(ctx context.Context, cfg Config) (*Result, error)
}

// Step is one run of a search.
type Step struct {
	// Rate is messages published a second; Offered and Reached are deliveries.
	Rate    float64 `json:"rate"`
	Offered float64 `json:"offered"`
	Reached float64 `json:"reached"`
	P99     float64 `json:"p99"`
	// MicrosPerOp is the server's CPU per delivery, where it was sampled.
	MicrosPerOp float64 `json:"microsPerOp,omitempty"`
	OK          bool    `json:"ok"`
	// GeneratorBound says that the generator was too busy for the step to count.
	GeneratorBound bool     `json:"generatorBound"`
	Problems       []string `json:"problems,omitempty"`
}

// ErrNoRate says that no rate was good.
var ErrNoRate = errors.New("no rate kept the bounds")

// search is a search on its way.
type search struct {
	Find
	cfg   Config
	best  *Result
	steps []Step
	lo    float64 // the highest good rate
	hi    float64 // the lowest that is not; 0 for none yet
}

// Max doubles the rate until a run is bad, or bound by the generator, and then
// halves the difference. After a run of which something was missing the next
// one connects anew. A bad one is tried once more.
// The Result is that of the highest good rate, with all Steps; it is there,
// with the last run's figures, also beside ErrNoRate.
func (f Find) Max(ctx context.Context, cfg Config) (*Result, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if cfg.Mode != Fanout {
		return nil, errors.New("find-max: it is for the mode fanout")
	}
	setDefault(&f.Start, cfg.Rate)
	setDefault(&f.Limit, 100e6)
	setDefault(&f.Precision, 0.05)
	setDefault(&f.Steps, 24)
	if f.Run == nil {
		var kept sessions
		defer func() { kept.end(ctx) }()
		f.Run = kept.run
	}
	s := &search{Find: f, cfg: cfg}
	s.cfg.Deliveries = 0
	last, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	if s.best == nil {
		last.Steps = s.steps
		return last, ErrNoRate
	}
	s.best.Steps = s.steps
	return s.best, nil
}

func (s *search) all(ctx context.Context) (last *Result, err error) {
	for rate := min(s.Start, s.Limit); len(s.steps) < s.Steps && rate > 0; rate = s.next() {
		if last, err = s.try(ctx, rate); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// next is the rate to try, 0 when the search is over.
func (s *search) next() float64 {
	switch {
	case s.hi == 0 && s.lo >= s.Limit:
		return 0
	case s.hi == 0:
		return min(2*s.lo, s.Limit)
	case s.lo == 0 && s.hi <= s.Start/1000:
		return 0
	case s.lo == 0:
		return s.hi / 2
	case s.hi <= s.lo*(1+s.Precision):
		return 0
	default:
		return (s.lo + s.hi) / 2
	}
}

// try makes a step, twice where it is bad and there is room for it.
func (s *search) try(ctx context.Context, rate float64) (*Result, error) {
	for again := false; ; again = true {
		cfg := s.cfg
		cfg.Rate = rate
		r, err := s.Run(ctx, cfg)
		if err != nil {
			return nil, err
		}
		step := Step{
			Rate: rate, Offered: r.Offered, Reached: r.Rate, P99: r.Latency.P99,
			OK: r.OK, GeneratorBound: r.GeneratorBound, Problems: r.Problems,
		}
		if r.Server != nil {
			step.MicrosPerOp = r.Server.MicrosPerOp
		}
		s.steps = append(s.steps, step)
		if s.Progress != nil {
			s.Progress(step)
		}
		switch {
		case r.GeneratorBound: // counts for nobody, and more load makes it no better
			s.hi = rate
			return r, nil
		case r.OK:
			s.lo, s.best = rate, r
			return r, nil
		case again || len(s.steps) >= s.Steps:
			s.hi = rate
			return r, nil
		}
	}
}
