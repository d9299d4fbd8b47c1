package clientcases

import (
	"strings"

	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/suite"
)

func sessions() []Case {
	return []Case{
		one("SE-01", "a client whose session is unknown takes a new one and subscribes again", must, 0, "reconnect advice", rules("R-ERR-1", "R-ERR-2"), func(t *T) {
			t.Ready()
			t.Deliver("before")
			t.Gets("before")
			t.Settled()
			t.Forget()
			t.Next(clientmode.Handshake)
			works(t, "before")
		}),
		one("SE-02", "the old clientId is not used any more", must, 0, "Client ID", rules("R-ID-1", "R-ERR-1"), func(t *T) {
			t.Ready()
			old := t.All(clientmode.Connect)[0].ClientID()
			t.Forget()
			t.Next(clientmode.Handshake)
			t.Settled()
			t.Publish("x")
			t.Next(clientmode.Elsewhere)
			since := false
			for _, m := range t.All("") {
				hello := m.Channel() == clientmode.Handshake // where a clientId means nothing
				since = since || hello && m.Nth == 2
				t.Check(!since || hello || m.ClientID() != old, "after the new handshake: %s", m.Raw)
			}
		}),
		one("SE-03", "402 without advice is enough to take a new session", suite.MAY, 0, "Error", rules("R-ERR-1"), func(t *T) {
			t.Ready()
			bare := M{"successful": false, "error": "402::session_unknown", "advice": absent}
			t.Script(func(m *In) *Answer {
				if m.Channel() == clientmode.Connect && len(t.All(clientmode.Handshake)) == 1 {
					return &Answer{With: bare}
				}
				return nil
			})
			t.ForgetBy(Answer{With: bare})
			t.Next(clientmode.Handshake)
			works(t)
		}),
		one("SE-04", "a client told 402 at each connect does not storm", should, 0, "interval advice", rules("R-ERR-2", "R-AD-7"), func(t *T) {
			const most = 60
			t.Ready()
			always(t, clientmode.Connect, Answer{With: clientmode.Unknown()})
			t.Release(Answer{With: clientmode.Unknown()})
			t.Calm(most)
		}),
		one("SE-05", "a publish into a lost session is not called a success", must, 0, "Publish Response", rules("R-ERR-2"), func(t *T) {
			t.Ready()
			t.First(1, clientmode.Elsewhere, Answer{With: M{"successful": false, "error": "402::session_unknown"}})
			t.Publish("x")
			e := t.Event(clientmode.EventPublished)
			t.Check(!e.OK || len(t.All(clientmode.Elsewhere)) > 1, "the application is told of a success, but nothing was sent again")
		}, clientmode.NeedPublished),
		one("SE-06", "a subscription made later is renewed as well", should, 0, "Subscribe Request", rules("R-ERR-1"), func(t *T) {
			t.Ready()
			t.Do(M{"do": "subscribe", "channel": "/bx/more"})
			subscribes(t, "/bx/more")
			t.Settled()
			t.Forget()
			t.Next(clientmode.Handshake)
			subscribes(t, "/bx/more")
		}),
		one("SE-07", "a subscription that was given up is not renewed", should, 0, "Unsubscribe Request", rules("R-ERR-1"), func(t *T) {
			t.Ready()
			t.Do(M{"do": "subscribe", "channel": "/bx/more"})
			subscribes(t, "/bx/more")
			t.Do(M{"do": "unsubscribe", "channel": "/bx/more"})
			t.Next(clientmode.Unsubscribe)
			t.Settled()
			t.Skip()
			t.Forget()
			t.Next(clientmode.Handshake)
			t.Settled()
			notRenewed(t, "/bx/more")
		}),
		one("SE-08", "after many lost sessions each message still comes once", must, 0, "Subscribe Request", rules("R-ERR-1"), func(t *T) {
			t.Ready()
			for range 3 {
				t.Forget()
				t.Next(clientmode.Handshake)
				t.Settled()
			}
			t.Deliver(1, 2)
			t.Gets(1, 2)
			t.Pause(t.Window() / 4)
			t.Gets(1, 2)
		}),
		one("SE-09", "the session's cookie comes back with each request", cometd, lp, "", rules("R-ID-3"), func(t *T) {
			t.Ready()
			for _, m := range t.All("") {
				t.Check(m.Channel() == clientmode.Handshake || m.Cookie(clientmode.Cookie) != "", "without the cookie: %s", m.Raw)
			}
		}),
		one("SE-10", "a cookie that changes is used from then on", should, lp, "", rules("R-ID-3"), func(t *T) {
			t.Ready()
			t.Release(Answer{Fault: clientmode.Header([2]string{"Set-Cookie", clientmode.Cookie + "=another; Path=" + t.Path()})})
			m := t.Next(clientmode.Connect)
			t.Check(m.Cookie(clientmode.Cookie) == "another", "the cookie is %q", m.Cookie(clientmode.Cookie))
		}),
		one("SE-11", "cookies of other makers, such as a balancer's, come back", should, lp, "", rules("R-ID-3"), func(t *T) {
			t.First(1, clientmode.Handshake, Answer{Fault: clientmode.Header([2]string{"Set-Cookie", "ROUTE=node-7; Path=" + t.Path() + "; HttpOnly; SameSite=Lax"})})
			t.Ready()
			m := t.All(clientmode.Connect)[0]
			t.Check(m.Cookie("ROUTE") == "node-7", "the cookie ROUTE is %q", m.Cookie("ROUTE"))
			t.Check(m.Cookie(clientmode.Cookie) != "", "the session's cookie is lost beside it")
		}),
		one("SE-12", "a client that loses its cookie gets a new session", cometd, lp, "", rules("R-ID-3", "R-ERR-2"), func(t *T) {
			t.Ready()
			t.Script(func(m *In) *Answer {
				if m.Channel() == clientmode.Connect && m.Cookie(clientmode.Cookie) == "" {
					return &Answer{With: clientmode.Unknown()}
				}
				return nil
			})
			gone := clientmode.Cookie + "=; Path=" + t.Path() + "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
			t.Release(Answer{Fault: clientmode.Header([2]string{"Set-Cookie", gone})})
			t.Next(clientmode.Handshake)
			works(t)
		}),
	}
}

// notRenewed expects that the present session has no subscription to a channel.
func notRenewed(t *T, channel string) {
	for _, m := range t.All(clientmode.Subscribe) {
		t.Check(m.ClientID() != newest(t) || !names(m, channel), "renewed: %s", m.Raw)
	}
}

// subscribes waits for a subscription to a channel.
func subscribes(t *T, channel string) {
	for m := t.Next(clientmode.Subscribe); !names(m, channel); m = t.Next(clientmode.Subscribe) {
		t.Notef("that was not %s", channel)
	}
}

func names(m *In, channel string) bool {
	raw, _ := m.Get("subscription")
	return strings.Contains(string(raw), `"`+channel+`"`)
}

// newest is the clientId of the latest connect.
func newest(t *T) string {
	all := t.All(clientmode.Connect)
	return all[len(all)-1].ClientID()
}
