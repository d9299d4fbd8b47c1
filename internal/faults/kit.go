package faults

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux/server"
)

// What faults are made of.

func everywhere() []string { return []string{LongPolling, CallbackPolling, WebSocket} }

func overHTTP() []string { return []string{LongPolling, CallbackPolling} }

func onlyLP() []string { return []string{LongPolling} }

func onlyJP() []string { return []string{CallbackPolling} }

func onlyWS() []string { return []string{WebSocket} }

// always is the factory of hooks that remember nothing.
func always(h hooks) factory { return func(Options) hooks { return h } }

// option sets an option of the server.
func option(name, value string) factory {
	return always(hooks{config: func(c *server.Config) { c.Options[name] = value }})
}

// published stands for the replies to publishes, and anything for all replies.
const (
	published = "publish"
	anything  = "*"
)

func about(channel string, m *message) bool {
	ch := m.channel()
	switch channel {
	case anything:
		return true
	case published:
		switch ch {
		case metaHandshake, metaConnect, metaSubscribe, metaUnsubscribe, metaDisconnect:
			return false
		}
		return true
	default:
		return ch == channel
	}
}

// onReplies edits each reply on a channel.
func onReplies(channel string, edit func(u *unit, m *message)) factory {
	return always(hooks{out: func(u *unit) {
		for _, m := range u.replies() {
			if about(channel, m) {
				edit(u, m)
			}
		}
	}})
}

// onGood edits each successful reply on a channel, onBad each failed one.
func onGood(channel string, edit func(u *unit, m *message)) factory {
	return onReplies(channel, func(u *unit, m *message) {
		if m.ok() {
			edit(u, m)
		}
	})
}

func onBad(channel string, edit func(u *unit, m *message)) factory {
	return onReplies(channel, func(u *unit, m *message) {
		if !m.ok() {
			edit(u, m)
		}
	})
}

// onError edits each reply with that error.
func onError(text string, edit func(u *unit, m *message)) factory {
	return onBad(anything, func(u *unit, m *message) {
		if m.str("error") == text {
			edit(u, m)
		}
	})
}

// onPushes edits each message that is no reply.
func onPushes(edit func(u *unit, m *message)) factory {
	return always(hooks{out: func(u *unit) {
		for _, m := range u.pushes() {
			edit(u, m)
		}
	}})
}

// onRequests edits each message on a channel on its way in.
func onRequests(channel string, edit func(u *unit, m *message)) factory {
	return always(hooks{in: func(u *unit) {
		for _, m := range u.msgs {
			if about(channel, m) {
				edit(u, m)
			}
		}
	}})
}

// onHeaders edits the answers to HTTP requests.
func onAnswers(edit func(x *exchange)) factory { return always(hooks{response: edit}) }

// Edits.

func drop(names ...string) func(*unit, *message) {
	return func(_ *unit, m *message) { m.del(names...) }
}

func put(name, value string) func(*unit, *message) {
	return func(_ *unit, m *message) { m.set(name, value) }
}

func putAdvice(member, value string) func(*unit, *message) {
	return func(_ *unit, m *message) {
		if m.has("advice") {
			m.setMember("advice", member, value)
		}
	}
}

func dropAdvice(member string) func(*unit, *message) {
	return func(_ *unit, m *message) { m.delMember("advice", member) }
}

// slow keeps a unit for a time.
func slow(u *unit, d time.Duration) { u.wait = max(u.wait, d) }

// full is the advice of a session in good order.
func full(o Options) string {
	return `{"reconnect":"retry","interval":0,"timeout":` + millis(o.Timeout) + `}`
}

// stranger replaces the session of a message by one that nobody knows.
func stranger(m *message) { m.setStr("clientId", "0000000000000000000000000") }

// typed gives successful answers another content type.
func typed(value string) factory {
	return onAnswers(func(x *exchange) {
		if x.status == http.StatusOK && x.on != "" {
			x.header.Set("Content-Type", value)
		}
	})
}

// fault makes an entry of a table; rules are separated by blanks.
func fault(id, rules, text string, transports []string, f factory) Fault {
	h := f(Options{}.withDefaults())
	return Fault{
		ID: id, Rules: strings.Fields(rules), Text: text, Transports: transports,
		Server: h.config != nil || h.attach != nil, make: f,
	}
}

// needs names what a server must be set up with; see Fault.Needs.
func (f Fault) needs(what string) Fault {
	f.Needs = what
	return f
}

// tolerated marks what CometD does, too; see Fault.Tolerated.
func (f Fault) tolerated() Fault {
	f.Tolerated = true
	return f
}

// restore gives a reply a field as its request had it.
func restore(u *unit, m *message, name string) {
	if ask := u.request(m); ask.has(name) {
		m.set(name, ask.get(name))
	}
}

// both joins hooks of the same kind one after the other, for faults that
// change something on the way in and hide that on the way back.
func both(in, out func(u *unit, m *message)) factory {
	return always(hooks{
		in: func(u *unit) {
			for _, m := range u.msgs {
				in(u, m)
			}
		},
		out: func(u *unit) {
			for _, m := range u.msgs {
				out(u, m)
			}
		},
	})
}

// banish has the server answer all messages of the unit as those of an unknown
// session.
func banish(u *unit) {
	for _, m := range u.msgs {
		if m.channel() != metaHandshake {
			stranger(m)
		}
	}
}

// pretend turns replies that say the session is unknown into successful ones.
func pretend(when func(u *unit, ask *message) bool) factory {
	return onError(unknownSession, func(u *unit, m *message) {
		if when(u, u.request(m)) {
			m.succeed()
		}
	})
}

// hidden edits connects on the way in and takes the advice, which that
// provokes, out of the reply where the client has asked for none.
func hidden(edit func(u *unit, m *message)) factory {
	return both(
		func(u *unit, m *message) {
			if m.channel() == metaConnect {
				edit(u, m)
			}
		},
		func(u *unit, m *message) {
			if m.reply() && m.channel() == metaConnect && m.ok() && !u.request(m).has("advice") && !strings.Contains(m.get("advice"), "none") {
				m.del("advice")
			}
		},
	)
}

func zipped(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text) // to memory
	_ = w.Close()
	return b.Bytes()
}

// unzipped undoes gzip; what is none comes back as it is.
func unzipped(text []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return text
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxText))
	if err != nil {
		return text
	}
	return plain
}
