package cases

import (
	"github.com/halleypush/halley/conformance/suite"
)

// browsers is about several sessions of one browser. The limit is learned: a
// second session that is not held shows a limit of one.
func browsers() []Case {
	return []Case{
		{
			ID: "BX-MC-01", Title: "while a session of a browser is held, another one is not, and told to poll", Level: COMETD,
			Spec: "multiple-clients advice field", Rules: rules("R-MC-1", "R-MC-2"), On: Polls, Needs: needs(suite.NeedHold, suite.NeedCookie),
			Run: func(t *T) {
				one, two := tabs(t)
				held := one.Hold()
				t.Sleep(t.Hold() / 8)
				a := two.Hold().Wait()
				if a.Took > t.Prompt() {
					t.Skipf("this server holds several connects of one browser")
				}
				r := a.Reply(0).Successful().Want("advice.multiple-clients", true).Advice("retry")
				if interval, ok := r.Number("advice.interval"); t.Check(ok, "no interval") {
					t.Check(interval > 0, "the interval is %v", interval)
				}
				held.Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice")
			},
		},
		{
			ID: "BX-MC-02", Title: "the interval for several clients is the declared one", Level: COMETD, Rules: rules("R-MC-2"), On: LP,
			Needs: needs(suite.NeedHold, suite.NeedCookie, suite.NeedBrowser),
			Run: func(t *T) {
				if t.Fixture().Browser.Sessions != 1 {
					t.Skipf("the fixture declares a limit of %d", t.Fixture().Browser.Sessions)
				}
				one, two := tabs(t)
				one.Hold()
				t.Sleep(t.Hold() / 8)
				two.Hold().Wait().AtOnce().Reply(0).Want("advice.interval", t.Fixture().Browser.IntervalMs)
			},
		},
		{
			ID: "BX-MC-03", Title: "the limit also meets a first connect, and one that asks for no hold", Level: COMETD, Rules: rules("R-MC-4"), On: LP,
			Needs: needs(suite.NeedHold, suite.NeedCookie, suite.NeedBrowser),
			Run: func(t *T) {
				one := t.Connected()
				one.Hold()
				t.Sleep(t.Hold() / 8)
				two := t.Client()
				two.ShareCookies(one)
				two.Handshake().Successful()
				two.Connect().Successful().Want("advice.multiple-clients", true)
				two.Connect(now()).Successful().Want("advice.multiple-clients", true)
			},
		},
		{
			ID: "BX-MC-04", Title: "when the held connect has ended, the other session is held", Level: COMETD, Rules: rules("R-MC-5"), On: LP,
			Needs: needs(suite.NeedHold, suite.NeedCookie),
			Run: func(t *T) {
				one, two := tabs(t)
				one.Hold()
				t.Sleep(t.Hold() / 8)
				one.Disconnect().Successful()
				two.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice.multiple-clients")
			},
		},
		{
			ID: "BX-MC-10", Title: "a session that was told to poll is held when its turn comes", Level: COMETD, Rules: rules("R-MC-5"), On: LP,
			Needs: needs(suite.NeedHold, suite.NeedCookie),
			Run: func(t *T) {
				one, two := tabs(t)
				one.Hold()
				t.Sleep(t.Hold() / 8)
				two.Hold().Wait().Reply(0).Successful()
				one.Disconnect().Successful()
				two.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice.multiple-clients")
			},
		},
		{
			ID: "BX-MC-11", Title: "the interval for several clients does not prolong a session", Level: COMETD, Rules: rules("R-MC-6"), On: LP,
			Needs: needs(suite.NeedHold, suite.NeedCookie, suite.NeedBrowser),
			Run: func(t *T) {
				_, gone := declaredLife(t)
				if t.Fixture().Browser.IntervalMs < 1500 {
					t.Skipf("the fixture declares an interval that makes no difference")
				}
				one, two := tabs(t)
				one.Hold()
				t.Sleep(t.Hold() / 8)
				two.Hold().Wait().Reply(0).Successful().Has("advice.multiple-clients")
				again := left(t, two)
				t.Sleep(gone)
				again.Subscribe(t.Channel("a")).Failed("402")
			},
		},
		{
			ID: "BX-MC-05", Title: "two connects of one session are not two clients", Level: COMETD, Rules: rules("R-MC-5"), On: LP,
			Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				c := t.Connected()
				c.Hold()
				t.Sleep(t.Hold() / 8)
				c.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice.multiple-clients")
			},
		},
		{
			ID: "BX-MC-06", Title: "sessions of different browsers are all held", Level: COMETD, Rules: rules("R-MC-1"), On: Polls, Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				one, two := t.Connected(), t.Connected()
				first, second := one.Hold(), two.Hold()
				first.Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice")
				second.Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice")
			},
		},
		{
			ID: "BX-MC-07", Title: "WebSockets are not counted", Level: COMETD, Rules: rules("R-MC-7"), On: WS, Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				cookie := [2]string{"BAYEUX_BROWSER", "bx" + t.Random(14)}
				one, two := t.Client(), t.Client()
				for _, c := range []*suite.Client{one, two} {
					c.SetCookies(cookie)
					c.Handshake().Successful()
					c.Connect(now()).Successful()
				}
				first, second := one.Hold(), two.Hold()
				first.Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice")
				second.Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice")
			},
		},
		{
			ID: "BX-MC-08", Title: "over HTTP/2 several sessions of a browser are held", Level: COMETD, Rules: rules("R-MC-1", "R-HT-12"), On: suite.H2,
			Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				one, two := tabs(t)
				first, second := one.Hold(), two.Hold()
				first.Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice")
				second.Wait().HeldFor(t.Hold()).Reply(0).Successful().Lacks("advice")
			},
		},
		{
			ID: "BX-MC-09", Title: "a session that is told to poll still gets its messages", Level: COMETD, Rules: rules("R-MC-2", "R-DL-1"), On: LP,
			Needs: needs(suite.NeedHold, suite.NeedCookie, suite.NeedDelivery),
			Run: func(t *T) {
				one, two := tabs(t)
				ch := t.Channel("a")
				two.Subscribe(ch).Successful()
				one.Hold()
				t.Sleep(t.Hold() / 8)
				t.Helper().Publish(ch, "x").Successful()
				a := two.Hold().Wait().AtOnce()
				a.Reply(0).Successful()
				got := a.Deliveries()
				t.Require(len(got) == 1, "%d messages came", len(got))
				got[0].Want("data", "x")
			},
		},
	}
}

// tabs returns two sessions of one browser that both have connected.
func tabs(t *T) (one, two *suite.Client) {
	one = t.Connected()
	two = t.Client()
	two.ShareCookies(one)
	two.Handshake().Successful()
	two.Connect(now()).Successful()
	return one, two
}
