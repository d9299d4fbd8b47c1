//go:build interop

package interop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/hostileproxy"
)

const (
	// outage is how long the network is gone in the scenarios that drop it.
	outage = 3 * time.Second
	// notice is how long the server may take to learn of a cut, and a message to reach it, where nothing else is busy.
	notice = 600 * time.Millisecond
	// noticed is how many questions it answers besides, the last of them after all that came to it before the first.
	noticed = 20
)

// stage is what the scenarios of one cell share: a server of its own, a proxy in front of it, the client under test
// behind that proxy, and another client that talks to the server directly.
type stage struct {
	server *server
	proxy  *hostileproxy.Proxy
	client client
	other  client
	rng    *rand.Rand
	mine   map[string]bool // what the client is subscribed to.
	theirs map[string]bool // what the other one is subscribed to.
	// lossy says that a message published while the client is away, or a cut between a message and its connect reply,
	// may cost or double a message. It is so for the CometD servers that stand in for ours, never for ours.
	lossy bool
}

// newStage starts the server, the proxy and both clients of a cell.
func newStage(t *testing.T, c cell) *stage {
	t.Helper()
	s := &stage{
		server: startServer(t, c.timeout, c.flags...), rng: rand.New(rand.NewPCG(seedOf(t.Name()), 0)), lossy: shared.peer != "",
		mine: map[string]bool{}, theirs: map[string]bool{},
	}
	var err error
	s.proxy, err = hostileproxy.New(s.server.addr)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.proxy.Close()) })
	base := url.URL{Scheme: s.server.scheme(), Host: s.proxy.Addr(), Path: "/cometd"}
	s.client = c.build(t, base.String())
	s.other = newRawClient(t, s.server.url(), false, false)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s; the client's last events:\n%s", seedText(), s.client.Inbox().tell(0))
		}
	})
	return s
}

// step is one scenario.
type step struct {
	name string
	run  func(*testing.T)
}

// steps are the scenarios of a cell in their order: each goes on with the session that the one before has left.
func (s *stage) steps(c cell) []step {
	steps := []step{
		{"handshake", func(t *testing.T) { s.connects(t, c.way.transport, c.ack) }},
		{"subscribe", s.subscribes},
		{"publish", s.publishes},
		{"unsubscribe", s.unsubscribes},
		{"batch", s.batches},
	}
	if c.depth == smoke {
		return append(steps, step{"two cuts", s.twoCuts}, step{"disconnect", s.disconnects})
	}
	return append(steps,
		step{"stall", s.stalls},
		step{"drop", s.goesAway},
		step{"cuts", func(t *testing.T) { s.cuts(t, c.ack) }},
		step{"restart", s.restarts},
		step{"crash", s.crashes},
		step{"disconnect", s.disconnects},
	)
}

// play runs the scenarios, those apart that the client has no means for, and returns what was seen.
func (s *stage) play(t *testing.T, c cell, a about) []result {
	t.Helper()
	steps := s.steps(c)
	all := make([]result, len(steps))
	reason, never := a.Cannot["ack"]
	broken := false
	for i, step := range steps {
		all[i] = result{Scenario: step.name, Outcome: notReached}
		cannot, lacks := a.Cannot[step.name]
		switch {
		case c.ack && never:
			all[i].Outcome, all[i].Reason = notPossible, reason
		case lacks:
			all[i].Outcome, all[i].Reason = notPossible, cannot
		case broken:
		case t.Run(step.name, step.run):
			all[i].Outcome = passed
		default:
			all[i].Outcome, broken = failed, true
		}
	}
	return all
}

func (s *stage) connects(t *testing.T, transport string, ack bool) {
	connected(t, s.other)
	connected(t, s.client)
	// faye polls until its socket is open, which it begins to open together with the handshake.
	await(t, s.client, 0, "a connect on "+transport, func(events []event) bool {
		return slices.ContainsFunc(events, func(e event) bool { return e.is("/meta/connect") && e.Transport == transport })
	})
	events := s.client.Inbox().since(0)
	e := events[slices.IndexFunc(events, func(e event) bool { return e.is("/meta/connect") })]
	require.Equal(t, ack, string(e.Ack) == "1", "the first connect reply closes batch 1 (R-ACK-3), if asked for: %s", e.Ack)
}

func (s *stage) subscribes(t *testing.T) {
	for _, ch := range []string{"/t/exact", "/t/one/*", "/t/all/**"} {
		do(t, s.client, subscribe(ch))
		s.mine[ch] = true
	}
	mark := s.client.Inbox().mark()
	for i, ch := range []string{"/t/exact", "/t/other", "/t/exact/x", "/t/one/a", "/t/one/a/b", "/t/one", "/t/all/a", "/t/all/a/b", "/t/all"} {
		do(t, s.other, publish(ch, i+1)) // No zero: dojox.cometd passes over data that JavaScript takes for false.
	}
	do(t, s.other, publish("/t/exact", "end"))
	awaitMessage(t, s.client, mark, `/t/exact "end"`)
	require.Equal(t, []string{"/t/exact 1", "/t/one/a 4", "/t/all/a 7", "/t/all/a/b 8", `/t/exact "end"`}, s.client.Inbox().messages(mark))
}

func (s *stage) publishes(t *testing.T) {
	do(t, s.other, subscribe("/t/up"))
	s.theirs["/t/up"] = true
	mark := s.other.Inbox().mark()
	data := map[string]any{"text": "Grüße, 世界 😀 </script>", "list": []any{1, 2.5, nil, true, map[string]any{"a": "b"}}}
	do(t, s.client, publish("/t/up", data))
	await(t, s.other, mark, "the client's message", func(events []event) bool {
		return slices.ContainsFunc(events, func(e event) bool { return e.Kind == "message" })
	})
	messages := slices.DeleteFunc(s.other.Inbox().since(mark), func(e event) bool { return e.Kind != "message" })
	require.Len(t, messages, 1)
	require.JSONEq(t, `{"text":"Grüße, 世界 😀 </script>","list":[1,2.5,null,true,{"a":"b"}]}`, string(messages[0].Data))

	mark = s.client.Inbox().mark()
	do(t, s.client, publish("/t/exact", "own"))
	awaitMessage(t, s.client, mark, `/t/exact "own"`)
	do(t, s.other, publish("/t/exact", "end"))
	awaitMessage(t, s.client, mark, `/t/exact "end"`)
	require.Equal(t, []string{`/t/exact "own"`, `/t/exact "end"`}, s.client.Inbox().messages(mark))
}

func (s *stage) unsubscribes(t *testing.T) {
	do(t, s.client, unsubscribe("/t/one/*"))
	delete(s.mine, "/t/one/*")
	mark := s.client.Inbox().mark()
	do(t, s.other, publish("/t/one/a", 1))
	do(t, s.other, publish("/t/exact", "end"))
	awaitMessage(t, s.client, mark, `/t/exact "end"`)
	require.Equal(t, []string{`/t/exact "end"`}, s.client.Inbox().messages(mark))
}

func (s *stage) batches(t *testing.T) {
	do(t, s.other, subscribe("/t/batch"))
	s.theirs["/t/batch"] = true
	mine, theirs := s.client.Inbox().mark(), s.other.Inbox().mark()
	do(t, s.client, command{Cmd: "batch", Ops: []command{
		subscribe("/t/batch"), publish("/t/batch", 1), publish("/t/batch", 2), publish("/t/batch", 3),
	}})
	s.mine["/t/batch"] = true
	awaitMessage(t, s.client, mine, "/t/batch 3")
	awaitMessage(t, s.other, theirs, "/t/batch 3")
	want := []string{"/t/batch 1", "/t/batch 2", "/t/batch 3"}
	require.Equal(t, want, s.client.Inbox().messages(mine))
	require.Equal(t, want, s.other.Inbox().messages(theirs))
}

// stalls holds all bytes back for a while: nothing may be lost, nothing doubled, and the session goes on. It begins when
// the client has just sent a connect, so that none becomes too old for a client that gives up on those.
func (s *stage) stalls(t *testing.T) {
	awaitMeta(t, s.client, s.client.Inbox().mark(), 1, "/meta/connect")
	mark := s.client.Inbox().mark()
	s.proxy.Stall()
	want := s.publishAway(t)
	pause(t, outage)
	s.proxy.Resume()
	s.comesBack(t, mark, want, true)
}

// goesAway cuts all connections and refuses new ones for a while. What is published meanwhile waits for the client.
func (s *stage) goesAway(t *testing.T) {
	for _, reset := range []bool{false, true} {
		mark := s.client.Inbox().mark()
		s.proxy.Refuse()
		s.proxy.CutAll(reset)
		s.notices(t)
		want := s.publishAway(t)
		pause(t, outage)
		s.proxy.Resume()
		s.comesBack(t, mark, want, !s.lossy)
	}
}

// twoCuts cuts all connections twice, and publishes while the client comes back.
func (s *stage) twoCuts(t *testing.T) {
	for _, reset := range []bool{false, true} {
		mark := s.client.Inbox().mark()
		s.proxy.CutAll(reset)
		s.notices(t)
		s.comesBack(t, mark, s.publishAway(t), !s.lossy)
	}
}

// notices waits until the server has learned what became of its connections: what it writes before that only
// acknowledgements save. A machine that is slow in this is slow in answering the other client as well.
func (s *stage) notices(t *testing.T) {
	t.Helper()
	for range noticed {
		do(t, s.other, publish("/t/nobody", 1))
		pause(t, notice/noticed)
	}
}

// publishAway publishes a few messages to the client that is away.
func (s *stage) publishAway(t *testing.T) []string {
	t.Helper()
	var want []string
	for i := 1; i <= 5; i++ {
		do(t, s.other, publish("/t/exact", i))
		want = append(want, fmt.Sprintf("/t/exact %d", i))
	}
	return want
}

// comesBack checks that the client gets what it missed and what is published next, in its old session.
func (s *stage) comesBack(t *testing.T, mark int, want []string, all bool) {
	t.Helper()
	awaitMeta(t, s.client, mark, 1, "/meta/connect")
	do(t, s.other, publish("/t/exact", "end"))
	awaitMessage(t, s.client, mark, `/t/exact "end"`)
	want = append(want, `/t/exact "end"`)
	if got := s.client.Inbox().messages(mark); all {
		require.Equal(t, want, got, s.client.Inbox().tell(mark))
	} else if !slices.Equal(want, got) {
		t.Logf("lossy peer: %v instead of %v", got, want)
	}
	require.Zero(t, count(s.client.Inbox().since(mark), "/meta/handshake"), "the session was lost")
}

const (
	cutCount   = 20
	cutLeast   = 200 // messages published at least.
	cutBytes   = 900 // a planned cut happens within so many bytes.
	cutPublish = 8 * time.Millisecond
	cutSlowly  = 40 * time.Millisecond // after cutLeast messages: what waits for a client that rests must fit its queue.
	cutTime    = 5 * time.Minute       // for all cuts; some clients rest long after one.
)

// cuts publishes numbered messages while the network cuts the client off again and again, at planned bytes (in the
// middle of requests, responses and frames) and at moments between them: each message comes once and in order. Without
// acknowledgements those on their way into a cut may be lost, but none comes twice or late.
func (s *stage) cuts(t *testing.T, ack bool) {
	do(t, s.client, subscribe("/t/cuts"))
	s.mine["/t/cuts"] = true
	mark := s.client.Inbox().mark()
	ctx, cancel := context.WithTimeout(t.Context(), cutTime)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.harm(ctx) }()
	n := s.settle(t, mark, s.publishUntil(t, done))
	do(t, s.other, publish("/t/cuts", "end"))
	awaitMessage(t, s.client, mark, `/t/cuts "end"`)
	want := make([]string, 0, n)
	for i := 1; i < n; i++ {
		want = append(want, "/t/cuts "+strconv.Itoa(i))
	}
	want = append(want, `/t/cuts "end"`)
	s.compare(t, mark, want, ack)
	require.Zero(t, count(s.client.Inbox().since(mark), "/meta/handshake"), "the session was lost, %s", seedText())
}

// settle publishes more numbered messages, from n on, until the client has one of them: then it is connected again, and
// the next message reaches it even without acknowledgements. It returns the number that follows.
func (s *stage) settle(t *testing.T, mark, n int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first := n
	for back := false; !back; {
		require.NoError(t, ctx.Err(), "the client does not come back, %s", seedText())
		do(t, s.other, publish("/t/cuts", n))
		n++
		pause(t, 50*time.Millisecond)
		for _, m := range s.client.Inbox().messages(mark) {
			number, err := strconv.Atoi(strings.TrimPrefix(m, "/t/cuts "))
			back = back || err == nil && number >= first
		}
	}
	return n
}

// compare checks that each message came once and in order; without acknowledgements some may be missing.
func (s *stage) compare(t *testing.T, mark int, want []string, ack bool) {
	t.Helper()
	got := s.client.Inbox().messages(mark)
	t.Logf("%d messages published, %d received, %+v", len(want), len(got), s.proxy.Stats())
	if !ack {
		next := 0
		for _, m := range got {
			at := slices.Index(want[next:], m)
			require.GreaterOrEqual(t, at, 0, "%s came twice or late; %s; %s", m, firstDifference(want, got), seedText())
			next += at + 1
		}
		return
	}
	if s.lossy && !slices.Equal(want, got) {
		t.Logf("lossy peer: %s", firstDifference(want, got))
		return
	}
	require.True(t, slices.Equal(want, got), "%s; %s", firstDifference(want, got), seedText())
}

func firstDifference(want, got []string) string {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fmt.Sprintf("message %d is %q, not %q; around it came %q", i, got[i], want[i], got[max(0, i-3):min(len(got), i+4)])
		}
	}
	return fmt.Sprintf("%d messages instead of %d", len(got), len(want))
}

// publishUntil publishes messages, numbered from 1 on, until the harm is done and there were enough of them. It returns
// the number that follows.
func (s *stage) publishUntil(t *testing.T, done <-chan error) int {
	t.Helper()
	tick := time.NewTicker(cutPublish)
	defer tick.Stop()
	n, over := 1, false
	for !over || n <= cutLeast {
		select {
		case err := <-done:
			require.NoError(t, err, seedText())
			over, done = true, nil
		case <-tick.C:
			do(t, s.other, publish("/t/cuts", n))
			if n++; n == cutLeast {
				tick.Reset(cutSlowly)
			}
		}
	}
	return n
}

// harm makes the cuts, one after the other.
func (s *stage) harm(ctx context.Context) error {
	before := s.proxy.Stats()
	for i := range cutCount {
		if s.rng.IntN(5) < 3 {
			s.proxy.Plan(hostileproxy.RandomCuts(s.rng, 1, cutBytes)...)
			planned := before.Planned + 1
			if err := s.proxy.Wait(ctx, func(st hostileproxy.Stats) bool { return st.Planned >= planned }); err != nil {
				return fmt.Errorf("cut %d: %w", i, err)
			}
			before.Planned = planned
			continue
		}
		if err := s.cutBetween(ctx); err != nil {
			return fmt.Errorf("cut %d: %w", i, err)
		}
	}
	return nil
}

// cutBetween cuts all connections some messages later, as soon as there is one.
func (s *stage) cutBetween(ctx context.Context) error {
	timer := time.NewTimer(time.Duration(s.rng.IntN(200)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	reset := s.rng.IntN(2) == 0
	for {
		if err := s.proxy.Wait(ctx, func(st hostileproxy.Stats) bool { return st.Open > 0 }); err != nil {
			return err
		}
		if s.proxy.CutAll(reset) > 0 {
			return nil
		}
	}
}

// burst is how many messages are on their way when the server is asked to stop.
const burst = 20

// restarts asks the server to stop while messages are on their way, and starts it again. What the server had taken
// before, all clients get; they make new sessions by themselves and subscribe again.
func (s *stage) restarts(t *testing.T) {
	mark := s.client.Inbox().mark()
	var want []string
	for i := 1; i <= burst; i++ {
		do(t, s.other, publish("/t/exact", i))
		want = append(want, fmt.Sprintf("/t/exact %d", i))
	}
	s.server.stop(t)
	s.startsAgain(t)
	got := slices.DeleteFunc(s.client.Inbox().messages(mark), func(m string) bool { return !strings.HasPrefix(m, "/t/exact ") })
	if s.lossy && !slices.Equal(want, got) {
		t.Logf("lossy peer: %s", firstDifference(want, got))
		return
	}
	require.Equal(t, want, got, "what was published before the signal")
}

// crashes kills the server and starts it again.
func (s *stage) crashes(t *testing.T) {
	s.server.kill()
	s.startsAgain(t)
}

// startsAgain starts the server that has ended and waits for the clients.
func (s *stage) startsAgain(t *testing.T) {
	t.Helper()
	mark, otherMark := s.client.Inbox().mark(), s.other.Inbox().mark()
	pause(t, 500*time.Millisecond)
	s.server.start(t)
	for _, c := range []struct {
		client
		mark, subscriptions int
	}{{s.client, mark, len(s.mine)}, {s.other, otherMark, len(s.theirs)}} {
		awaitMeta(t, c, c.mark, 1, "/meta/handshake")
		awaitMeta(t, c, c.mark, c.subscriptions, "/meta/subscribe")
		awaitMeta(t, c, c.mark, 1, "/meta/connect")
	}
	mark = s.client.Inbox().mark()
	do(t, s.other, publish("/t/all/again", "end"))
	awaitMessage(t, s.client, mark, `/t/all/again "end"`)
	require.Equal(t, []string{`/t/all/again "end"`}, s.client.Inbox().messages(mark))
	otherMark = s.other.Inbox().mark()
	do(t, s.client, publish("/t/up", "again"))
	awaitMessage(t, s.other, otherMark, `/t/up "again"`)
}

func (s *stage) disconnects(t *testing.T) {
	// A connect that overtakes the disconnect on its way is refused, and the JavaScript client then aborts both: let one
	// be answered, and the next be held.
	awaitMeta(t, s.client, s.client.Inbox().mark(), 1, "/meta/connect")
	s.notices(t)
	do(t, s.client, command{Cmd: "disconnect"})
	mark := s.client.Inbox().mark()
	otherMark := s.other.Inbox().mark()
	do(t, s.other, command{Cmd: "batch", Ops: []command{publish("/t/exact", "late"), publish("/t/up", "end")}})
	awaitMessage(t, s.other, otherMark, `/t/up "end"`)
	require.Empty(t, s.client.Inbox().messages(mark))
	require.Zero(t, count(s.client.Inbox().since(mark), "/meta/handshake"))
}
