package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws/wsutil"
)

// soakPlan is clients that come and go in all ways there are, for long, while
// what the server holds is watched.
type soakPlan struct {
	clients int
	length  time.Duration
	json    string
}

const (
	soakEvery    = 2 * time.Second  // between two samples
	soakLife     = 8 * time.Second  // of a session, at most
	soakPause    = time.Second      // between two messages, at most
	soakChannels = 100              // that clients subscribe to
	soakSettle   = 90 * time.Second // in which the server must have forgotten all clients
	soakMost     = 2000             // clients
)

func (s *soakPlan) flags() {
	flag.IntVar(&s.clients, "churn", 600, "with -soak: clients at a time, 1 to 2000")
	flag.StringVar(&s.json, "json", "", "with -soak: write samples and verdict to this file")
}

// soakSample is what the server held at a moment.
type soakSample struct {
	Seconds     float64 `json:"seconds"`
	Resident    float64 `json:"residentBytes"`
	Heap        float64 `json:"heapBytes"`
	Goroutines  float64 `json:"goroutines"`
	Descriptors float64 `json:"descriptors"`
	Sessions    float64 `json:"sessions"`
}

// soakLine is the judgement of one figure.
type soakLine struct {
	Name   string  `json:"name"`
	Early  float64 `json:"secondQuarter"` // median
	Late   float64 `json:"lastQuarter"`   // median
	Within float64 `json:"atMost"`        // that the late one may be
	Flat   bool    `json:"flat"`
}

// soakReport is the result.
type soakReport struct {
	Length   string           `json:"length"`
	Clients  int              `json:"clients"`
	Lives    map[string]int64 `json:"lives"`
	Failures int64            `json:"failures"`
	Lines    []soakLine       `json:"figures"`
	Before   soakSample       `json:"before"`
	After    soakSample       `json:"after"`
	Samples  []soakSample     `json:"samples"`
}

// soak is a run of it.
type soak struct {
	plan *plan
	soakPlan
	begin    time.Time
	lives    [soakEnds]atomic.Int64 // by how they ended
	failures atomic.Int64
	failure  atomic.Pointer[error] // the first one
}

// soakEnd is a way in which a client leaves.
type soakEnd int

const (
	soakDisconnect soakEnd = iota
	soakVanish
	soakSilent
	soakGarbage
	soakReload
	soakEnds
)

func (e soakEnd) String() string {
	return [...]string{"disconnect", "vanish", "silent", "garbage", "reload"}[e]
}

// leave has a client leave that way.
func (s *soak) leave(ctx context.Context, e soakEnd, c *client, poll bool) error {
	switch e {
	case soakVanish:
		return c.vanish(poll)
	case soakSilent:
		return c.silent(ctx, poll)
	case soakGarbage:
		return c.garbage(poll)
	case soakReload:
		return s.reload(ctx, c, poll)
	default:
		return c.disconnect(poll)
	}
}

func (s *soakPlan) run(ctx context.Context, base plan) error {
	if s.clients < 1 || s.clients > soakMost {
		return fmt.Errorf("-churn: want 1 to %d", soakMost)
	}
	s.length = base.length
	base.options = []string{
		"--set", "timeout=3000", "--set", "maxInterval=10000", "--set", "ws.idleTimeout=10000",
		"--limit", "unconnectedTime=10s",
	}
	raiseDescriptors()
	stop, err := base.start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	run := &soak{plan: &base, soakPlan: *s, begin: time.Now()}
	report, err := run.watch(ctx)
	if err != nil {
		return err
	}
	return run.judge(report)
}

// watch has the clients live, samples the server meanwhile, and once more when
// all have gone.
func (s *soak) watch(ctx context.Context) (r soakReport, err error) {
	if r.Before, err = s.sample(ctx); err != nil {
		return r, err
	}
	lives, end := context.WithCancel(ctx) // without a deadline, which a dial would fail for before it has come
	defer end()
	defer time.AfterFunc(s.length, end).Stop()
	var clients sync.WaitGroup
	for i := range s.clients {
		clients.Go(func() { s.live(lives, rand.New(rand.NewPCG(uint64(i), 1))) }) //nolint:gosec // which way a client goes is no secret
	}
	for tick := time.NewTicker(soakEvery); ; {
		select {
		case <-tick.C:
			sample, err := s.sample(ctx)
			if err != nil {
				return r, err
			}
			r.Samples = append(r.Samples, sample)
			if len(r.Samples)%30 == 0 {
				s.plan.say("%s\n", sample)
			}
			continue
		case <-lives.Done():
			tick.Stop()
		}
		break
	}
	clients.Wait()
	if ctx.Err() != nil {
		return r, ctx.Err()
	}
	r.After, err = s.settled(ctx, r.Before)
	return r, err
}

// settled returns what the server holds when it has forgotten everybody, or what
// it still holds when it had long enough.
func (s *soak) settled(ctx context.Context, before soakSample) (last soakSample, err error) {
	for late := time.Now().Add(soakSettle); ; {
		if last, err = s.sample(ctx); err != nil {
			return last, err
		}
		if last.Sessions == 0 && last.Descriptors <= before.Descriptors && last.Goroutines <= before.Goroutines+soakIdleWorkers || time.Now().After(late) {
			return last, nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}

// soakIdleWorkers are goroutines that the server keeps once it had work.
const soakIdleWorkers = 16

func (s *soak) sample(ctx context.Context) (soakSample, error) {
	figures, err := s.plan.metrics(ctx)
	p := sample(s.plan.pid)
	return soakSample{
		Seconds: time.Since(s.begin).Seconds(), Resident: float64(p.RSS), Descriptors: float64(p.Descriptors),
		Heap: figures["go_memstats_heap_inuse_bytes"], Goroutines: figures["go_goroutines"], Sessions: figures["halley_sessions"],
	}, err
}

func (v soakSample) String() string {
	return fmt.Sprintf("%6.0f s  %5.0f sessions  %6.1f MB resident  %6.1f MB heap  %5.0f goroutines  %5.0f descriptors",
		v.Seconds, v.Sessions, v.Resident/1e6, v.Heap/1e6, v.Goroutines, v.Descriptors)
}

// live has one client after the other until the end.
func (s *soak) live(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		way := soakEnd(rng.IntN(int(soakEnds)))
		if err := s.life(ctx, rng, way); err != nil && ctx.Err() == nil {
			s.failures.Add(1)
			s.failure.CompareAndSwap(nil, &err)
			continue
		}
		s.lives[way].Add(1)
	}
}

// life is one client: it connects, subscribes, publishes and hears for some time,
// and leaves.
func (s *soak) life(ctx context.Context, rng *rand.Rand, way soakEnd) error {
	poll := rng.IntN(2) == 0
	p := *s.plan
	p.own = channel + "/" + strconv.Itoa(rng.IntN(soakChannels))
	open := p.openSocket
	if poll {
		open = p.openPoll
	}
	c, err := open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	// The rest of it waits no longer than this.
	if err := c.conn.SetDeadline(time.Now().Add(10 * soakLife)); err != nil {
		return err
	}
	for until := time.Now().Add(time.Duration(rng.Int64N(int64(soakLife)))); time.Now().Before(until); {
		if err := c.speak(poll, p.own); err != nil {
			return err
		}
		select {
		case <-time.After(time.Duration(rng.Int64N(int64(soakPause)))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.leave(ctx, way, c, poll)
}

// speak publishes and hears what comes until it is answered, or with the next
// poll.
func (c *client) speak(poll bool, to string) error {
	text := `[{"channel":"` + to + `","id":"5","clientId":"` + c.id + `","data":{"at":1}}]`
	if !poll {
		if err := wsutil.WriteClientText(c.conn, []byte(text)); err != nil {
			return err
		}
		for answered := false; !answered; {
			batch, err := c.readSocket()
			if err != nil {
				return err
			}
			if err := c.again(batch); err != nil {
				return err
			}
			answered = slices.ContainsFunc(batch, func(m message) bool { return m.Channel == to && m.Successful != nil })
		}
		return nil
	}
	for _, text := range []string{text, c.connectMessage(false)} {
		batch, err := c.askPoll(text)
		if err != nil || failed(batch) != nil {
			return errors.Join(err, failed(batch))
		}
	}
	return nil
}

// again sends the next connect when one was answered.
func (c *client) again(batch []message) error {
	for _, m := range batch {
		if m.Channel == "/meta/connect" {
			if err := failed(batch); err != nil {
				return err
			}
			return wsutil.WriteClientText(c.conn, []byte(c.connectMessage(false)))
		}
	}
	return nil
}

func (c *client) disconnect(poll bool) error {
	text := `[{"channel":"/meta/disconnect","id":"6","clientId":"` + c.id + `"}]`
	if poll {
		_, err := c.askPoll(text)
		return err
	}
	return wsutil.WriteClientText(c.conn, []byte(text))
}

// vanish is a client whose machine was switched off while a connect was held.
func (c *client) vanish(poll bool) error {
	if !poll {
		return nil // its connect is held
	}
	return c.writePoll(c.connectMessage(false))
}

// silent is a client that is there and says nothing until it is thrown out.
func (c *client) silent(ctx context.Context, poll bool) error {
	if poll {
		select {
		case <-time.After(soakLife):
		case <-ctx.Done():
		}
		return nil
	}
	for {
		if _, err := c.readSocket(); err != nil {
			return nil //nolint:nilerr // the end of it is what was waited for
		}
	}
}

// garbage is a client that says what nobody understands.
func (c *client) garbage(poll bool) error {
	if !poll {
		_, err := c.conn.Write([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff garbage"))
		return err
	}
	if err := c.writePoll(`[{"channel":`); err != nil {
		return err
	}
	_, err := c.conn.Write([]byte("GARBAGE\r\n\r\n"))
	return err
}

// reload is a page that goes on with its session by another connection.
func (s *soak) reload(ctx context.Context, c *client, poll bool) error {
	if !poll {
		return nil // over WebSocket a page that is loaded anew has a new session
	}
	next, err := s.plan.dial(ctx)
	if err != nil {
		return err
	}
	defer next.Close()
	if err := next.conn.SetDeadline(time.Now().Add(10 * soakLife)); err != nil {
		return err
	}
	next.id, next.cookie = c.id, c.cookie
	if err := c.writePoll(c.connectMessage(false)); err != nil {
		return err
	}
	c.Close()
	batch, err := next.askPoll(next.connectMessage(true))
	return errors.Join(err, failed(batch))
}

// judge prints the report, and fails if something grows or stays.
func (s *soak) judge(r soakReport) error {
	r.Length, r.Clients, r.Failures, r.Lives = s.length.String(), s.clients, s.failures.Load(), map[string]int64{}
	for end := range soakEnds {
		r.Lives[end.String()] = s.lives[end].Load()
	}
	r.Lines = soakLines(r.Samples)
	var errs []error
	s.plan.say("lives          %v, %d failures\nbefore       %s\nafter        %s\n", r.Lives, r.Failures, r.Before, r.After)
	for _, l := range r.Lines {
		s.plan.say("%-12s   median %.4g in the second quarter, %.4g in the last, at most %.4g: flat %v\n", l.Name, l.Early, l.Late, l.Within, l.Flat)
		if !l.Flat {
			errs = append(errs, fmt.Errorf("%s grew from %.4g to %.4g", l.Name, l.Early, l.Late))
		}
	}
	if p := s.failure.Load(); p != nil {
		errs = append(errs, fmt.Errorf("%d clients failed, the first one: %w", r.Failures, *p))
	}
	if r.After.Sessions > 0 || r.After.Descriptors > r.Before.Descriptors || r.After.Goroutines > r.Before.Goroutines+soakIdleWorkers {
		errs = append(errs, errors.New("something is left when all have gone"))
	}
	if s.json != "" {
		text, err := json.MarshalIndent(r, "", "\t")
		errs = append(errs, err, os.WriteFile(s.json, text, 0o644)) //nolint:gosec // a report
	}
	return errors.Join(errs...)
}

// soakLines compares the second quarter with the last. What may be more is for
// the garbage collector, and for how many clients there happen to be.
func soakLines(samples []soakSample) (lines []soakLine) {
	quarter := len(samples) / 4
	if quarter == 0 {
		return []soakLine{{Name: "samples"}}
	}
	second, last := samples[quarter:2*quarter], samples[3*quarter:]
	for _, f := range []struct {
		name   string
		figure func(soakSample) float64
		part   float64 // more that is allowed
		slack  float64
	}{
		{"resident", func(v soakSample) float64 { return v.Resident }, 0.10, 2 << 20},
		{"heap", func(v soakSample) float64 { return v.Heap }, 0.15, 2 << 20},
		{"goroutines", func(v soakSample) float64 { return v.Goroutines }, 0.10, 20},
		{"descriptors", func(v soakSample) float64 { return v.Descriptors }, 0.10, 50},
	} {
		l := soakLine{Name: f.name, Early: soakMedian(second, f.figure), Late: soakMedian(last, f.figure)}
		l.Within = l.Early*(1+f.part) + f.slack
		l.Flat = l.Late <= l.Within
		lines = append(lines, l)
	}
	return lines
}

func soakMedian(samples []soakSample, figure func(soakSample) float64) float64 {
	sorted := slices.SortedFunc(slices.Values(samples), func(a, b soakSample) int { return cmp.Compare(figure(a), figure(b)) })
	return figure(sorted[len(sorted)/2])
}
