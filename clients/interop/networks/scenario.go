package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/internal/hostileproxy"
	"github.com/halleypush/halley/internal/peers"
)

const (
	// switchOff has Halley learn nothing of networks.
	switchOff = "paths=off"
	// probeOption says how often Halley tries whether more goes through, probeEvery what it is set to for tests.
	probeOption = "pathProbe"
	probeEvery  = 2 * time.Minute
)

// scenario is what a network does to clients, and what must come of it.
type scenario struct {
	name  string
	about string // for the document
	hold  time.Duration
	// expiry is how long sessions live without a connect, if that is more than 10 s.
	expiry time.Duration
	probe  time.Duration // see probeOption; 0: Halley's default
	ours   map[string]string
	// alone says that it needs the machine; the others mostly wait.
	alone bool
	// sockets says that the server must have WebSockets.
	sockets bool
	run     func(context.Context, *stage) error
	// judge finds what the issue asks for, suffers what must happen where nothing is learned; nil: nothing. Both get the scale.
	judge, suffers func(seen, float64) []finding
}

func scenarios() []scenario {
	const large = 33554432
	return []scenario{
		{
			name: "cap", about: "responses of at most 64 KiB, the rest cut off or answered by 502; a backlog of 5 MB in 1,250 messages, ack on",
			hold: 30 * time.Second, expiry: 2 * time.Minute, alone: true, run: runCap, judge: judgeCap, suffers: suffersCap,
		},
		{
			name: "java-backlog", about: "the Java client with its limit of 1 MiB; a backlog of 20 MB in 5,000 messages, ack on, no proxy's limit",
			hold: 30 * time.Second, expiry: 2 * time.Minute, alone: true, run: runJava, judge: judgeJava,
			ours: map[string]string{"maxQueueBytes": fmt.Sprint(large)},
		},
		{
			name: "blackhole", about: "WebSockets open and nothing comes through, from the 101 on or after one frame; pages in Chromium",
			hold: 30 * time.Second, alone: true, sockets: true, run: runHole, judge: judgeHole,
		},
		{
			name: "cuts", about: "polls are cut after 5, 60 and 100 s side by side; hold 120 s, 30 minutes",
			hold: 2 * time.Minute, run: runCuts, judge: judgeCuts, suffers: suffersCuts,
		},
		{
			name: "moving-up", about: "the cut of 8 s becomes one of 60 s; hold 120 s, probes each 2 minutes, 18 minutes",
			hold: 2 * time.Minute, probe: probeEvery, run: runUp, judge: judgeUp,
		},
		{
			name: "noise", about: "50 reloads, tabs that are closed, network changes at random times, clients that cut their own polls; hold 30 s, 12 minutes",
			hold: 30 * time.Second, probe: time.Minute, run: runNoise, judge: judgeNoise,
		},
		{
			name: "cut", about: "polls are cut after 20 s; hold 30 s, 10 minutes, 600 messages",
			hold: 30 * time.Second, run: runCut(inNode), judge: judgeCut, suffers: suffersCut,
		},
		{
			name: "faye-cut", about: "the same with Faye's client",
			hold: 30 * time.Second, run: runCut(ofFaye), judge: judgeCut, suffers: suffersCut,
		},
		{
			name: "moving-down", about: "the cut of 20 s becomes one of 8 s; hold 30 s, 10 minutes",
			hold: 30 * time.Second, run: runDown, judge: judgeDown,
		},
		{
			name: "store", about: "a proxy keeps each response until it is whole; hold 30 s",
			hold: 30 * time.Second, run: runStore, judge: judgeStore,
		},
	}
}

// pick returns the scenarios that a list names, by their names or by what stands before the dash; all for none.
func pick(list string) ([]*scenario, error) {
	all := scenarios()
	var some []*scenario
	for name := range strings.SplitSeq(list, ",") {
		found := false
		for i := range all {
			if sc := &all[i]; name == "" || sc.name == name || strings.HasPrefix(sc.name, name+"-") {
				some, found = append(some, sc), true
			}
		}
		if !found {
			names := make([]string, len(all))
			for i := range all {
				names[i] = all[i].name
			}
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	return some, nil
}

// can says whether the scenario is for that server.
func (sc *scenario) can(server string) bool {
	return !sc.sockets || slices.Contains(peers.Transports(server), "websocket")
}

// steady is the schedule, for a time.
func steady(total time.Duration) shape {
	return shape{total: total, messages: 600, minBurst: 1, maxBurst: 40, minSilence: 25 * time.Second, maxSilence: 90 * time.Second}
}

// schedule draws a plan for a client behind a cut, and notes what it would do to one whose server does not adapt.
func (s *stage) schedule(sh shape, name string, cut, hold time.Duration) ([]burst, error) {
	plan, err := sh.scaled(s.conf.scale).plan(s.rng)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts[name] = path{cut: s.scaled(cut), hold: s.scaled(hold), backoff: s.scaled(time.Second)}.cuts(plan)
	return plan, nil
}

// limit has a network cut polls after that time.
func (s *stage) limit(network byte, cut time.Duration, how hostileproxy.End) {
	s.harm(network, hostileproxy.Rules{MaxDuration: s.scaled(cut), DurationEnd: how})
}

// sorted are the cues in the order of their times.
func sorted(cues []cue) []cue {
	slices.SortStableFunc(cues, func(a, b cue) int { return int(a.at - b.at) })
	return cues
}

// joins is the cue at which a client comes.
func (s *stage) joins(at time.Duration, sp spec) cue {
	return cue{at, func(ctx context.Context) error {
		_, err := s.join(ctx, sp)
		return err
	}}
}

// joinAll has clients come one after the other.
func (s *stage) joinAll(ctx context.Context, specs ...spec) error {
	for _, sp := range specs {
		if _, err := s.join(ctx, sp); err != nil {
			return err
		}
	}
	return nil
}

// finish waits for what is still under way: no longer than a hold and a little.
func (s *stage) finish(ctx context.Context, hold time.Duration) error {
	return s.settle(ctx, s.scaled(hold)+5*time.Second, s.all()...)
}

// runCut has clients of a kind behind a cut.
func runCut(by kind) func(context.Context, *stage) error {
	return func(ctx context.Context, s *stage) error {
		const channel, cut, hold, total = "/networks/cut", 20 * time.Second, 30 * time.Second, 10 * time.Minute
		plan, err := s.schedule(steady(total), "cut-20", cut, hold)
		if err != nil {
			return err
		}
		s.limit(1, cut, hostileproxy.ByAnswer)
		err = s.joinAll(ctx, spec{name: "cut-20", kind: by, network: 1, channel: channel}, spec{name: "direct", kind: by, network: 2, channel: channel})
		if err != nil {
			return err
		}
		second := s.joins(s.scaled(total/secondAfter), spec{name: "cut-20-second", kind: by, network: 1, channel: channel, ack: by != ofFaye})
		if err := s.play(ctx, sorted(append(s.bursts(channel, plan), second))); err != nil {
			return err
		}
		return s.finish(ctx, hold)
	}
}

// sideCut is one of the cuts side by side, and how often something is published there.
type sideCut struct {
	cut   time.Duration
	how   hostileproxy.End
	shape shape
}

// secondAfter is the part of a run after which the second client joins: the rarest schedule has cut the first one twice
// within 310 of 1,800 s, however its bursts fall.
const secondAfter = 5

func (c sideCut) name() string { return fmt.Sprintf("cut-%.0f", c.cut.Seconds()) }

// sideBySide are the cuts of a scenario, each ended in another way. Silences are longer than the cut, or nothing is cut.
func sideBySide() []sideCut {
	const total = 30 * time.Minute
	rare := func(messages int, from, to time.Duration) shape {
		return shape{total: total, messages: messages, minBurst: 1, maxBurst: 40, minSilence: from, maxSilence: to}
	}
	return []sideCut{
		{5 * time.Second, hostileproxy.ByFIN, steady(total)},
		{time.Minute, hostileproxy.ByAnswer, rare(600, 75*time.Second, 270*time.Second)},
		{100 * time.Second, hostileproxy.ByReset, rare(200, 200*time.Second, 450*time.Second)},
	}
}

func runCuts(ctx context.Context, s *stage) error {
	const hold = 2 * time.Minute
	var cues []cue
	for i, c := range sideBySide() {
		network, channel := byte(i+1), "/networks/"+c.name()
		plan, err := s.schedule(c.shape, c.name(), c.cut, hold)
		if err != nil {
			return err
		}
		s.limit(network, c.cut, c.how)
		if err := s.joinAll(ctx, spec{name: c.name(), network: network, channel: channel}); err != nil {
			return err
		}
		second := s.joins(s.scaled(c.shape.total/secondAfter), spec{name: c.name() + "-second", network: network, channel: channel, ack: true})
		cues = append(append(cues, s.bursts(channel, plan)...), second)
	}
	// Only the rarest messages leave a poll of two minutes alone.
	if err := s.joinAll(ctx, spec{name: "direct", network: 9, channel: "/networks/cut-100"}); err != nil {
		return err
	}
	if err := s.play(ctx, sorted(cues)); err != nil {
		return err
	}
	return s.finish(ctx, hold)
}

// change is the cue at which a cut becomes another: just after the first burst from a moment on, while polls are young.
func (s *stage) change(plan []burst, from time.Duration, network byte, cut time.Duration) (cue, error) {
	i := slices.IndexFunc(plan, func(b burst) bool { return b.at >= s.scaled(from) })
	if i < 0 {
		return cue{}, errors.New("the schedule ends before the network changes")
	}
	return cue{plan[i].at + s.scaled(time.Second), func(context.Context) error {
		s.mark(markChanged)
		s.limit(network, cut, hostileproxy.ByAnswer)
		return nil
	}}, nil
}

func (s *stage) mark(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks[name] = s.now()
}

// moving is one client behind a cut that becomes another.
func (s *stage) moving(ctx context.Context, name string, before, after, hold, at, total time.Duration) error {
	const channel = "/networks/moving"
	plan, err := s.schedule(steady(total), name, before, hold)
	if err != nil {
		return err
	}
	turn, err := s.change(plan, at, 1, after)
	if err != nil {
		return err
	}
	s.limit(1, before, hostileproxy.ByAnswer)
	// The direct client listens to nothing that is published: its polls are held in full, however long.
	if err := s.joinAll(ctx, spec{name: name, network: 1, channel: channel}, spec{name: "direct", network: 2, channel: channel + "/quiet"}); err != nil {
		return err
	}
	if err := s.play(ctx, sorted(append(s.bursts(channel, plan), turn))); err != nil {
		return err
	}
	return s.finish(ctx, hold)
}

func runDown(ctx context.Context, s *stage) error {
	return s.moving(ctx, "cut-20-8", 20*time.Second, 8*time.Second, 30*time.Second, 5*time.Minute, 10*time.Minute)
}

func runUp(ctx context.Context, s *stage) error {
	return s.moving(ctx, "cut-8-60", 8*time.Second, time.Minute, 2*time.Minute, 3*time.Minute, 18*time.Minute)
}

func runStore(ctx context.Context, s *stage) error {
	const channel, hold = "/networks/store", 30 * time.Second
	s.harm(1, hostileproxy.Rules{Store: true})
	if err := s.joinAll(ctx, spec{name: "stored", network: 1, channel: channel}, spec{name: "direct", network: 2, channel: channel}); err != nil {
		return err
	}
	// Between the last two, a poll is held in full.
	plan := []burst{{hold / 10, 1}, {hold / 2, 3}, {hold, 40}, {2*hold + hold/2, 1}}
	for i := range plan {
		plan[i].at = s.scaled(plan[i].at)
	}
	if err := s.play(ctx, s.bursts(channel, plan)); err != nil {
		return err
	}
	return s.finish(ctx, hold)
}

// together runs all at once and returns when all have ended, early when one fails.
func together(ctx context.Context, all ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, f := range all {
		wg.Go(func() {
			if errs[i] = f(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}
