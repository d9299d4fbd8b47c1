package cases

import (
	"slices"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

func expiry() []Case { return slices.Concat(expirySilent(), expiryKept()) }

// left gives a client up without a word and returns one that comes back for
// its session.
func left(t *T, c *suite.Client) *suite.Client {
	c.Close()
	again := t.ClientOn(c.On())
	again.ID = c.ID
	again.ShareCookies(c)
	return again
}

// declaredLife returns for how long a silent session lives, and when it must be
// gone, by the options that the fixture declares.
func declaredLife(t *T) (life, gone time.Duration) {
	option := func(name string, otherwise float64) time.Duration {
		ms, ok := t.Fixture().Options[name].(float64)
		if !ok {
			ms = otherwise
		}
		return time.Duration(ms) * time.Millisecond
	}
	life = option("maxInterval", 0)
	sweep := option("sweepPeriod", 997)
	if life < time.Second || life > time.Minute {
		t.Skipf("the fixture declares no maxInterval that can be waited for")
	}
	return life, life + sweep + time.Second
}

// expirySilent is about sessions of clients that have gone.
func expirySilent() []Case {
	return []Case{
		{
			ID: "BX-EX-01", Title: "a silent session is still there before its time is over", Level: COMETD, Rules: rules("R-EX-1", "R-EX-2"),
			Needs: needs(suite.NeedExpiry), On: Every | H2,
			Run: func(t *T) {
				alive, _ := t.Expiry()
				again := left(t, t.Connected())
				t.Sleep(alive)
				again.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-EX-02", Title: "a silent session ends, and its connect is told to shake hands, never to stay away", Level: COMETD,
			Spec: "reconnect advice field", Rules: rules("R-EX-1", "R-ERR-5", "R-ERR-2"), Needs: needs(suite.NeedExpiry), On: Every | H2,
			Run: func(t *T) {
				_, gone := t.Expiry()
				again := left(t, t.Connected())
				t.Sleep(gone)
				again.Connect(now()).Failed("402").Want("advice", M{"reconnect": "handshake", "interval": 0})
				again.Connect(now()).Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-EX-11", Title: "a silent session lives for the declared maxInterval, and hardly longer", Level: COMETD, Rules: rules("R-EX-1", "R-EX-2"),
			Needs: needs(suite.NeedOptions), On: Every,
			Run: func(t *T) {
				life, gone := declaredLife(t)
				late, began := left(t, t.Connected()), time.Now()
				early := left(t, t.Connected())
				t.Sleep(life * 6 / 10)
				if r := early.Subscribe(t.Channel("a")); time.Since(began) < life {
					r.Successful()
				} // else the machine was too slow to tell
				t.Sleep(gone - life*6/10)
				late.Subscribe(t.Channel("a")).Failed("402")
			},
		},
		{
			ID: "BX-EX-12", Title: "silent sessions end", Level: COMETD, Rules: rules("R-EX-1"),
			Run: func(t *T) {
				if declared, ok := t.Fixture().Options["maxInterval"].(float64); ok && declared > 60_000 {
					t.Skipf("the fixture declares a maxInterval of %v ms", declared)
				}
				t.Check(t.Expires(), "none of the sessions that were left alone has ended")
			},
		},
		{
			ID: "BX-EX-03", Title: "an ended session has no subscriptions and gets nothing", Level: COMETD, Rules: rules("R-EX-5"),
			Needs: needs(suite.NeedExpiry, suite.NeedDelivery),
			Run: func(t *T) {
				_, gone := t.Expiry()
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				again := left(t, c)
				t.Sleep(gone)
				t.Helper().Publish(ch, "x").Successful()
				a := again.Send(again.ConnectMessage())
				a.Reply(0).Failed("402")
				t.Check(len(a.Deliveries()) == 0, "a message of the ended session came")
			},
		},
		{
			ID: "BX-EX-04", Title: "a session that never connected ends as well", Level: COMETD, Rules: rules("R-HS-19", "R-EX-1"),
			Needs: needs(suite.NeedExpiry), On: Every,
			Run: func(t *T) {
				_, gone := t.Expiry()
				again := left(t, t.Session())
				t.Sleep(gone)
				again.Subscribe(t.Channel("a")).Failed("402")
			},
		},
		{
			ID: "BX-EX-05", Title: "a session ends after its socket was closed, also while a connect was held", Level: COMETD,
			Rules: rules("R-WS-18", "R-EX-2"), Needs: needs(suite.NeedExpiry, suite.NeedHold), On: WS,
			Run: func(t *T) {
				_, gone := t.Expiry()
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				held.Abort()
				again := left(t, c)
				t.Sleep(gone)
				again.Connect(now()).Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-EX-06", Title: "a session whose held poll was aborted ends in the end", Level: COMETD, Rules: rules("R-CN-21", "R-CN-22"),
			Needs: needs(suite.NeedExpiry, suite.NeedHold), On: Polls,
			Run: func(t *T) {
				_, gone := t.Expiry()
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				held.Abort()
				again := left(t, c)
				t.Sleep(t.Hold() + gone)
				again.Connect(now()).Failed("402").Advice("handshake")
			},
		},
		{
			ID: "BX-EX-07", Title: "the end of a session on an open WebSocket leaves the socket open, for a new handshake too", Level: COMETD,
			Rules: rules("R-EX-4"), Needs: needs(suite.NeedExpiry), On: WS,
			Run: func(t *T) {
				_, gone := t.Expiry()
				c := t.Connected()
				t.Sleep(gone)
				c.Connect(now()).Failed("402").Advice("handshake")
				c.Handshake().Successful()
				c.Connect(now()).Successful()
			},
		},
	}
}

// expiryKept is about what keeps a session.
func expiryKept() []Case {
	return []Case{
		{
			ID: "BX-EX-08", Title: "a held connect keeps its session for longer than a silent one lives", Level: COMETD, Rules: rules("R-EX-2"),
			Needs: needs(suite.NeedExpiry, suite.NeedHold), On: Every,
			Run: func(t *T) {
				_, gone := t.Expiry()
				c := t.Connected()
				wait := min(gone+500*time.Millisecond, 25*time.Second)
				a := c.Hold(M{"advice": M{"timeout": wait.Milliseconds()}}).WaitFor(wait + t.Slack())
				a.Reply(0).Successful()
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-EX-09", Title: "messages other than connects keep a session", Level: COMETD, Rules: rules("R-EX-3"),
			Needs: needs(suite.NeedExpiry, suite.NeedDelivery),
			Run: func(t *T) {
				alive, gone := t.Expiry()
				c := t.Connected()
				for since := time.Duration(0); since <= gone; since += alive / 2 {
					t.Sleep(alive / 2)
					c.Publish(t.Channel("a"), "x").Successful()
				}
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-EX-10", Title: "an interval that the client asks for is added to its time", Level: COMETD, Rules: rules("R-CN-14", "R-EX-2"),
			Needs: needs(suite.NeedExpiry), On: Every,
			Run: func(t *T) {
				alive, gone := t.Expiry()
				c := t.Session()
				c.Connect(M{"advice": M{"timeout": 0, "interval": gone.Milliseconds()}}).Successful()
				again := left(t, c)
				t.Sleep(gone + alive/2)
				again.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-EX-13", Title: "a message does not shorten the time of a client that has asked for a long interval", Level: SHOULD,
			Rules: rules("R-EX-3", "R-CN-14"), Needs: needs(suite.NeedExpiry),
			Run: func(t *T) {
				alive, gone := t.Expiry()
				c := t.Session()
				c.Connect(M{"advice": M{"timeout": 0, "interval": gone.Milliseconds()}}).Successful()
				c.Subscribe(t.Channel("a")).Successful()
				again := left(t, c)
				t.Sleep(gone + alive/2)
				again.Connect(now()).Successful()
			},
		},
	}
}
