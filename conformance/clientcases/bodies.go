package clientcases

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf16"

	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/wire"
)

const text = "grüße, 世界 🌍"

func bodies() []Case {
	// by delivers a message by a fault that a client must not notice.
	by := func(fault clientmode.Fault) func(*T) {
		return func(t *T) {
			t.Ready()
			t.SendBy(fault, clientmode.Message(text))
			t.Gets(text)
			works(t, text)
		}
	}
	// broken delivers a message in a way that nobody can read.
	broken := func(fault clientmode.Fault) func(*T) {
		return func(t *T) {
			t.Advise(soon())
			t.Ready()
			t.Release(Answer{Before: []M{clientmode.Message(text)}, Fault: fault})
			works(t)
		}
	}
	page := clientmode.Body("<html><body>Maintenance</body></html>", [2]string{"Content-Type", "text/html"})
	return []Case{
		one("BO-01", "a handshake's reply may drip", must, 0, "Transports", rules("R-HT-10"), func(t *T) {
			t.First(1, clientmode.Handshake, Answer{Fault: clientmode.Drip()})
			t.Ready()
			works(t)
		}),
		one("BO-02", "a message may drip, byte by byte", must, 0, "Transports", nil, by(clientmode.Drip())),
		one("BO-03", "a body may come in chunks, a message in fragments, cut inside a character", must, 0, "Transports", nil, by(clientmode.Pieces())),
		one("BO-04", "a body that is cut off is survived, and nothing of it delivered", should, 0, "Transports", rules("R-HT-10"), broken(clientmode.Cut())),
		one("BO-05", "a page of HTML with status 200 is survived", should, lp, "Transports", rules("R-HT-10"), broken(page)),
		one("BO-06", "an empty body with status 200 is survived", should, lp, "Transports", nil, broken(clientmode.Body(""))),
		one("BO-07", "an array without the connect's reply is survived", should, lp, "Connect Response", nil, func(t *T) {
			t.Advise(soon())
			t.Ready()
			t.Release(Answer{Silent: true})
			t.Next(clientmode.Connect)
			works(t)
		}),
		one("BO-08", "white space in JSON is nothing", must, 0, "Transports", nil, by(clientmode.Reform(func(body []byte) []byte {
			var b bytes.Buffer
			_ = json.Indent(&b, body, "\r\n", "\t")
			return append(b.Bytes(), '\n')
		}))),
		one("BO-09", "escaped characters are characters", must, 0, "Transports", nil, by(clientmode.Reform(escaped))),
		one("BO-10", "values of all kinds arrive as they are", must, 0, "Data", rules("R-MSG-15"), func(t *T) {
			data := []any{M{"a": []any{true, false, nil, "", "x", M{"b": nil}}}, "", true, []any{"y"}}
			t.Ready()
			t.Deliver(data...)
			t.Gets(data...)
		}),
		one("BO-21", "numbers arrive as they are", must, 0, "Data", rules("R-MSG-15"), func(t *T) {
			data := []any{0, -1, 2.5, -2.25, 9007199254740991, []any{1, -2.5, 3}, M{"n": -0.125}}
			t.Ready()
			t.Deliver(data...)
			t.Gets(data...)
		}),
		one("BO-22", "empty arrays and objects arrive, one in another too", must, 0, "Data", rules("R-MSG-15"), func(t *T) {
			data := []any{M{"a": []any{M{}, []any{}}}, false, []any{}, M{}}
			t.Ready()
			t.Deliver(data...)
			t.Gets(data...)
		}),
		one("BO-19", "an empty name of a field is one", should, 0, "Data", rules("R-MSG-15"), func(t *T) {
			t.Ready()
			t.Deliver(M{"": ""}, M{"a": M{"": 1}})
			t.Gets(M{"": ""}, M{"a": M{"": 1}})
		}),
		one("BO-20", "control characters, quotes and line separators arrive", must, 0, "Data", rules("R-MSG-15"), func(t *T) {
			data := []any{"\u2028</script>", "\t\r\n\b\f", "\"\\/", "\u0001"}
			t.Ready()
			t.Deliver(data...)
			t.Gets(data...)
		}),
		one("BO-11", "a message of 300,000 bytes arrives", should, 0, "Data", nil, func(t *T) {
			const size = 300_000
			large := strings.Repeat("x", size)
			t.Ready()
			t.Deliver(large)
			t.Gets(large)
			works(t, large)
		}),
		one("BO-12", "a connection that is closed after each answer is enough", must, lp, "Transports", rules("R-HT-1"), func(t *T) {
			t.Script(func(m *In) *Answer {
				if m.Channel() == clientmode.Connect {
					return nil
				}
				return &Answer{Fault: clientmode.Last()}
			})
			t.Ready()
			t.SendBy(clientmode.Last(), clientmode.Message("x"))
			t.Gets("x")
			works(t, "x")
		}),
		one("BO-13", "fields that are null are as good as absent", should, 0, "Message Fields", nil, func(t *T) {
			t.Ready()
			t.Release(Answer{Before: []M{clientmode.Message("x")}, With: M{"advice": nil, "ext": nil, "error": nil}})
			t.Gets("x")
			works(t, "x")
		}),
		one("BO-14", "a message without data does no harm", should, 0, "Data", rules("R-PB-5"), func(t *T) {
			t.Ready()
			t.Send(M{"channel": clientmode.Data}, clientmode.Message("x"))
			t.Settled()
			t.Publish("y")
			t.Next(clientmode.Elsewhere)
		}),
		one("BO-15", "a ping is answered", must, ws, "", rules("R-WS-1"), func(t *T) {
			t.Ready()
			t.Check(t.Ping(), "no pong within %v", t.Patience())
			works(t)
		}),
		one("BO-16", "a ping between the fragments of a message does no harm", should, ws, "Transports", nil, func(t *T) {
			t.Ready()
			body := `[{"channel":"` + clientmode.Data + `","data":"x"}]`
			t.Frame(wire.Frame{Op: wire.Text, More: true, Payload: []byte(body[:9])})
			t.Frame(wire.Frame{Op: wire.Ping})
			t.Frame(wire.Frame{Op: wire.Continuation, Payload: []byte(body[9:])})
			t.Gets("x")
		}),
		one("BO-17", "what is no JSON on a WebSocket is survived", should, ws, "Transports", nil, func(t *T) {
			t.Ready()
			t.Frame(wire.Frame{Op: wire.Text, Payload: []byte("[{")})
			t.Pause(t.Window()) // the client may close it, or not
			works(t)
		}),
		one("BO-18", "a reply to a publish is cut off: no success", must, 0, "Publish Response", rules("R-HT-10"), func(t *T) {
			t.Advise(soon())
			t.Ready()
			t.First(1, clientmode.Elsewhere, Answer{Fault: clientmode.Cut()})
			t.Publish("x")
			e := t.Event(clientmode.EventPublished)
			t.Check(!e.OK || len(t.All(clientmode.Elsewhere)) > 1, "the application is told of a success that nobody told the client of")
		}, clientmode.NeedPublished),
	}
}

// escaped writes every character beyond ASCII as an escape.
func escaped(body []byte) []byte {
	const hex = "0123456789abcdef"
	var out []byte
	for _, r := range string(body) {
		if r < 0x80 {
			out = append(out, byte(r)) //nolint:gosec // it is below 0x80
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = append(out, '\\', 'u', hex[unit>>12], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
		}
	}
	return out
}
