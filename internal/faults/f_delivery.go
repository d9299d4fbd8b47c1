package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// deliveryFaults break when messages leave and how responses are made: the
// second half of WIRE 6.
func deliveryFaults() []Fault {
	return slices.Concat(deliveryWays(), deliveryLazy(), deliveryLosses(), outputFaults())
}

// early gives publishers their own messages with the publish response, where
// they should come with a connect, and not once more with that.
func early(when func(s *session) bool) factory {
	return func(Options) hooks {
		had := map[*session][]string{}
		again := func(u *unit, m *message) bool {
			i := slices.Index(had[u.s], m.channel()+m.get("data"))
			if m.reply() || i < 0 {
				return false
			}
			had[u.s] = slices.Delete(had[u.s], i, i+1)
			return true
		}
		return hooks{out: func(u *unit) {
			if u.s == nil || !when(u.s) {
				return
			}
			own := ownMessages(u)
			u.keep(func(m *message) bool { return !again(u, m) })
			for _, m := range own {
				had[u.s] = append(had[u.s], m.channel()+m.get("data"))
			}
			switch {
			case len(own) == 0:
			case u.l != nil:
				u.parts = [][]*message{own, u.msgs}
			default:
				u.msgs = append(own, u.msgs...)
			}
		}}
	}
}

// ownMessages makes the messages that a publisher gets of its own publishes,
// to which the unit has the replies.
func ownMessages(u *unit) []*message {
	var own []*message
	for _, m := range u.replies() {
		if ask := u.request(m); about(published, m) && m.ok() && u.s.covers(m.channel()) > 0 {
			one := made(`{}`)
			one.set("data", ask.get("data"))
			one.set("channel", ask.get("channel"))
			own = append(own, one)
		}
	}
	return own
}

func deliveryWays() []Fault {
	return []Fault{
		fault("F-DL-01", "R-DL-1 R-DL-3 R-WS-11 R-WS-12", "Messages leave with connects only, as if metaConnectDeliverOnly were set.", []string{LongPolling, WebSocket}, option("metaConnectDeliverOnly", "true")),
		fault("F-DL-02", "R-DL-2 R-DL-3", "A publisher's own message comes with the publish response, and once more with its next connect.", onlyLP(), func(Options) hooks {
			again := map[*session][]*message{}
			return hooks{out: func(u *unit) {
				switch {
				case u.s == nil:
				case u.find(metaConnect) != nil:
					u.msgs = append(slices.Clone(again[u.s]), u.msgs...)
					delete(again, u.s)
				default:
					again[u.s] = append(again[u.s], u.pushes()...)
				}
			}}
		}),
		fault("F-DL-03", "R-DL-4 R-JP-5", "On callback-polling a publisher gets its own message with the publish response.", onlyJP(), early(func(*session) bool { return true })),
		fault("F-DL-04", "R-DL-1", "Messages wait for the next connect when another request of their session could take them.", onlyLP(), func(Options) hooks {
			kept := map[*session][]*message{}
			return hooks{out: func(u *unit) {
				if u.s == nil || u.find(metaHandshake) != nil {
					return
				}
				if u.find(metaConnect) != nil {
					u.msgs = append(slices.Clone(kept[u.s]), u.msgs...)
					delete(kept, u.s)
					return
				}
				kept[u.s] = append(kept[u.s], u.pushes()...)
				u.keep((*message).reply)
			}}
		}),
	}
}

// lazily has the server's own extensions decide what is lazy.
func lazily(lazy func(m *bayeux.Message) bool) factory {
	return always(hooks{config: func(c *server.Config) {
		c.Extensions = append(c.Extensions, bayeux.Funcs{Out: func(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
			if to == nil && lazy(m) {
				m.Lazy = true
			}
			return nil
		}})
	}})
}

func deliveryLazy() []Fault {
	return []Fault{
		fault("F-DL-05", "R-DL-5", "A message that a client calls lazy is so: it waits.", everywhere(), lazily(func(m *bayeux.Message) bool {
			return string(m.Field("lazy")) == "true"
		})),
		fault("F-DL-06", "R-CN-9 R-DL-5", "All messages are lazy: they wait for some other reason to leave.", everywhere(), lazily(func(*bayeux.Message) bool { return true })),
	}
}

// greet notes a WebSocket that a session comes back over.
func greet(u *unit) {
	if u.s == nil || u.l.notes["greeted"] != "" {
		return
	}
	u.l.notes["greeted"] = "yes"
	if u.s.replied > 0 {
		u.l.notes["back"] = "yes"
	}
}

// unqueue drops what comes over such a WebSocket up to the first reply.
func unqueue(u *unit) {
	if u.l.notes["back"] == "" {
		return
	}
	if len(u.replies()) > 0 {
		u.l.notes["back"] = ""
	}
	u.keep((*message).reply)
}

func deliveryLosses() []Fault {
	return []Fault{
		fault("F-DL-07", "R-DL-10 R-CN-21", "What was queued for a session is lost when its connect is cut.", overHTTP(), always(hooks{
			aborted: func(x *exchange) {
				if x.up != nil && x.up.polls() {
					x.up.s.setNote("cut", "yes")
				}
			},
			out: func(u *unit) {
				if u.s.note("cut") != "" && u.find(metaConnect) != nil {
					u.s.setNote("cut", "")
					u.keep((*message).reply)
				}
			},
		})),
		fault("F-DL-08", "R-DL-10 R-WS-18 R-WS-19", "What was queued for a session while its WebSocket was gone is lost.", onlyWS(), always(hooks{in: greet, out: unqueue})),
		fault("F-DL-09", "R-DL-10 R-CN-20", "What was queued for a session is lost when a newer connect takes over.", overHTTP(), always(hooks{
			in: func(u *unit) {
				if u.s != nil && len(u.s.held) > 1 {
					u.s.setNote("taken over", "yes")
				}
			},
			out: func(u *unit) {
				if m := u.find(metaConnect); m != nil && u.s.note("taken over") != "" && len(u.pushes()) > 0 {
					u.s.setNote("taken over", "")
					u.keep((*message).reply)
				}
			},
		})),
	}
}

// repliesFirst turns the order of replies and messages round. On a WebSocket
// they come in frames of their own: messages wait for the replies there.
func repliesFirst(Options) hooks {
	kept := map[*link][]*message{}
	return hooks{out: func(u *unit) {
		pushes, replies := u.pushes(), u.replies()
		switch {
		case u.l == nil:
			u.msgs = append(replies, pushes...)
		case len(replies) == 0 && busy(u.l):
			kept[u.l] = append(kept[u.l], pushes...)
			u.drop = true
		case len(replies) > 0 && len(kept[u.l]) > 0:
			u.parts = [][]*message{replies, append(pushes, kept[u.l]...)}
			delete(kept, u.l)
		}
	}}
}

func outputFaults() []Fault {
	return []Fault{
		fault("F-OUT-01", "R-OUT-2 R-DL-3 R-WS-10", "Replies come ahead of the messages that leave with them.", []string{LongPolling, WebSocket}, repliesFirst),
		fault("F-OUT-02", "R-OUT-1", "Responses have blanks and line breaks between values.", everywhere(), rewritten(func(text []byte) []byte {
			var b bytes.Buffer
			if json.Indent(&b, text, "", "  ") != nil {
				return text
			}
			return b.Bytes()
		})).tolerated(),
		fault("F-OUT-03", "R-OUT-1 R-LP-2", "Responses are written in ISO-8859-1.", overHTTP(), rewritten(func(text []byte) []byte {
			out := make([]byte, 0, len(text))
			for _, r := range string(text) {
				if r > 255 {
					r = '?'
				}
				out = append(out, byte(r))
			}
			return out
		})),
		fault("F-OUT-04", "R-OUT-1", "Responses begin with a byte order mark.", everywhere(), rewritten(func(text []byte) []byte {
			return append([]byte("\ufeff"), text...)
		})),
		fault("F-OUT-05", "R-OUT-1 R-LP-2", "Responses have a prefix against inclusion, such as for(;;);.", overHTTP(), onAnswers(func(x *exchange) {
			if x.status == http.StatusOK && x.down != nil {
				x.setText(append([]byte("for(;;);"), x.text...))
			}
		})),
	}
}

// busy tells whether the WebSocket waits for an answer other than that of a
// connect.
func busy(l *link) bool {
	return slices.ContainsFunc(l.waiting, func(m *message) bool { return m.channel() != metaConnect })
}

// rewritten changes the text of each batch that leaves.
func rewritten(f func(text []byte) []byte) factory {
	return always(hooks{
		response: func(x *exchange) {
			if x.down == nil || x.status != http.StatusOK {
				return
			}
			body := strings.TrimSuffix(strings.TrimPrefix(string(x.text), x.before), x.behind)
			x.setText([]byte(x.before + string(f([]byte(body))) + x.behind))
		},
		data: func(k *packet) {
			if !k.up {
				k.set(k.op, f(k.payload))
			}
		},
	})
}
