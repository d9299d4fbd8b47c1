package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/halleypush/halley/internal/procfs"
)

// drainLook is how often a drain looks.
const drainLook = 20 * time.Millisecond

// moment is what was known at a time.
type moment struct {
	at           int64
	server, self procfs.Process
	machine      time.Duration
	counts       counts
	messages     int64
}

// run is a run on its way, or one after another on the same sessions.
type run struct {
	*engine
	res             *Result
	before, idle    moment
	connected       float64 // seconds that connecting took
	base            moment  // what was counted before this load
	from, to, after moment
	last            moment
	begun           int64
	sampled         bool
	seq             []uint32 // by stream: the number of its next message
}

// Run puts the load on the server and measures. The error says that the run
// could not be made: the configuration is wrong, or the clients did not
// connect. What the server then did wrong is in the Result. It ends with ctx,
// with an error.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	var s sessions
	defer s.end(ctx)
	return s.run(ctx, cfg)
}

// sessions are those of one run, or of several of the mode Fanout that differ
// in their rate. The zero value has none yet.
type sessions struct{ r *run }

// run makes a run on the sessions that are there, or on new ones where
// something of the run before may still be on its way.
func (s *sessions) run(ctx context.Context, cfg Config) (*Result, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if s.r != nil && !s.r.clean() {
		s.end(ctx)
	}
	if s.r == nil {
		e, err := newEngine(cfg)
		if err != nil {
			return nil, err
		}
		s.r = &run{engine: e, seq: make([]uint32, cfg.streams())}
		err = s.r.prepare(ctx)
		if ctx.Err() != nil { // whatever else went wrong with it
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	s.r.cfg.Rate = cfg.Rate
	s.r.cfg.Deliveries = cfg.Deliveries
	err = s.r.measure(ctx)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return s.r.res, nil
}

// end ends the sessions.
func (s *sessions) end(ctx context.Context) {
	if s.r != nil {
		s.r.close()
		s.r.dismiss(ctx)
		s.r = nil
	}
}

// clean tells whether all that was sent has arrived, and no session was lost.
func (r *run) clean() bool {
	n, _ := r.losses()
	sum, _ := r.look()
	return n == 0 && sum.unique == r.sent.deliveries.Load()
}

// prepare makes the sessions.
func (r *run) prepare(ctx context.Context) error {
	r.before = r.moment()
	if r.cfg.PID > 0 && !r.sampled {
		return fmt.Errorf("pid: process %d cannot be sampled", r.cfg.PID)
	}
	clients, publishers := r.cfg.Clients, r.cfg.Publishers
	switch r.cfg.Mode {
	case Idle:
		publishers = 0
	case Acks:
		clients = 0
	case Churn:
		clients, publishers = 0, 0
	}
	if clients+publishers > 0 {
		if err := r.connect(ctx, clients, publishers); err != nil {
			return err
		}
	}
	r.connected = float64(r.now()-r.before.at) / float64(time.Second)
	rest(ctx, r.cfg.Settle)
	r.idle = r.moment()
	return nil
}

// measure puts a load on the sessions.
func (r *run) measure(ctx context.Context) error {
	r.res = &Result{
		Schema: Schema, Started: time.Now().UTC(), System: system(), CPUs: runtime.NumCPU(), Config: r.cfg,
		Sessions: len(r.clients) + len(r.pubs), ConnectSeconds: r.connected,
	}
	r.sent.measuredMessages.Store(0)
	r.sent.measured.Store(0)
	r.base = r.moment()
	if err := r.load(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.drain(ctx)
	r.after = r.moment()
	if r.cfg.Mode != Fanout {
		r.stopping.Store(true)
	}
	r.finish()
	return nil
}

// load begins what the mode is about and watches until its time is over.
func (r *run) load(ctx context.Context) error {
	r.begun = r.now()
	from := r.begun + int64(r.cfg.Warmup)
	to := from + int64(r.cfg.Duration)
	for _, t := range r.tallies {
		t.measure(from, to)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	published := make(chan struct{})
	switch r.cfg.Mode {
	case Fanout:
		r.publish(ctx, from, to, published)
	case Acks:
		if err := r.kick(); err != nil {
			return err
		}
	case Churn:
		r.churn(ctx)
	}
	r.last = r.base
	r.watch(ctx, from)
	r.from = r.moment()
	r.watch(ctx, to)
	r.to = r.moment()
	if r.cfg.Mode == Fanout {
		r.awaitPublished(ctx, published)
	}
	return nil
}

// awaitPublished waits until all that was due has left, for as long as a drain.
func (r *run) awaitPublished(ctx context.Context, published <-chan struct{}) {
	limit := time.NewTimer(r.cfg.Drain)
	defer limit.Stop()
	select {
	case <-published:
	case <-ctx.Done():
	case <-limit.C: // close frees it
		r.lost(errors.New("publishing: the server does not take what is due"))
	}
}

// publish runs the pacer; done is closed when it has ended.
func (r *run) publish(ctx context.Context, from, to int64, done chan<- struct{}) {
	p := &pacer{
		eng: r.engine, pubs: r.pubs, seq: r.seq, next: make([]int, len(r.pubs)), from: from, to: to, wait: pause,
		schedule: newSchedule(r.begun, r.cfg.Rate, r.cfg.Batch, r.cfg.Warmup+r.cfg.Duration),
	}
	if r.cfg.Dial != nil {
		p.wait = rest
	}
	r.routines.Go(func() { // ends with the schedule, with ctx, or with its connections
		defer close(done)
		if err := p.run(ctx); err != nil && ctx.Err() == nil {
			r.lost(fmt.Errorf("publishing: %w", err))
		}
	})
}

// kick sends the first messages of the mode Acks.
func (r *run) kick() error {
	for _, p := range r.pubs {
		p.mu.Lock()
		out := p.fill(p.post, r.cfg.Window, r.now(), nil)
		_, err := p.to.Write(out)
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// moment looks at everything.
func (r *run) moment() moment {
	m, _ := r.sampleMoment()
	return m
}

// watch samples until a time.
func (r *run) watch(ctx context.Context, until int64) {
	for ctx.Err() == nil {
		left := until - r.now()
		if left <= 0 {
			return
		}
		step := int64(r.cfg.Interval)
		if left < step+step/2 { // no sliver at the end
			step = left
		}
		rest(ctx, time.Duration(step))
		r.sample()
	}
}

func (r *run) sample() {
	m, lat := r.sampleMoment()
	s := float64(m.at-r.last.at) / float64(time.Second)
	if s <= 0 {
		return
	}
	sample := Sample{
		Seconds: float64(m.at-r.begun) / float64(time.Second), Warm: (m.at+r.last.at)/2 > r.begun+int64(r.cfg.Warmup),
		Published: float64(m.messages-r.last.messages) / s, Rate: float64(m.counts.arrived-r.last.counts.arrived) / s,
		P50: lat.P50, P99: lat.P99, Max: lat.Max,
		ServerCores: (m.server.CPU() - r.last.server.CPU()).Seconds() / s, ServerRSS: m.server.RSS,
		GeneratorCores: (m.self.CPU() - r.last.self.CPU()).Seconds() / s,
	}
	r.res.Samples = append(r.res.Samples, sample)
	r.last = m
	if r.cfg.Progress != nil {
		r.cfg.Progress(sample)
	}
}

func (r *run) sampleMoment() (moment, Latency) {
	sum, recent := r.look()
	m := moment{at: r.now(), counts: sum, messages: r.sent.messages.Load()}
	m.self, _ = procfs.Self()
	if r.cfg.PID > 0 {
		m.server, r.sampled = procfs.Read(r.cfg.PID)
	}
	m.machine, _ = procfs.MachineCPU()
	return m, latencyOf(recent)
}

// drain waits for what is on its way: until all is there, or nothing came for
// the time of the configuration, and no longer than six times that.
func (r *run) drain(ctx context.Context) {
	if r.cfg.Mode != Fanout {
		return
	}
	end, quiet, before := r.now()+6*int64(r.cfg.Drain), r.now(), int64(-1)
	for ctx.Err() == nil && r.now() < end {
		sum, _ := r.look()
		if sum.unique >= r.sent.deliveries.Load() {
			return
		}
		if sum.arrived != before {
			quiet, before = r.now(), sum.arrived
		}
		if r.now()-quiet > int64(r.cfg.Drain) {
			return
		}
		rest(ctx, drainLook)
	}
}

// finish computes the result.
func (r *run) finish() {
	res, c := r.res, r.after.counts.since(r.base.counts)
	length := time.Duration(r.to.at - r.from.at)
	res.Seconds = length.Seconds()
	res.Latency = latencyOf(r.total())
	arrived := r.to.counts.arrived - r.from.counts.arrived
	res.Rate = float64(arrived) / res.Seconds
	if r.cfg.Mode == Fanout {
		res.Published, res.Expected, res.Delivered = r.sent.measuredMessages.Load(), r.sent.measured.Load(), c.measured
		res.Lost = max(0, res.Expected-res.Delivered)
		res.Offered = float64(res.Expected) / r.cfg.Duration.Seconds()
	} else {
		res.Delivered = c.done
	}
	res.Duplicates, res.Reordered = c.duplicates, c.reordered
	var why []string
	res.Dropped, why = r.losses()
	if r.sampled {
		u := usage(r.before.server, r.idle.server, r.from.server, r.to.server, length, arrived, res.Sessions)
		res.Server = &u
	}
	res.Generator = usage(r.before.self, r.idle.self, r.from.self, r.to.self, length, arrived, res.Sessions)
	res.GeneratorShare = res.Generator.Cores / float64(runtime.NumCPU())
	res.GeneratorBound = res.GeneratorShare > boundShare
	all := (r.to.machine - r.from.machine).Seconds() / res.Seconds
	if res.OtherCores = max(0, all-res.Generator.Cores); res.Server != nil {
		res.OtherCores = max(0, res.OtherCores-res.Server.Cores)
	}
	res.judge(why)
}

// Bounds of a good run, beside its p99.
const (
	minArrived = 0.999
	minRate    = 0.96
)

// judge says whether the run kept its bounds.
func (r *Result) judge(why []string) {
	problem := func(bad bool, format string, args ...any) {
		if bad {
			r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
		}
	}
	problem(r.Dropped > 0, "%d sessions failed: %v", r.Dropped, why)
	if r.Config.Mode == Fanout {
		problem(float64(r.Delivered) < minArrived*float64(r.Expected), "%d of %d deliveries are missing", r.Lost, r.Expected)
		problem(r.Rate < minRate*r.Offered, "%.0f deliveries a second arrived of %.0f offered", r.Rate, r.Offered)
		problem(r.Latency.P99 > float64(r.Config.P99.Microseconds())/1000, "p99 is %.1f ms, the bound is %v", r.Latency.P99, r.Config.P99)
		problem(r.Duplicates > 0, "%d deliveries came twice", r.Duplicates)
		problem(r.Reordered > 0, "%d deliveries came out of order", r.Reordered)
	} else if r.Config.Mode != Idle {
		problem(r.Delivered == 0, "nothing was done")
	}
	r.OK = len(r.Problems) == 0
}
