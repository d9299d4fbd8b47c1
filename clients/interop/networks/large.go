package main

import (
	"context"
	"strings"
	"time"

	"github.com/halleypush/halley/internal/hostileproxy"
)

// backlog has messages of 4 KB wait for clients whose networks stand still, lets them go, and waits until all have come or
// the time is over.
func (s *stage) backlog(ctx context.Context, channel string, count int, most time.Duration, specs ...spec) error {
	if err := s.joinAll(ctx, specs...); err != nil {
		return err
	}
	all := s.all()
	for _, c := range all {
		// A poll is waiting, and its answer will be the first of the backlog.
		if err := s.await(ctx, c, has(kindAnswered, 1)); err != nil {
			return err
		}
	}
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	for _, c := range all {
		c.door.Stall()
	}
	if err := s.publish(ctx, channel, count, strings.Repeat("x", padding)); err != nil {
		return err
	}
	s.mark(markReleased)
	for _, c := range all {
		c.door.Resume()
	}
	return s.settle(ctx, most, all...)
}

func runCap(ctx context.Context, s *stage) error {
	const channel, most = "/networks/cap", 64 << 10
	s.harm(1, hostileproxy.Rules{MaxResponse: most, ResponseEnd: hostileproxy.ByAnswer})
	s.harm(2, hostileproxy.Rules{MaxResponse: most, ResponseEnd: hostileproxy.ByFIN})
	return s.backlog(ctx, channel, 1250, s.conf.patience(3*time.Minute, time.Minute, s.server),
		spec{name: "answered-502", network: 1, channel: channel, ack: true},
		spec{name: "truncated", network: 2, channel: channel, ack: true},
		spec{name: "direct", network: 3, channel: channel, ack: true})
}

func runJava(ctx context.Context, s *stage) error {
	const channel = "/networks/java"
	return s.backlog(ctx, channel, 5000, s.conf.patience(2*time.Minute, time.Minute, s.server),
		spec{name: "java", kind: inJava, network: 1, channel: channel, ack: true})
}

// patience is how long a scenario waits for what should come: less where it will not.
func (c *config) patience(adapted, otherwise time.Duration, server string) time.Duration {
	if server == ours && !c.unadapted {
		return adapted
	}
	return otherwise
}
