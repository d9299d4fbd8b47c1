package clientcases

import (
	"net/http"

	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/suite"
)

// refusal makes a case in which each upgrade to WebSocket fails in a way.
func refusal(how clientmode.Upgrade) func(*T) {
	return func(t *T) {
		t.Upgrades(func(int) clientmode.Upgrade { return how })
		t.Ready()
		via(t, lp)
		works(t)
	}
}

// via expects that the newest connect came by a transport.
func via(t *T, on suite.On) {
	all := t.All(clientmode.Connect)
	got := all[len(all)-1].Via
	t.Check(got == on, "the client connects by %s, not by %s", got, on)
}

func transports() []Case {
	return []Case{
		one("TR-01", "a WebSocket refused with 400 is replaced by long-polling", cometd, anyWay, "", rules("R-WS-1"), refusal(clientmode.Upgrade{Status: http.StatusBadRequest})),
		one("TR-02", "a WebSocket refused with 403 is replaced by long-polling", cometd, anyWay, "", rules("R-WS-1"), refusal(clientmode.Upgrade{Status: http.StatusForbidden})),
		one("TR-03", "a WebSocket refused with 501 is replaced by long-polling", cometd, anyWay, "", rules("R-WS-1"), refusal(clientmode.Upgrade{Status: http.StatusNotImplemented})),
		one("TR-04", "a WebSocket whose upgrade is reset is replaced by long-polling", cometd, anyWay, "Transports", nil, refusal(clientmode.Upgrade{Reset: true})),
		one("TR-05", "a WebSocket whose upgrade is never answered is replaced by long-polling", should, anyWay, "Transports", nil, refusal(clientmode.Upgrade{BlackHole: true})),
		one("TR-06", "a WebSocket that is closed at once is replaced by long-polling", should, anyWay, "Transports", nil, refusal(clientmode.Upgrade{Then: clientmode.Close(1011)})),
		one("TR-07", "a WebSocket that is reset at once is replaced by long-polling", should, anyWay, "Transports", nil, refusal(clientmode.Upgrade{Then: clientmode.Reset()})),
		one("TR-08", "the transport is one of those that the server lists", must, anyWay, "Handshake Response", rules("R-HS-4"), func(t *T) {
			t.Offer("long-polling")
			t.Ready()
			via(t, lp)
			works(t)
		}),
		one("TR-09", "connection types that the client does not know are ignored", must, allWays, "Handshake Response", rules("R-HS-4"), func(t *T) {
			t.Offer("carrier-pigeon", "websocket", "long-polling", "callback-polling", "eventsource")
			t.Ready()
			works(t)
		}),
		one("TR-10", "without a common connection type nothing is connected", should, allWays, "Handshake Response", rules("R-HS-4"), func(t *T) {
			t.Offer("carrier-pigeon")
			t.Next(clientmode.Handshake)
			t.Nothing(clientmode.Connect)
		}),
		one("TR-11", "what becomes of a client whose WebSocket worked, but is refused later", inform, anyWay, "", rules("R-WS-18", "R-ID-7"), func(t *T) {
			t.Ready()
			t.Upgrades(func(int) clientmode.Upgrade { return clientmode.Upgrade{Status: http.StatusServiceUnavailable} })
			t.Release(Answer{Fault: clientmode.Hangup()})
			t.Next(clientmode.Connect)
			works(t)
		}),
		one("TR-12", "an upgrade that is refused once is tried again", should, ws, "Transports", nil, func(t *T) {
			t.Upgrades(func(n int) clientmode.Upgrade {
				if n == 2 {
					return clientmode.Upgrade{Status: http.StatusServiceUnavailable}
				}
				return clientmode.Upgrade{}
			})
			t.Ready()
			t.Release(Answer{Fault: clientmode.Hangup()})
			t.Next(clientmode.Connect)
			works(t)
		}),
		one("TR-13", "upgrades that are refused again and again are asked for calmly", should, ws, "Transports", nil, func(t *T) {
			const most = 40
			t.Ready()
			t.Upgrades(func(int) clientmode.Upgrade { return clientmode.Upgrade{Status: http.StatusServiceUnavailable} })
			t.Release(Answer{Fault: clientmode.Hangup()})
			t.Calm(most)
		}),
	}
}
