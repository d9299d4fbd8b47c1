package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/clients/interop/drive"
	"github.com/halleypush/halley/internal/hostileproxy"
)

// hole is a way in which WebSockets die.
type hole struct {
	name   string
	frames int // that pass to the client
}

func holes() []hole { return []hole{{"at-101", 0}, {"after-reply", 1}} }

// first is the page that meets the black hole, later are those that come after it, loose is a first one that leaves
// WebSockets when one died.
func (h hole) first() string   { return h.name + "-1" }
func (h hole) later() []string { return []string{h.name + "-2", h.name + "-3", h.name + "-4"} }
func (h hole) loose() string   { return h.name + "-loose" }

const holeChannel = "/networks/hole"

// twoSockets is how long a page takes to lose two WebSockets: the client gives up each after its maxNetworkDelay.
const twoSockets = 25 * time.Second

func runHole(ctx context.Context, s *stage) error {
	var over atomic.Bool
	ticks := func(ctx context.Context) error {
		for !over.Load() {
			err := s.publish(ctx, holeChannel, 1, "")
			if err == nil {
				err = pause(ctx, 100*time.Millisecond)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return together(ctx, ticks, func(ctx context.Context) error {
		defer over.Store(true)
		// The first page of a browser is slow for other reasons.
		for _, sp := range []spec{{name: "warm", network: 9, noisy: true}, {name: "direct", network: 9}} {
			if err := s.visit(ctx, sp, 2*pageWithin); err != nil {
				return err
			}
		}
		for i, h := range holes() {
			if err := s.hole(ctx, h, byte(2*i+1)); err != nil {
				return err
			}
		}
		return nil
	})
}

// hole has pages come by a path that swallows what WebSockets carry, and by another one that does so and still tells their
// ends, without which a client notices nothing for ten seconds.
func (s *stage) hole(ctx context.Context, h hole, network byte) error {
	rules := hostileproxy.Rules{BlackHole: true, HoleFrames: h.frames}
	s.harm(network, rules)
	rules.HoleEnds = true
	s.harm(network+1, rules)
	if err := s.visit(ctx, spec{name: h.first(), network: network}, twoSockets); err != nil {
		return err
	}
	for _, name := range h.later() {
		if err := s.visit(ctx, spec{name: name, network: network}, 4*pageWithin); err != nil {
			return err
		}
	}
	return s.visit(ctx, spec{name: h.loose(), network: network + 1, loose: true}, 3*looseWithin)
}

// visit opens a page, waits for its first message, at most that long, and closes it.
func (s *stage) visit(ctx context.Context, sp spec, most time.Duration) error {
	sp.kind, sp.channel, sp.any, sp.unawaited = inPage, holeChannel, true, true
	c, err := s.join(ctx, sp)
	if err != nil {
		return err
	}
	defer c.leave()
	late, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	_ = c.diary.wait(late, has(kindMessage, 1)) // The figures tell what came.
	return ctx.Err()
}

const (
	noiseChannel = "/networks/noise"
	reloads      = 50
	tabs         = 20
	moves        = 20
	ownCut       = 8 * time.Second // after which a client cuts its own polls
	ownCuts      = 10
)

// runNoise has a path of people who do what people do, and paths of clients that cut their own polls, and looks at who comes
// after them.
func runNoise(ctx context.Context, s *stage) error {
	const hold = 30 * time.Second
	pages := []*client{}
	for _, sp := range []spec{{name: "reloaded-poll"}, {name: "reloaded-socket", any: true}} {
		sp.kind, sp.network, sp.channel, sp.reload, sp.noisy = inPage, 1, noiseChannel, true, true
		c, err := s.join(ctx, sp)
		if err != nil {
			return err
		}
		pages = append(pages, c)
	}
	if err := s.joinAll(ctx, spec{name: "direct", network: 2, channel: noiseChannel}); err != nil {
		return err
	}
	people := func(ctx context.Context) error {
		err := together(ctx, s.reloads(pages[0]), s.reloads(pages[1]), s.tabs, s.moves)
		if err != nil {
			return err
		}
		if err := s.joinAll(ctx, spec{name: "newcomer", network: 1, channel: noiseChannel}, spec{name: "newcomer-8", network: 8, channel: noiseChannel}); err != nil {
			return err
		}
		return pause(ctx, s.scaled(3*hold+hold/2))
	}
	return together(ctx, people, s.beside(hold), s.after(hold))
}

// chance is a random time up to that.
func (s *stage) chance(most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.rng.Int64N(int64(s.scaled(most))))
}

func (s *stage) reloads(c *client) func(context.Context) error {
	return func(ctx context.Context) error {
		for range reloads {
			if err := pause(ctx, s.chance(20*time.Second)); err != nil {
				return err
			}
			if err := s.load(ctx, c, drive.Envelope{Reload: true}); err != nil {
				return err
			}
		}
		c.leave()
		return nil
	}
}

// tabs come and are closed.
func (s *stage) tabs(ctx context.Context) error {
	for i := range tabs {
		c, err := s.join(ctx, spec{name: fmt.Sprint("tab-", i), kind: inPage, network: 1, channel: noiseChannel, noisy: true, unawaited: true})
		if err != nil {
			return err
		}
		if err := pause(ctx, s.chance(40*time.Second)); err != nil {
			return err
		}
		c.leave()
	}
	return nil
}

// moves is a client that goes from one network to the other and back, and loses its connections each time.
func (s *stage) moves(ctx context.Context) error {
	c, err := s.join(ctx, spec{name: "moved", network: 1, channel: noiseChannel, noisy: true})
	if err != nil {
		return err
	}
	for i := range moves {
		if err := pause(ctx, s.chance(50*time.Second)); err != nil {
			return err
		}
		c.door.From(address([]byte{8, 1}[i%2]))
		c.door.CutAll(true)
	}
	c.leave()
	return nil
}

// cutter is a client that cuts its own polls at the same age.
func (s *stage) cutter(ctx context.Context, network byte, half func(context.Context) error) error {
	c, err := s.join(ctx, spec{name: fmt.Sprint("cutter-", network), network: network, channel: noiseChannel, noisy: true})
	if err != nil {
		return err
	}
	defer c.leave()
	for i := range ownCuts {
		if i == ownCuts/2 {
			if err := half(ctx); err != nil {
				return err
			}
		}
		if err := pause(ctx, s.scaled(ownCut)); err != nil {
			return err
		}
		c.door.CutAll(false)
	}
	return nil
}

// beside is a path where one has held in full before another cuts its own polls.
func (s *stage) beside(hold time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := s.joinAll(ctx, spec{name: "held", network: 3, channel: noiseChannel}); err != nil {
			return err
		}
		if err := pause(ctx, s.scaled(hold+hold/2)); err != nil {
			return err
		}
		err := s.cutter(ctx, 3, func(ctx context.Context) error {
			return s.joinAll(ctx, spec{name: "beside", network: 3, channel: noiseChannel})
		})
		if err != nil {
			return err
		}
		return pause(ctx, s.scaled(3*hold))
	}
}

// after is a path where one who cuts its own polls was alone at first.
func (s *stage) after(hold time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		err := s.cutter(ctx, 4, func(ctx context.Context) error {
			return s.joinAll(ctx, spec{name: "late", network: 4, channel: noiseChannel})
		})
		if err != nil {
			return err
		}
		return pause(ctx, s.scaled(12*hold))
	}
}
