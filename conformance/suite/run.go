package suite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

// Runner runs cases against one server.
type Runner struct {
	opts    Options
	target  wire.Target
	profile Profile
	facts   *Facts
	watch   *watch
	jobs    chan struct{}

	mu      sync.Mutex
	random  *rand.Rand
	probes  []*Result
	results []*Result
	failed  int
	total   int
}

// Run learns what there is to learn of the server, runs the cases side by
// side, and reports. It fails with an *UnreachableError if there is no server,
// and with a *UsageError if the options make no sense; failures of the server
// are in the report.
func Run(ctx context.Context, sections []Section, opts Options) (*Report, error) {
	opts, target, err := opts.defaults(rand.Uint64)
	if err != nil {
		return nil, err
	}
	if err := Check(sections); err != nil {
		return nil, err
	}
	chosen, err := opts.Select(sections)
	if err != nil {
		return nil, err
	}
	profile, _ := FindProfile(opts.Profile)
	r := &Runner{
		opts: opts, target: target, profile: profile, facts: newFacts(), watch: &watch{}, jobs: make(chan struct{}, opts.Jobs),
		random: rand.New(rand.NewPCG(opts.Seed, 0)), //nolint:gosec // names of channels, not secrets
	}
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rest, err := r.learn(ctx)
	if err != nil {
		return nil, err
	}
	r.runAll(ctx, chosen)
	cancel()
	rest()
	if ctx := context.Cause(ctx); ctx != nil && len(r.results) == 0 && r.total > 0 {
		return nil, ctx
	}
	return r.report(began, chosen), nil
}

// task is a case on one carrier, or one that the server has no carrier for.
type task struct {
	section Section
	c       Case
	on      On
}

// runAll runs the cases. Those that need what is not known yet wait for it
// without taking a place.
func (r *Runner) runAll(ctx context.Context, sections []Section) {
	tasks := r.tasks(sections)
	r.total = len(tasks)
	slots := make([]*Result, len(tasks))
	var wg sync.WaitGroup
	for _, i := range r.random.Perm(len(tasks)) {
		wg.Go(func() {
			slots[i] = r.runTask(ctx, tasks[i])
			r.progress(slots[i])
		})
	}
	wg.Wait()
	r.results = slots
}

// tasks lists what is to be run, in the order of the report.
func (r *Runner) tasks(sections []Section) []task {
	var all []task
	for _, s := range sections {
		for _, c := range s.Cases {
			on := c.carriers()
			if on == Any {
				on = r.first()
			}
			here := on & r.facts.carriers
			if here == 0 {
				here = on // it is reported as skipped
			}
			for _, one := range here.Each() {
				all = append(all, task{s, c, one})
			}
		}
	}
	return all
}

func (r *Runner) runTask(ctx context.Context, k task) *Result {
	var res *Result
	if why := r.missing(ctx, k); why != "" {
		t := r.newT(ctx, k.c, k.on)
		t.note(NoteSkip, "%s", why)
		res = t.result(time.Now())
	} else {
		r.jobs <- struct{}{}
		res = r.attempt(ctx, k)
		<-r.jobs
	}
	res.Section = k.section.Name
	res.Verdict = r.profile.weigh(k.c, res.Outcome, r.opts.Strict)
	r.opts.mark(res)
	return res
}

// missing tells what the case is skipped for. It waits for what is being
// learned.
func (r *Runner) missing(ctx context.Context, k task) string {
	if !r.facts.carriers.Has(k.on) {
		return "the server has no " + k.on.String()
	}
	for _, n := range k.c.Needs {
		if why := r.lacks(ctx, n); why != "" {
			return fmt.Sprintf("needs %s: %s", n, why)
		}
	}
	return ""
}

// lacks tells why a need is not met; empty if it is.
func (r *Runner) lacks(ctx context.Context, n Need) string {
	f := r.facts
	said := func(ok bool) string {
		if ok {
			return ""
		}
		return "the server does not have it"
	}
	switch n {
	case NeedHold:
		_, why := f.hold.get(ctx)
		return why
	case NeedExpiry:
		_, why := f.expiry.get(ctx)
		return why
	case NeedDelivery:
		return said(f.Delivery)
	case NeedCookie:
		return said(f.CookieNeeded)
	case NeedBare:
		return said(f.BareObjects)
	case NeedAck:
		return said(f.Ack)
	case NeedTimesync:
		return said(f.Timesync)
	case NeedLP, NeedWS, NeedCP:
		on, err := ParseOn(string(n))
		return said(err == nil && f.carriers.Has(on))
	default:
		if r.opts.Fixture.declares(n) {
			return ""
		}
		return "the fixture does not declare it"
	}
}

// caseLimit bounds one case. It is there for what hangs, and far away.
func (r *Runner) caseLimit() time.Duration {
	return time.Duration(float64(4*time.Minute) * r.opts.TimeoutScale)
}

func (r *Runner) newT(ctx context.Context, c Case, on On) *T {
	return &T{Record: NewRecord(), ctx: ctx, run: r, c: c, on: on}
}

// token returns n random lower-case letters and digits.
func (r *Runner) token(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	r.mu.Lock()
	defer r.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.random.IntN(len(letters))]
	}
	return string(b)
}

func (r *Runner) progress(res *Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, res)
	if (res.Verdict == Fail || res.Verdict == Error) && res.Known == "" {
		r.failed++
	}
	if r.opts.Progress != nil {
		r.opts.Progress(Progress{Done: len(r.results), Total: r.total, Failed: r.failed, Last: res})
	}
}
