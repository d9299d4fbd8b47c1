package clientcases

import (
	"time"

	"github.com/halleypush/halley/conformance/clientmode"
)

// interval is a pause that a server advises: longer than what a machine
// under load adds to none.
const interval = 800 * time.Millisecond

func advice() []Case {
	none := M{"reconnect": "none"}
	return []Case{
		one("AD-01", "after advice none with a connect's reply the client stays away", must, 0, "reconnect advice", rules("R-AD-7", "R-CN-17"), func(t *T) {
			t.Ready()
			t.Release(Answer{With: M{"advice": none}})
			t.Nothing(clientmode.Connect, clientmode.Handshake)
		}),
		one("AD-02", "after advice none with a failed connect the client stays away", must, 0, "reconnect advice", rules("R-AD-7", "R-ERR-4"), func(t *T) {
			t.Ready()
			t.Release(Answer{With: M{"successful": false, "error": "402::session_unknown", "advice": none}})
			t.Nothing(clientmode.Connect, clientmode.Handshake)
		}),
		one("AD-03", "a handshake refused with advice none is not tried again", must, 0, "reconnect advice", rules("R-AD-7", "R-HS-10"), func(t *T) {
			always(t, clientmode.Handshake, Answer{With: M{"successful": false, "error": "403::handshake_denied", "advice": none}})
			t.Next(clientmode.Handshake)
			t.Nothing(clientmode.Handshake, clientmode.Connect)
		}),
		one("AD-04", "a server that ends the session is let go", must, 0, "reconnect advice", rules("R-CN-16"), func(t *T) {
			t.Ready()
			t.Release(Answer{Before: []M{{"channel": clientmode.Disconnect, "successful": true}}, With: M{"advice": none}})
			t.Nothing(clientmode.Connect, clientmode.Handshake)
		}),
		one("AD-05", "after advice handshake the client takes a new session and subscribes again", must, 0, "reconnect advice", rules("R-AD-7"), func(t *T) {
			t.Ready()
			t.ForgetBy(Answer{With: M{"advice": M{"reconnect": "handshake", "interval": 0}}})
			t.Next(clientmode.Handshake)
			works(t)
		}),
		one("AD-06", "after advice retry with a failed connect the client connects again", should, 0, "reconnect advice", rules("R-AD-7"), func(t *T) {
			t.Ready()
			id := t.All(clientmode.Connect)[0].ClientID()
			t.Release(Answer{With: M{"successful": false, "error": "500::try_again", "advice": M{"reconnect": "retry", "interval": 0}}})
			m := t.Next(clientmode.Connect)
			t.Check(m.ClientID() == id, "the connect has the clientId %q, not %q", m.ClientID(), id)
			t.Check(len(t.All(clientmode.Handshake)) == 1, "the client took a new session")
			works(t)
		}),
		one("AD-07", "the interval of a connect's reply is kept", must, 0, "interval advice", rules("R-AD-7"), func(t *T) {
			t.Ready()
			from := time.Now()
			t.Release(Answer{With: M{"advice": M{"reconnect": "retry", "interval": ms(interval)}}})
			waits(t, from, t.Next(clientmode.Connect))
		}),
		one("AD-08", "an advised interval stays in force while no other is advised", must, 0, "interval advice", rules("R-AD-2", "R-AD-7"), func(t *T) {
			t.Ready()
			t.Release(Answer{With: M{"advice": M{"reconnect": "retry", "interval": ms(interval)}}})
			t.Next(clientmode.Connect)
			t.Held()
			from := time.Now()
			t.Release(Answer{})
			waits(t, from, t.Next(clientmode.Connect))
		}),
		one("AD-09", "advice that names the interval alone leaves the rest as it was", should, 0, "Advice", rules("R-AD-7"), func(t *T) {
			t.Ready()
			t.Release(Answer{With: M{"advice": M{"interval": ms(interval / 8)}}})
			t.Next(clientmode.Connect)
			works(t)
		}),
		one("AD-10", "an interval of 0 ends an earlier one", should, 0, "interval advice", rules("R-AD-3"), func(t *T) {
			const long = 3 * interval
			t.Ready()
			t.Release(Answer{With: M{"advice": M{"reconnect": "retry", "interval": ms(long)}}})
			t.Next(clientmode.Connect)
			t.Held()
			t.Release(Answer{With: M{"advice": M{"reconnect": "retry", "interval": 0}}})
			t.Next(clientmode.Connect)
			t.Held()
			from := time.Now()
			t.Release(Answer{})
			gap := t.Next(clientmode.Connect).At.Sub(from)
			t.Check(gap < long, "the connect came after %v, as if the interval were still %v", gap.Round(time.Millisecond), long)
		}),
		one("AD-11", "the interval of a lost session delays the new handshake", should, 0, "interval advice", rules("R-AD-7", "R-ERR-2"), func(t *T) {
			t.Ready()
			from := time.Now()
			t.ForgetBy(Answer{With: M{"successful": false, "error": "402::session_unknown", "advice": M{"reconnect": "handshake", "interval": ms(interval)}}})
			waits(t, from, t.Next(clientmode.Handshake))
		}),
		one("AD-12", "with multiple-clients the client polls at the interval", cometd, lp, "multiple-clients advice", rules("R-MC-2"), func(t *T) {
			t.Ready()
			from := time.Now()
			t.Release(Answer{With: M{"advice": M{"reconnect": "retry", "multiple-clients": true, "interval": ms(interval)}}})
			waits(t, from, t.Next(clientmode.Connect))
			works(t)
		}),
		one("AD-13", "a server without advice is enough", must, 0, "Advice", rules("R-AD-2"), func(t *T) {
			t.Script(func(m *In) *Answer {
				if m.Channel() == clientmode.Handshake {
					return &Answer{With: M{"advice": absent}}
				}
				return nil
			})
			t.Ready()
			works(t)
		}),
		one("AD-14", "advice that makes no sense is survived", should, 0, "Advice", rules("R-AD-7"), func(t *T) {
			t.Ready()
			t.Release(Answer{With: M{"advice": M{"reconnect": "perhaps", "interval": "soon", "timeout": M{}, "hosts": 5}}})
			works(t)
		}),
		one("AD-15", "a connect is waited for as long as the server may hold it", must, 0, "timeout advice", rules("R-CN-6", "R-AD-3"), func(t *T) {
			t.Ready()
			t.Pause(clientmode.NetworkDelay + 2*time.Second)
			t.Nothing(clientmode.Connect, clientmode.Handshake)
			works(t)
		}),
		one("AD-16", "a refused handshake with advice handshake is tried again", should, 0, "reconnect advice", rules("R-HS-10"), func(t *T) {
			t.First(1, clientmode.Handshake, Answer{With: M{
				"successful": false, "error": "403::handshake_denied", "advice": M{"reconnect": "handshake", "interval": 0},
			}})
			t.Next(clientmode.Handshake)
			works(t)
		}),
		one("AD-17", "what becomes of a handshake that is refused without advice", inform, 0, "Handshake Response", rules("R-HS-10"), func(t *T) {
			always(t, clientmode.Handshake, Answer{With: M{"successful": false, "error": "403::handshake_denied"}})
			t.Next(clientmode.Handshake)
			t.Pause(t.Window())
			t.Infof("%d handshakes within %v", len(t.All(clientmode.Handshake)), t.Window())
		}),
	}
}
