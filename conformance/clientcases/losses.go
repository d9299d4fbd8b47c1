package clientcases

import (
	"net/http"
	"time"

	"github.com/halleypush/halley/conformance/clientmode"
)

// same expects that the client goes on with its session.
func same(t *T) {
	if n := len(t.All(clientmode.Handshake)); n > 1 {
		t.NonStrictf("the client took a new session, though the old one lives and may hold messages")
	}
}

func losses() []Case {
	// broken is a case whose held connect ends in a fault.
	broken := func(fault clientmode.Fault) func(*T) {
		return func(t *T) {
			t.Ready()
			t.Release(Answer{Fault: fault})
			t.Next(clientmode.Connect)
			works(t)
			same(t)
		}
	}
	return []Case{
		one("LO-01", "a reset connection is made anew, and the session goes on", should, 0, "Connection", rules("R-CN-24", "R-WS-18"), broken(clientmode.Reset())),
		one("LO-02", "a connection that ends without an answer is made anew", should, 0, "Connection", rules("R-CN-24"), broken(clientmode.Hangup())),
		one("LO-03", "HTTP 500 for a held connect is no end", should, lp, "Connection", rules("R-CN-24", "R-HT-10"), broken(clientmode.Status(http.StatusInternalServerError))),
		one("LO-04", "HTTP 503 for a held connect is no end", should, lp, "Connection", rules("R-CN-24", "R-HT-10"), broken(clientmode.Status(http.StatusServiceUnavailable))),
		one("LO-05", "HTTP 408 for a held connect is no end", should, lp, "Connection", rules("R-HT-10"), broken(clientmode.Status(http.StatusRequestTimeout))),
		one("LO-06", "HTTP 404 for a held connect is no end", inform, lp, "Connection", rules("R-HT-10"), broken(clientmode.Status(http.StatusNotFound))),
		one("LO-07", "a WebSocket closed with 1000 is opened again", should, ws, "Connection", rules("R-WS-18"), broken(clientmode.Close(1000))),
		one("LO-08", "a WebSocket closed with 1001 is opened again", should, ws, "Connection", rules("R-WS-18"), broken(clientmode.Close(1001))),
		one("LO-09", "a WebSocket closed with 1011 is opened again", should, ws, "Connection", rules("R-WS-18"), broken(clientmode.Close(1011))),
		one("LO-10", "a connect that is never answered is given up and sent again", should, 0, "timeout advice", rules("R-CN-6"), func(t *T) {
			t.Advise(M{"timeout": 1000})
			t.Script(func(m *In) *Answer {
				if m.Channel() == clientmode.Connect && m.Nth == 3 {
					return &Answer{Wait: time.Minute}
				}
				return nil
			})
			t.Start()
			t.Held()
			t.Release(Answer{})
			for m := t.Next(clientmode.Connect); m.Nth < 4; m = t.Next(clientmode.Connect) {
				t.Notef("connect %d is not the one", m.Nth)
			}
			works(t)
		}),
		one("LO-11", "a server that fails is asked again at growing intervals", should, 0, "Connection", rules("R-HT-10"), func(t *T) {
			const most = 40
			t.Ready()
			always(t, clientmode.Connect, *status(http.StatusBadGateway))
			t.Release(*status(http.StatusBadGateway))
			t.Calm(most)
		}),
		one("LO-12", "a server that refuses connections of a session is asked calmly", should, 0, "Connection", rules("R-CN-24"), func(t *T) {
			const most = 40
			t.Ready()
			t.Script(func(*In) *Answer { return &Answer{Fault: clientmode.Reset()} })
			t.Release(Answer{Fault: clientmode.Reset()})
			t.Calm(most)
		}),
		one("LO-13", "after a time of failures the client is back", should, 0, "Connection", rules("R-CN-24"), func(t *T) {
			t.Ready()
			t.First(4, clientmode.Connect, *status(http.StatusServiceUnavailable))
			t.Release(*status(http.StatusServiceUnavailable))
			t.Next(clientmode.Connect)
			works(t)
			same(t)
		}),
		one("LO-14", "a handshake whose connection breaks is tried again", should, 0, "Handshake Request", rules("R-HT-10"), func(t *T) {
			t.First(1, clientmode.Handshake, Answer{Fault: clientmode.Reset()})
			t.Next(clientmode.Handshake)
			works(t)
		}),
		one("LO-15", "a handshake that gets HTTP 503 is tried again", should, lp, "Handshake Request", rules("R-HT-10"), func(t *T) {
			t.First(1, clientmode.Handshake, *status(http.StatusServiceUnavailable))
			t.Next(clientmode.Handshake)
			works(t)
		}),
		one("LO-16", "a handshake that is not answered is tried again", should, 0, "Handshake Request", nil, func(t *T) {
			t.First(1, clientmode.Handshake, Answer{Wait: time.Minute})
			t.Next(clientmode.Handshake)
			works(t)
		}),
		one("LO-17", "a publish whose response is lost is not called a success", must, 0, "Publish Response", rules("R-HT-10"), func(t *T) {
			t.Advise(soon())
			t.Ready()
			t.First(1, clientmode.Elsewhere, Answer{Fault: clientmode.Reset()})
			t.Publish("x")
			e := t.Event(clientmode.EventPublished)
			t.Check(!e.OK || len(t.All(clientmode.Elsewhere)) > 1, "the application is told of a success that nobody told the client of")
		}, clientmode.NeedPublished),
		one("LO-18", "a publish that is not answered is told to the application in the end", should, 0, "Publish Response", nil, func(t *T) {
			t.Advise(soon())
			t.Ready()
			t.First(1, clientmode.Elsewhere, Answer{Wait: time.Minute})
			t.Publish("x")
			e := t.Event(clientmode.EventPublished)
			t.Check(!e.OK || len(t.All(clientmode.Elsewhere)) > 1, "the application is told of a success that nobody told the client of")
		}, clientmode.NeedPublished),
		one("LO-19", "whether a publish is sent again by itself, which may double it", inform, 0, "Publish Request", nil, func(t *T) {
			t.Ready()
			t.First(1, clientmode.Elsewhere, Answer{Fault: clientmode.Reset()})
			t.Publish("x")
			t.Next(clientmode.Elsewhere)
			t.Pause(t.Window())
			t.Infof("sent %d times", len(t.All(clientmode.Elsewhere)))
		}),
		one("LO-20", "a broken connection is told to the application", should, 0, "Connection", nil, func(t *T) {
			t.Ready()
			t.Forgo(clientmode.EventDown)
			t.First(2, clientmode.Connect, Answer{Fault: clientmode.Reset()})
			t.Release(Answer{Fault: clientmode.Reset()})
			t.Event(clientmode.EventDown)
			works(t)
		}, clientmode.NeedDown),
		one("LO-21", "the duplicate that ends an aborted poll with HTTP 500 does no harm", cometd, lp, "", rules("R-CN-20"), func(t *T) {
			t.Ready()
			t.First(1, clientmode.Connect, *status(http.StatusInternalServerError))
			t.Release(Answer{Fault: clientmode.Hangup()})
			t.Next(clientmode.Connect)
			works(t)
			same(t)
		}),
	}
}
