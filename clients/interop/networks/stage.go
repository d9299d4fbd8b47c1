package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/clients/bayeuxclient"
	"github.com/halleypush/halley/internal/hostileproxy"
	"github.com/halleypush/halley/internal/peers"
)

const (
	ours = "halley"
	// arrival bounds the start of a client, which may be a Java machine or the first page of a browser.
	arrival = time.Minute
	// batchSize is how many messages are published in one array: with 4 KB each, well within what servers read.
	batchSize = 50
	// padding makes a message of 4 KB of its data.
	padding = 4000
)

// stage is one scenario on one server: the server, the proxy in front of it, one who publishes, and the clients.
type stage struct {
	conf   *config
	server string
	root   string // of the source tree
	rng    *rand.Rand

	peer  *peers.Peer
	proxy *hostileproxy.HTTP
	pub   *bayeuxclient.Client
	began time.Time

	mu      sync.Mutex
	sent    map[string][]sending // by channel
	marks   map[string]time.Duration
	cuts    map[string]int
	clients []*client
	browser *browser
}

// options are those of a server for a scenario: times shrunk, and of Halley's own only for Halley.
func (c *config) options(server string, sc *scenario) map[string]string {
	all := map[string]string{"timeout": millis(scale(sc.hold, c.scale))}
	if server == "faye" { // It knows no more.
		return all
	}
	// Clients that fail again and again pause for longer and longer.
	all["maxInterval"] = millis(max(10*time.Second, scale(sc.expiry, c.scale)))
	if server != ours {
		return all
	}
	maps.Copy(all, sc.ours)
	if c.program != "" {
		all["program"] = c.program
	}
	all["paths"] = "learn"
	if c.unadapted {
		if name, value, ok := strings.Cut(c.off, "="); ok {
			all[name] = value
		}
		return all
	}
	if sc.probe > 0 {
		all[probeOption] = millis(scale(sc.probe, c.scale))
	}
	return all
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// open starts server, proxy and publisher. Close must be called, also after an error.
func (s *stage) open(ctx context.Context, sc *scenario) error {
	var err error
	if s.peer, err = peers.Start(ctx, s.server, s.conf.options(s.server, sc)); err != nil {
		return err
	}
	if s.proxy, err = hostileproxy.NewHTTP(strings.TrimPrefix(s.origin(), "http://")); err != nil {
		return err
	}
	s.pub, err = bayeuxclient.Dial(ctx, s.peer.URL(), bayeuxclient.Options{Transports: []string{bayeuxclient.LongPolling}})
	if err != nil {
		return fmt.Errorf("the publisher: %w", err)
	}
	s.began = time.Now()
	return nil
}

func (s *stage) close() {
	for _, c := range s.all() {
		c.leave()
	}
	if s.browser != nil {
		s.browser.close()
	}
	if s.pub != nil {
		_ = s.pub.Close()
	}
	if s.proxy != nil {
		_ = s.proxy.Close()
	}
	if s.peer != nil {
		s.peer.Kill()
	}
}

// origin is the server's URL without its path, pathOf its path.
func (s *stage) origin() string { return strings.TrimSuffix(s.peer.URL(), s.pathOf()) }

func (s *stage) pathOf() string {
	_, rest, _ := strings.Cut(s.peer.URL(), "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return ""
}

// scaled is a time of the scenario as it is in this run.
func (s *stage) scaled(d time.Duration) time.Duration { return scale(d, s.conf.scale) }

// now is the time since the beginning.
func (s *stage) now() time.Duration { return time.Since(s.began) }

// address is the n-th network.
func address(n byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, n}) }

// harm puts the n-th network under rules.
func (s *stage) harm(n byte, r hostileproxy.Rules) { s.proxy.SetFor(address(n), r) }

func (s *stage) all() []*client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.clients)
}

// publish sends count messages to a channel at once; their numbers go on where the last ones ended.
func (s *stage) publish(ctx context.Context, channel string, count int, pad string) error {
	for count > 0 {
		n := min(count, batchSize)
		count -= n
		first := s.note(channel, n)
		err := s.pub.Batch(ctx, func(b *bayeuxclient.Batch) {
			for i := range n {
				b.Publish(channel, payload{N: first + i, Pad: pad})
			}
		})
		if err != nil {
			return fmt.Errorf("publish to %s: %w", channel, err)
		}
	}
	return nil
}

// note writes down that the next n messages leave, and returns the number of the first.
func (s *stage) note(channel string, n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, now := len(s.sent[channel])+1, time.Now()
	for i := range n {
		s.sent[channel] = append(s.sent[channel], sending{first + i, now})
	}
	return first
}

func (s *stage) published(channel string) []sending {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent[channel])
}

// figures measures a client as of now.
func (s *stage) figures(c *client) figures {
	return measure(c.name, c.diary.all(), s.published(c.channel), s.began, c.left.Load())
}

// cue is something that is to be done at a time after the beginning.
type cue struct {
	at time.Duration
	do func(context.Context) error
}

// play does all cues in the order of their times, which count from the call.
func (s *stage) play(ctx context.Context, cues []cue) error {
	begin := time.Now()
	for _, c := range cues {
		if err := pause(ctx, c.at-time.Since(begin)); err != nil {
			return err
		}
		if err := c.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bursts are the cues of a schedule.
func (s *stage) bursts(channel string, plan []burst) []cue {
	cues := make([]cue, len(plan))
	for i, b := range plan {
		cues[i] = cue{b.at, func(ctx context.Context) error { return s.publish(ctx, channel, b.count, "") }}
	}
	return cues
}

// settle waits until the clients have all that was published to them, at most that long.
func (s *stage) settle(ctx context.Context, most time.Duration, clients ...*client) error {
	const look = 100 * time.Millisecond
	for begin := time.Now(); time.Since(begin) < most; {
		missing := func(c *client) bool { return s.figures(c).Lost > 0 }
		if !slices.ContainsFunc(clients, missing) {
			return nil
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
	return nil // The figures tell what is missing.
}

// pause waits; it returns at once for what is over.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
