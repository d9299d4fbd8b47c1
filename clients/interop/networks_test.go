//go:build interop && networks

package interop

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/hostileproxy"
)

// These tests take published clients through networks that break push, in real time: `make networks-clients`. Each path is
// a proxy of its own, by whose source address the server tells it from others.

// seedOf is that of all schedules, HALLEY_NETWORKS_SEED or 1.
func seedOf(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(1)
	if text := os.Getenv("HALLEY_NETWORKS_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	return rand.New(rand.NewPCG(seed, 0))
}

// network is a path to a server.
type network struct {
	proxy *hostileproxy.HTTP
	from  netip.Addr // as which the server sees it
	url   string
}

var networks struct {
	sync.Mutex
	last byte
}

// newNetwork puts a proxy with those rules before a server, as a network that nothing else comes from.
func newNetwork(t *testing.T, s *server, rules hostileproxy.Rules) *network {
	t.Helper()
	networks.Lock()
	networks.last++
	rules.Source = netip.AddrFrom4([4]byte{127, 0, 1, networks.last})
	networks.Unlock()
	p, err := hostileproxy.NewHTTP(s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	n := &network{proxy: p, from: rules.Source, url: "http://" + p.Addr() + "/cometd"}
	n.set(rules)
	return n
}

// set changes the rules; without a source they keep that of the network.
func (n *network) set(r hostileproxy.Rules) {
	if !r.Source.IsValid() {
		r.Source = n.from
	}
	n.proxy.Set(r)
}

// patient are the options of a client that waits between tries as it does by itself.
func (n *network) patient(ack bool) driverOptions {
	return driverOptions{Major: 9, URL: n.url, Transport: "long-polling", Ack: ack, BackoffIncrement: 1000, MaxBackoff: 60_000}
}

// cuts counts the requests that the network has cut, those of the tests' own included.
func (n *network) cuts() int { return n.proxy.Counts().Cuts() }

// polls are the times of the requests that ended well and took at least that long.
func (n *network) polls(least time.Duration) (all []time.Duration) {
	for _, e := range n.proxy.Exchanges() {
		if e.Status == 200 && e.Whole && e.Took >= least {
			all = append(all, e.Took)
		}
	}
	return all
}

// burst is a number of messages, and how long it is silent before them.
type burst struct {
	after time.Duration
	count int
}

// bursts spreads messages over a time: one to forty together, 25 to 90 s apart.
func bursts(rnd *rand.Rand, length time.Duration, messages int) []burst {
	var all []burst
	for left := length; ; {
		gap := 25*time.Second + time.Duration(rnd.Int64N(int64(20*time.Second)))
		if len(all)%4 == 3 {
			gap = 60*time.Second + time.Duration(rnd.Int64N(int64(30*time.Second)))
		}
		if gap > left && len(all)*40 >= messages {
			break
		}
		all = append(all, burst{after: min(gap, max(left, 25*time.Second)), count: 1})
		left -= gap
	}
	for sum := len(all); sum < messages; {
		if b := &all[rnd.IntN(len(all))]; b.count < 40 {
			b.count++
			sum++
		}
	}
	return all
}

// numbered is what the messages of a channel are, as event.got tells them.
func numbered(channel string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s %d", channel, i)
	}
	return all
}

// publishAll publishes by that schedule.
func publishAll(t *testing.T, from client, channel string, schedule []burst) {
	n := 0
	for _, b := range schedule {
		pause(t, b.after)
		ops := make([]command, b.count)
		for i := range ops {
			ops[i] = publish(channel, n)
			n++
		}
		do(t, from, command{Cmd: "batch", Ops: ops})
	}
}

// failures counts the connects that a client takes for failed.
func failures(events []event) (n int) {
	for _, e := range events {
		if e.Kind == "meta" && e.Listener == "/meta/connect" && !e.OK {
			n++
		}
	}
	return n
}

// onceAndInOrder asserts that a client has had one session, and each of the messages once.
func onceAndInOrder(t *testing.T, c client, channel string, messages int) {
	t.Helper()
	awaitMessage(t, c, 0, fmt.Sprintf("%s %d", channel, messages-1))
	require.Equal(t, numbered(channel, messages), c.Inbox().messages(0))
	require.Equal(t, 1, count(c.Inbox().since(0), "/meta/handshake"), "handshakes")
}

// TestNetworksCut has long polls cut: whoever is first on a path loses two, and nobody after that any.
func TestNetworksCut(t *testing.T) {
	for _, c := range []struct {
		cut, hold time.Duration
		// long is how many polls have to last for 60 % of the cut: no more than the schedule has silences for.
		long int
	}{
		{20 * time.Second, 30 * time.Second, 12}, {5 * time.Second, 120 * time.Second, 12},
		{60 * time.Second, 120 * time.Second, 3}, {100 * time.Second, 120 * time.Second, 1},
	} {
		t.Run(fmt.Sprintf("%v of %v", c.cut, c.hold), func(t *testing.T) {
			t.Parallel()
			const channel, messages = "/networks", 600
			rnd := seedOf(t)
			schedule := bursts(rnd, 10*time.Minute, messages)
			s := startServer(t, c.hold)
			plain := startServer(t, c.hold, "--set", "paths=off")
			cut := hostileproxy.Rules{MaxDuration: c.cut, DurationEnd: hostileproxy.ByAnswer}
			ways := map[string]*network{
				"behind": newNetwork(t, s, cut), "direct": newNetwork(t, s, hostileproxy.Rules{}), "unadapted": newNetwork(t, plain, cut),
			}
			clients := map[string]client{}
			for name, n := range ways {
				clients[name] = newNodeClient(t, n.patient(false))
				connected(t, clients[name])
				do(t, clients[name], subscribe(channel))
			}
			sources := []client{newRawClient(t, s.url(), false, false), newRawClient(t, plain.url(), false, false)}
			var all sync.WaitGroup
			for _, from := range sources {
				connected(t, from)
				all.Go(func() { publishAll(t, from, channel, schedule) })
			}
			all.Go(func() { late(t, ways["behind"], 2*c.cut+5*time.Second, channel) })
			all.Wait()

			if t.Failed() {
				return
			}
			behind := clients["behind"]
			onceAndInOrder(t, behind, channel, messages)
			onceAndInOrder(t, clients["direct"], channel, messages)
			require.LessOrEqual(t, failures(behind.Inbox().since(0)), 2, "failed connects")
			require.Zero(t, failures(clients["direct"].Inbox().since(0)), "of the direct client")
			require.GreaterOrEqual(t, len(ways["behind"].polls(c.cut*6/10)), c.long, "long polls")
			if c.cut <= 20*time.Second {
				require.GreaterOrEqual(t, ways["unadapted"].cuts(), 8, "cuts without adaptation")
			}
			if longest := ways["direct"].polls(c.hold * 9 / 10); c.hold <= 30*time.Second {
				require.NotEmpty(t, longest, "full holds of the direct client")
			}
			t.Logf("cut %v of %v: failed connects %d, unadapted %d; polls of 60 %% of the cut or more: %d; longest direct %v",
				c.cut, c.hold, failures(behind.Inbox().since(0)), failures(clients["unadapted"].Inbox().since(0)),
				len(ways["behind"].polls(c.cut*6/10)), slices.Max(ways["direct"].polls(0)))
		})
	}
}

// late is a client that comes to a path when the first one has learned: none of its connects fails.
func late(t *testing.T, n *network, after time.Duration, channel string) {
	if after < 3*time.Minute {
		pause(t, max(after, 2*time.Minute))
	} else {
		pause(t, after+30*time.Second)
	}
	if failed := n.cuts(); failed < 2 {
		t.Logf("%d cuts when the second client comes: the schedule had no more silences that are long enough", failed)
		return
	}
	c := newNodeClient(t, n.patient(false))
	connected(t, c)
	do(t, c, subscribe(channel))
	pause(t, 3*time.Minute)
	if f := failures(c.Inbox().since(0)); f > 0 {
		t.Errorf("%d failed connects of the second client", f)
	}
}

// TestNetworksMovingCut has the cut change: shorter costs two more failures, longer is found by trying.
func TestNetworksMovingCut(t *testing.T) {
	t.Parallel()
	s := startServer(t, 30*time.Second, "--set", "pathProbe=120000")
	rules := hostileproxy.Rules{MaxDuration: 20 * time.Second, DurationEnd: hostileproxy.ByAnswer}
	n := newNetwork(t, s, rules)
	c := newNodeClient(t, n.patient(false))
	connected(t, c)
	do(t, c, subscribe("/a"))
	pause(t, 80*time.Second)
	require.Equal(t, 2, failures(c.Inbox().since(0)))
	mark := c.Inbox().mark()
	rules.MaxDuration = 8 * time.Second
	n.set(rules)
	pause(t, 60*time.Second)
	require.LessOrEqual(t, failures(c.Inbox().since(mark)), 2, "after the cut is shorter")
	mark = c.Inbox().mark()
	rules.MaxDuration = 60 * time.Second
	n.set(rules)
	pause(t, 5*time.Minute)
	require.LessOrEqual(t, failures(c.Inbox().since(mark)), 2, "after it is longer")
	require.NotEmpty(t, n.polls(29*time.Second), "full holds")
	require.Equal(t, 1, count(c.Inbox().since(0), "/meta/handshake"))
}

// TestNetworksCap has responses cut at 64 KiB, with a backlog of 5 MB.
func TestNetworksCap(t *testing.T) {
	for name, end := range map[string]hostileproxy.End{"truncated": hostileproxy.ByFIN, "502": hostileproxy.ByAnswer} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, 30*time.Second)
			n := newNetwork(t, s, hostileproxy.Rules{})
			c := newNodeClient(t, n.patient(true))
			backlog(t, s, n, c, hostileproxy.Rules{MaxResponse: 64 << 10, ResponseEnd: end}, 1250)
			events := c.Inbox().since(0)
			require.LessOrEqual(t, failures(events), 5+1, "failed connects, with the one that brings the backlog about")
			last, arrived := 0, 0
			for _, e := range events {
				if e.Kind == "message" {
					arrived++
				} else if e.Listener == "/meta/connect" && !e.OK {
					last = arrived
				}
			}
			require.Less(t, last, 125, "failures are at the start")
			t.Logf("failed connects %d, the last before message %d", failures(events), last)
		})
	}
}

// backlog has that many messages of 4 KB wait for a client that is cut off, and then lets it fetch them through a network
// with those rules.
func backlog(t *testing.T, s *server, n *network, c client, rules hostileproxy.Rules, messages int) {
	t.Helper()
	connected(t, c)
	do(t, c, subscribe("/backlog"))
	from := newGoClient(t, s.url(), "websocket", false)
	connected(t, from)
	n.set(hostileproxy.Rules{MaxDuration: time.Millisecond, DurationEnd: hostileproxy.ByReset})
	filler := strings.Repeat("x", 4000)
	for i := range messages {
		do(t, from, publish("/backlog", fmt.Sprintf("%05d %s", i, filler)))
	}
	n.set(rules)
	ctx := t.Context()
	err := c.Inbox().wait(ctx, 0, func(events []event) bool {
		return len(events) > 0 && len(c.Inbox().messages(0)) >= messages
	})
	require.NoError(t, err)
	for i, m := range c.Inbox().messages(0) {
		require.True(t, strings.HasPrefix(m, fmt.Sprintf(`/backlog "%05d `, i)), "message %d: %.40s", i, m)
	}
	require.Equal(t, 1, count(c.Inbox().since(0), "/meta/handshake"))
}

// TestNetworksJava has the Java client, whose responses have 1 MiB at most, fetch a backlog of 20 MB.
func TestNetworksJava(t *testing.T) {
	t.Parallel()
	s := startServer(t, 30*time.Second, "--set", "maxQueueBytes=33554432")
	n := newNetwork(t, s, hostileproxy.Rules{})
	c := newDriverClient(t, javaDriver("cometd8", "interop.CometD8"), driverOptions{URL: n.url, Transport: "long-polling", Ack: true})
	introduction(t, c)
	backlog(t, s, n, c, hostileproxy.Rules{}, 5000)
}

// TestNetworksStore has a proxy pass on nothing but whole responses: the first message is there within one hold.
func TestNetworksStore(t *testing.T) {
	t.Parallel()
	s := startServer(t, 10*time.Second)
	n := newNetwork(t, s, hostileproxy.Rules{Store: true})
	c := newNodeClient(t, n.patient(false))
	connected(t, c)
	do(t, c, subscribe("/a"))
	from := newRawClient(t, s.url(), false, false)
	connected(t, from)
	pause(t, 3*time.Second)
	start := time.Now()
	do(t, from, publish("/a", 1))
	awaitMessage(t, c, 0, "/a 1")
	require.Less(t, time.Since(start), 10*time.Second)
	require.Zero(t, failures(c.Inbox().since(0)))
}

// TestNetworksBlackHole has upgrades pass, and nothing after them, or after the reply to the handshake: the third page on a
// path, and all after it, get their messages by long-polling at once.
func TestNetworksBlackHole(t *testing.T) {
	b := newChromium(t)
	for name, frames := range map[string]int{"at the 101": 0, "after the handshake": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, 30*time.Second)
			rules := hostileproxy.Rules{BlackHole: true, HoleFrames: frames, HoleEnds: true}
			from := newRawClient(t, s.url(), false, false)
			connected(t, from)

			n := newNetwork(t, s, rules)
			for range 2 { // The default client sticks to its socket for as long as its page lives.
				p := b.open(t, "cometd9.html", false, driverOptions{URL: n.url, Transport: "all"})
				introduction(t, p)
				go func() { _ = p.Do(t.Context(), command{Cmd: "handshake"}) }()
				pause(t, 6*time.Second)
				p.Close()
			}
			for i := range 3 {
				took := firstMessage(t, b.open(t, "cometd9.html", false, driverOptions{URL: n.url, Transport: "all"}), from, i)
				require.Less(t, took, 2*time.Second, "page %d", i+3)
			}

			fresh, no := newNetwork(t, s, rules), false
			p := b.open(t, "cometd9.html", false, driverOptions{URL: fresh.url, Transport: "all", StickyReconnect: &no})
			took := firstMessage(t, p, from, 99)
			require.Less(t, took, 5*time.Second, "the first page, with stickyReconnect false")
			t.Logf("%s: the first page with stickyReconnect false %v", name, took)
		})
	}
}

// firstMessage tells how long a page takes from its handshake to a message.
func firstMessage(t *testing.T, p *pageClient, from client, i int) time.Duration {
	t.Helper()
	introduction(t, p)
	start := time.Now()
	channel := fmt.Sprintf("/hole/%d/%d", i, start.UnixNano())
	ctx := t.Context()
	go func() {
		_ = p.Do(ctx, command{Cmd: "handshake"})
		_ = p.Do(ctx, subscribe(channel))
	}()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			require.Fail(t, "no message came")
		}
		do(t, from, publish(channel, i))
		if len(p.Inbox().messages(0)) > 0 {
			tick.Stop()
			return time.Since(start)
		}
		require.Less(t, time.Since(start), patience)
	}
}

// TestNetworksNoise has a page reloaded 50 times, tabs closed and networks changed: who comes after them is held in full.
func TestNetworksNoise(t *testing.T) {
	t.Parallel()
	const hold = 8 * time.Second
	rnd := seedOf(t)
	s := startServer(t, hold)
	n, other := newNetwork(t, s, hostileproxy.Rules{}), newNetwork(t, s, hostileproxy.Rules{})
	b := newChromium(t)
	page := func() *pageClient {
		return b.open(t, "cometd9.html", false, driverOptions{URL: n.url, Transport: "long-polling", Reload: true})
	}
	p := page()
	first := session(t, p)
	for i := range 50 {
		pause(t, time.Duration(rnd.Int64N(int64(hold))))
		p.reload(t)
		require.Equal(t, first, session(t, p), "reload %d", i)
		switch rnd.IntN(5) {
		case 0:
			gone := page()
			session(t, gone)
			pause(t, time.Duration(rnd.Int64N(int64(hold))))
			gone.Close()
		case 1:
			// The proxy goes on from another address: another network, for the server.
			n.set(hostileproxy.Rules{Source: other.from})
			n.proxy.CutAll(hostileproxy.ByReset)
			pause(t, time.Duration(rnd.Int64N(int64(hold))))
			n.set(hostileproxy.Rules{})
			n.proxy.CutAll(hostileproxy.ByReset)
		}
	}
	p.Close()
	newcomer := newNodeClient(t, n.patient(false))
	connected(t, newcomer)
	before := len(n.polls(hold - 200*time.Millisecond))
	pause(t, 3*hold)
	require.GreaterOrEqual(t, len(n.polls(hold-200*time.Millisecond))-before, 2, "full holds")
	require.Zero(t, failures(newcomer.Inbox().since(0)))
}
