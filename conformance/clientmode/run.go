package clientmode

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

// Options says which client to test, and how. Only Client is needed.
type Options struct {
	Client Client
	Name   string // of the client, in reports
	Listen string // the address to serve on; default 127.0.0.1. Each case has a port of its own
	Host   string // the name of that address in URLs; default the address itself

	Transports     []string // long-polling, websocket, any; default all three
	Only, Sections []string // as in suite.Options
	Profile        string
	Strict         bool
	Known          []suite.Known
	Jobs           int     // cases side by side; default 48, for most of them wait
	TimeoutScale   float64 // multiplies all times; default 1
	Progress       func(suite.Progress)
}

// Times that clients are told to use, and that cases go by.
const (
	NetworkDelay = 3 * time.Second
	Backoff      = 100 * time.Millisecond
	maxBackoff   = time.Second
	caseLimit    = 2 * time.Minute
)

// runner runs cases.
type runner struct {
	o     Options
	judge *suite.Judge
	jobs  chan struct{}

	mu           sync.Mutex
	done, failed int
	ran, came    int // clients that were started, and those that sent something
}

// task is a case on one transport.
type task struct {
	section Section
	c       Case
	on      suite.On
}

// Run runs the cases that the options choose, side by side, and reports. What
// the client does wrong is in the report; errors are a *suite.UsageError, a
// *StartError if the client came to no case, or the end of ctx.
func Run(ctx context.Context, sections []Section, o Options) (*suite.Report, error) {
	if o.Client.Start == nil {
		return nil, &suite.UsageError{Reason: "there is no client to test"}
	}
	o, judge, chosen, err := o.prepare(sections)
	if err != nil {
		return nil, err
	}
	r := &runner{o: o, judge: judge, jobs: make(chan struct{}, o.Jobs)}
	began := time.Now()
	tasks := r.tasks(sections, chosen)
	results := make([]*suite.Result, len(tasks))
	var wg sync.WaitGroup
	for i, k := range tasks {
		r.jobs <- struct{}{}
		wg.Go(func() {
			results[i] = r.run(ctx, k)
			<-r.jobs
			r.progress(results[i], len(tasks))
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if r.ran > 0 && r.came == 0 {
		return nil, &StartError{o.Name, errors.New("it was started, but came to no case")}
	}
	return judge.Report(began, results), nil
}

// Check tells what is wrong with the options, as Run does, before there is a
// Client. The error is a *suite.UsageError.
func (o Options) Check(sections []Section) error {
	_, _, _, err := o.prepare(sections)
	return err
}

// prepare returns the options with their defaults, and what they choose.
func (o Options) prepare(sections []Section) (Options, *suite.Judge, []suite.Section, error) {
	o, shared, err := o.defaults()
	if err != nil {
		return o, nil, nil, err
	}
	if err := Check(sections); err != nil {
		return o, nil, nil, err
	}
	judge, err := suite.NewJudge(shared)
	if err != nil {
		return o, nil, nil, err
	}
	chosen, err := shared.Select(Describe(sections))
	return o, judge, chosen, err
}

func (o Options) defaults() (Options, suite.Options, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1"
	}
	if o.Host == "" {
		o.Host = o.Listen
	}
	if o.Name == "" {
		o.Name = "client"
	}
	if len(o.Transports) == 0 {
		o.Transports = []string{suite.LP.String(), suite.WS.String(), suite.Any.String()}
	}
	for _, name := range o.Transports {
		if on, err := suite.ParseOn(name); name != suite.Any.String() && (err != nil || on&Both == 0) {
			return o, suite.Options{}, &suite.UsageError{Reason: fmt.Sprintf("transport %q is not for clients; want long-polling, websocket or any", name)}
		}
	}
	if o.Jobs <= 0 {
		o.Jobs = 48
	}
	if o.TimeoutScale <= 0 {
		o.TimeoutScale = 1
	}
	shared := suite.Options{
		URL: "http://" + o.Host + "/", Name: o.Name, Only: o.Only, Sections: o.Sections, Profile: o.Profile, Strict: o.Strict, Known: o.Known,
	}
	if len(o.Transports) < 3 {
		shared.Transports = o.Transports
	}
	return o, shared, nil
}

// tasks lists what is to be run, in the order of the report.
func (r *runner) tasks(sections []Section, chosen []suite.Section) []task {
	ids := map[string]bool{}
	for _, s := range chosen {
		for _, c := range s.Cases {
			ids[c.ID] = true
		}
	}
	var out []task
	for _, s := range sections {
		for _, c := range s.Cases {
			on := c.On
			if on == 0 {
				on = Both
			}
			for _, one := range on.Each() {
				if ids[c.ID] && slices.Contains(r.o.Transports, one.String()) {
					out = append(out, task{s, c, one})
				}
			}
		}
	}
	return out
}

// run starts a server and the client for a case, plays it, and ends both.
func (r *runner) run(ctx context.Context, k task) *suite.Result {
	began := time.Now()
	rec := suite.NewRecord()
	t := &T{Record: &rec, client: r.o.Client, scale: r.o.TimeoutScale, read: map[string]int{}}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(float64(caseLimit)*t.scale))
	defer cancel()
	t.Protect(func() { r.play(ctx, t, k) })
	t.Tape().Stop()
	return r.judge.Result(k.section.Name, k.c.Case, k.on, t.Record, began)
}

func (r *runner) play(ctx context.Context, t *T, k task) {
	t.Need(k.c.Needs...)
	if k.c.Ack {
		t.Need(NeedAck)
	}
	t.Need(suite.Need(k.on.String()))
	token := strconv.FormatUint(rand.Uint64(), 36) //nolint:gosec // keeps cookies apart, guards nothing
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	if t.srv, err = serve(ctx, t.Record, k.on, r.o.Listen, token); err != nil {
		t.Brokenf("the server of the case: %v", err)
	}
	defer func() {
		t.Tape().Stop()
		cancel()
		t.srv.close()
	}()
	_, port, err := net.SplitHostPort(t.srv.listener.Addr().String())
	if err != nil {
		t.Brokenf("%v", err)
	}
	t.start = sync.OnceFunc(func() {
		stop, err := r.o.Client.Start(ctx, Job{
			Client: token, URL: "http://" + net.JoinHostPort(r.o.Host, port) + t.srv.path + "/cometd", Transport: k.on.String(), Ack: k.c.Ack,
			NetworkDelay: t.scaled(NetworkDelay), Backoff: Backoff, MaxBackoff: maxBackoff,
		}, t.srv.tell)
		if err != nil {
			t.Brokenf("the client cannot be started: %v", err)
		}
		t.stop = stop
	})
	defer func() {
		if t.stop != nil {
			t.stop()
		}
		r.count(t)
	}()
	k.c.Play(t)
	if t.stop == nil {
		t.Brokenf("the case did not start the client")
	}
	if n := len(t.All("")); n >= maxSeen {
		t.Failf("the client sent more than %d messages", n)
	}
}

func (r *runner) count(t *T) {
	came := t.requests() > 0
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran++
	if came {
		r.came++
	}
}

func (r *runner) progress(res *suite.Result, total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	if (res.Verdict == suite.Fail || res.Verdict == suite.Error) && res.Known == "" {
		r.failed++
	}
	if r.o.Progress != nil {
		r.o.Progress(suite.Progress{Done: r.done, Total: total, Failed: r.failed, Last: res})
	}
}
