package cases

import (
	"slices"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

// connectOnly returns a connected session whose messages leave with connects
// only.
func connectOnly(t *T) *suite.Client {
	return t.Connected(M{"ext": t.Fixture().ConnectOnly})
}

// deliverConnectOnly is about sessions whose messages leave with connects only.
func deliverConnectOnly() []Case {
	both := needs(suite.NeedConnectOnly, suite.NeedDelivery, suite.NeedHold)
	return []Case{
		{
			ID: "BX-DL-21", Title: "with connect-only delivery an own message ends the held connect, and the publish has its reply alone", Level: COMETD,
			Rules: rules("R-DL-4", "R-WS-15"), Needs: both, On: Every | H2,
			Run: func(t *T) {
				c, ch := connectOnly(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				a := c.Send(c.PublishMessage(ch, "x"))
				a.Reply(0).Successful()
				if t.On() != WS {
					exactly(t, a)
				}
				end := held.WaitFor(t.Hold() / 2)
				end.Reply(0).Successful()
				told(t, c.ReceiveAll(ch, 1), "x")
			},
		},
		{
			ID: "BX-DL-22", Title: "with connect-only delivery other answers carry no messages, and the next connect all of them", Level: COMETD,
			Rules: rules("R-DL-4", "R-WS-15"), Needs: both, On: Every | H2,
			Run: func(t *T) {
				c, ch := connectOnly(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, 0).Successful()
				exactly(t, c.Send(c.SubscribeMessage(t.Channel("b"))))
				exactly(t, c.Send(c.PublishMessage(ch, 1)))
				other.Publish(ch, 2).Successful()
				exactly(t, c.Send(c.UnsubscribeMessage(t.Channel("b"))))
				a := c.Hold().Wait().AtOnce()
				a.Reply(0).Successful()
				exactly(t, a, 0, 1, 2)
			},
		},
		{
			ID: "BX-DL-23", Title: "with connect-only delivery a message that comes while no connect is held waits for the next", Level: COMETD,
			Rules: rules("R-DL-4", "R-WS-15"), Needs: both, On: Every | H2,
			Run: func(t *T) {
				c, ch := connectOnly(t), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				exactly(t, held.WaitFor(t.Hold()/2), 1)
				other.Publish(ch, 2).Successful()
				t.Sleep(t.Hold() / 8)
				t.Check(len(c.Inbox()) == 1, "a message came without a connect")
				exactly(t, c.Hold().Wait().AtOnce(), 2)
			},
		},
	}
}

// lazy returns a lazy channel of the case's own, and how long its messages
// wait at most.
func lazy(t *T) (channel string, wait time.Duration) {
	for _, l := range t.Fixture().Lazy {
		if base, ok := cutWildcard(l.Channel); ok {
			return base + t.Random(12), time.Duration(l.TimeoutMs) * time.Millisecond
		}
	}
	t.Skipf("the fixture has no lazy pattern")
	return "", 0
}

func cutWildcard(pattern string) (base string, ok bool) {
	n := len(pattern) - 1
	if n < 1 || pattern[n] != '*' {
		return pattern, false
	}
	for n > 0 && pattern[n-1] == '*' {
		n--
	}
	return pattern[:n], true
}

// longer holds a connect for longer than lazy messages wait.
func longer(wait time.Duration) M {
	return M{"advice": M{"timeout": (wait + 30*time.Second).Milliseconds()}}
}

// deliverLazy is about channels whose messages wait.
func deliverLazy() []Case {
	both := needs(suite.NeedLazy, suite.NeedDelivery, suite.NeedHold)
	return []Case{
		{
			ID: "BX-DL-24", Title: "a lazy message does not end the held connect until its time is over", Level: COMETD, Rules: rules("R-DL-5", "R-DL-6"),
			Needs: both, On: Polls | H2,
			Run: func(t *T) {
				ch, wait := lazy(t)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				other := t.Helper()
				held := c.Hold(longer(wait))
				t.Sleep(t.Hold() / 8)
				before := time.Now()
				other.Publish(ch, "x").Successful()
				a := held.Wait()
				a.Reply(0).Successful()
				exactly(t, a, "x")
				waited(t, a.Reply(0).At.Sub(before), wait)
			},
		},
		{
			ID: "BX-DL-25", Title: "on a WebSocket a lazy message is pushed when its time is over, and the connect stays held", Level: COMETD,
			Rules: rules("R-DL-5", "R-WS-16"), Needs: both, On: WS,
			Run: func(t *T) {
				ch, wait := lazy(t)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				other := t.Helper()
				held := c.Hold(longer(wait))
				t.Sleep(t.Hold() / 8)
				before := time.Now()
				other.Publish(ch, "x").Successful()
				waited(t, c.Receive(ch).Want("data", "x").At.Sub(before), wait)
				held.StaysHeld(wait / 2)
			},
		},
		{
			ID: "BX-DL-26", Title: "a connect that finds only lazy messages is held until their time is over", Level: COMETD, Rules: rules("R-DL-5", "R-CN-4"),
			Needs: both, On: Polls | H2,
			Run: func(t *T) {
				ch, wait := lazy(t)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				before := time.Now()
				other := t.Helper()
				other.Publish(ch, 1).Successful()
				other.Publish(ch, 2).Successful()
				a := c.Hold(longer(wait)).Wait()
				exactly(t, a, 1, 2)
				waited(t, a.Reply(0).Successful().At.Sub(before), wait)
			},
		},
		{
			ID: "BX-DL-27", Title: "lazy messages leave early with the answer to another request", Level: COMETD, Rules: rules("R-DL-5"), Needs: both,
			On: LP | H2,
			Run: func(t *T) {
				ch, wait := lazy(t)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				other := t.Helper()
				before := time.Now()
				other.Publish(ch, "x").Successful()
				a := c.Send(c.SubscribeMessage(t.Channel("a")))
				if time.Since(before) < wait*9/10 { // else its time was over
					exactly(t, a, "x")
				}
				noMore(c, ch)
			},
		},
		{
			ID: "BX-DL-28", Title: "an own lazy message comes in the answer to its publish", Level: COMETD, Rules: rules("R-DL-5", "R-DL-3"), Needs: both,
			On: LP | WS | H2,
			Run: func(t *T) {
				ch, _ := lazy(t)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				exactly(t, c.Send(c.PublishMessage(ch, "x")), "x")
			},
		},
		{
			ID: "BX-DL-29", Title: "a message that is not lazy takes the lazy ones along, in the order of publishing", Level: COMETD, Rules: rules("R-DL-5"),
			Needs: both, On: Every | H2,
			Run: func(t *T) {
				ch, wait := lazy(t)
				c, plain := t.Connected(), t.Channel("a")
				c.Subscribe([]string{ch, plain}).Successful()
				other := t.Helper()
				held := c.Hold(longer(wait))
				t.Sleep(t.Hold() / 8)
				other.Send(other.PublishMessage(ch, 1), other.PublishMessage(plain, 2)).Reply(1).Successful()
				got := until(c, plain)
				told(t, got, 1)
				if t.On() != WS {
					exactly(t, held.Wait(), 1, 2)
				}
				noMore(c, ch)
			},
		},
		{
			ID: "BX-DL-30", Title: "lazy messages leave with a connect whose time is over first", Level: COMETD, Rules: rules("R-DL-5"), Needs: both,
			On: Polls | H2,
			Run: func(t *T) {
				ch, wait := lazy(t)
				c := t.Connected()
				c.Subscribe(ch).Successful()
				other := t.Helper()
				held := c.Hold(M{"advice": M{"timeout": (wait * 6 / 10).Milliseconds()}})
				other.Publish(ch, "x").Successful()
				a := held.Wait()
				a.Reply(0).Successful()
				if len(a.Deliveries()) == 0 { // the publish came after the end of the hold
					a = c.Hold(now()).Wait()
				}
				exactly(t, a, "x")
			},
		},
		{
			ID: "BX-DL-31", Title: "lazy in a client's publish is a field like any other", Level: COMETD, Rules: rules("R-DL-5"),
			Needs: needs(suite.NeedDelivery, suite.NeedHold), On: Polls | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				t.Helper().Publish(ch, "x", M{"lazy": true}).Successful()
				exactly(t, held.WaitFor(min(t.Prompt(), t.Hold()/4)), "x")
			},
		},
		{
			ID: "BX-DL-32", Title: "what the server delivers to a session on a lazy channel does not wait", Level: COMETD, Rules: rules("R-DL-6"),
			Needs: append(slices.Clone(both), suite.NeedPush), On: Polls | H2,
			Run: func(t *T) {
				ch, wait := lazy(t)
				c := t.Connected()
				other := t.Helper()
				held := c.Hold(longer(wait))
				t.Sleep(t.Hold() / 8)
				before := time.Now()
				other.Publish(t.Fixture().Push, M{"channel": ch, "data": "x", "session": c.ID}).Successful()
				published := time.Since(before)
				a := held.Wait()
				exactly(t, a, "x")
				took := a.Reply(0).At.Sub(before)
				t.Check(took < published+wait*8/10, "the message came after %v, as if it were lazy", took.Round(time.Millisecond))
			},
		},
		{
			ID: "BX-DL-33", Title: "a message that the server marks as lazy waits", Level: COMETD, Rules: rules("R-DL-5"),
			Needs: append(slices.Clone(both), suite.NeedPush), On: Polls | H2,
			Run: func(t *T) {
				_, wait := lazy(t)
				c, ch := t.Connected(), t.Channel("a")
				other := t.Helper()
				held := c.Hold(longer(wait))
				t.Sleep(t.Hold() / 8)
				before := time.Now()
				other.Publish(t.Fixture().Push, M{"channel": ch, "data": "x", "lazy": true, "session": c.ID}).Successful()
				a := held.Wait()
				exactly(t, a, "x")
				waited(t, a.Reply(0).At.Sub(before), wait)
			},
		},
	}
}

// waited expects that a lazy message came when its time was over.
func waited(t *T, took, want time.Duration) {
	t.Check(took >= want*9/10, "the lazy message came after %v, want it to wait for %v", took.Round(time.Millisecond), want)
	t.Check(took <= want+want/5+t.Slack(), "the lazy message came after %v, want %v", took.Round(time.Millisecond), want)
}

// deliverQueue is about the bound of a session's queue.
func deliverQueue() []Case {
	return []Case{
		{
			ID: "BX-DL-34", Title: "a queue that is full to its bound is delivered", Level: COMETD, Rules: rules("R-DL-8"),
			Needs: needs(suite.NeedQueue, suite.NeedPush), On: Polls | H2,
			Run: func(t *T) {
				n := t.Fixture().Queue.Messages
				c, ch := t.Connected(), t.Channel("a")
				fill(t, c, ch, n)
				exactly(t, c.Hold().Wait(), upTo(n + 1)[1:]...)
			},
		},
		{
			ID: "BX-DL-35", Title: "what comes beyond the bound of a queue is handled as the server says", Level: COMETD, Rules: rules("R-DL-8"),
			Needs: needs(suite.NeedQueue, suite.NeedPush), On: Polls | H2,
			Run: func(t *T) {
				q := t.Fixture().Queue
				c, ch := t.Connected(), t.Channel("a")
				fill(t, c, ch, q.Messages+1)
				a := c.Hold(now()).Wait()
				switch q.Beyond {
				case "drop-oldest":
					exactly(t, a, upTo(q.Messages + 2)[2:]...)
				case "drop-newest":
					exactly(t, a, upTo(q.Messages + 1)[1:]...)
				case "nothing":
					exactly(t, a, upTo(q.Messages + 2)[1:]...)
				default:
					a.Reply(0).Failed("402").Advice("handshake")
					t.Check(len(a.Deliveries()) == 0, "%d messages came of a session that was ended", len(a.Deliveries()))
				}
			},
		},
	}
}

// fill has the server deliver n messages to a session that has no connect.
func fill(t *T, c *suite.Client, channel string, n int) {
	// Refused where the session ends before all is delivered.
	t.Helper().Publish(t.Fixture().Push, M{"channel": channel, "count": n, "session": c.ID})
}
