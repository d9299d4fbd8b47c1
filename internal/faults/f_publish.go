package faults

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// publishFaults break publishing and what subscribers get: WIRE 6.
func publishFaults() []Fault {
	return slices.Concat(publishReplies(), publishDenials(), publishFields(), publishContent(), publishCopies(), publishOrder())
}

func publishReplies() []Fault {
	silent := func(when func(channel string) bool) factory {
		return always(hooks{out: func(u *unit) {
			u.keep(func(m *message) bool { return !m.reply() || !about(published, m) || !when(m.channel()) })
		}})
	}
	return []Fault{
		fault("F-PB-01", "R-PB-1 R-MSG-3", "Publishes are not answered.", everywhere(), silent(func(string) bool { return true })),
		fault("F-PB-02", "R-PB-1", "Publishes to services are not answered.", everywhere(), silent(func(c string) bool { return strings.HasPrefix(c, "/service/") })),
		fault("F-PB-03", "R-PB-1", "A publish to a channel without subscribers fails.", everywhere(), onGood(published, func(u *unit, m *message) {
			for _, s := range u.p.sessions {
				if s.covers(m.channel()) > 0 {
					return
				}
			}
			if !strings.HasPrefix(m.channel(), "/service/") {
				m.fail("404::no_subscribers")
			}
		})),
		fault("F-PB-04", "R-PB-3", "Publishes to unknown meta channels succeed.", everywhere(), onBad(published, func(_ *unit, m *message) {
			if strings.HasPrefix(m.channel(), "/meta/") {
				m.succeed()
			}
		})),
		fault("F-PB-05", "R-PB-3", "Publishes to unknown meta channels are answered with 404.", everywhere(), onBad(published, func(_ *unit, m *message) {
			if strings.HasPrefix(m.channel(), "/meta/") {
				m.fail("404::channel_unknown")
			}
		})),
		fault("F-PB-06", "R-PB-4", "A publish that the server has deleted seems to succeed.", everywhere(), onError("404::message_deleted", func(_ *unit, m *message) {
			m.succeed()
		})).needs("a channel whose messages the server deletes"),
		fault("F-PB-07", "R-PB-8", "Publishing to a wildcard channel is refused.", everywhere(), both(func(_ *unit, m *message) {
			if about(published, m) && strings.HasSuffix(m.channel(), "*") {
				m.setStr("channel", "/?")
			}
		}, func(u *unit, m *message) {
			if m.reply() && m.channel() == "/?" {
				restore(u, m, "channel")
			}
		})),
	}
}

// generous is a policy whose denials of publishing the server does not keep.
type generous struct {
	bayeux.Policy
	srv *atomic.Pointer[server.Server]
}

func (g generous) CanPublish(ctx context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) error {
	err := g.Policy.CanPublish(ctx, s, ch, m)
	if err != nil {
		_ = g.srv.Load().Publish(ctx, m.Channel, m.Data) // not everything can be published
	}
	return err
}

func publishDenials() []Fault {
	const needs = "a channel to which publishing is denied"
	swap := func(from, to string) factory {
		return onBad(published, func(_ *unit, m *message) {
			if e := m.str("error"); strings.HasSuffix(e, ":"+from) {
				m.setStr("error", strings.TrimSuffix(e, from)+to)
			}
		})
	}
	return []Fault{
		fault("F-PB-08", "R-PB-2 R-PB-3", "The denied creation of a channel by a publish is called create_denied.", everywhere(), swap("channel_create_denied", "create_denied")),
		fault("F-PB-09", "R-PB-2", "A denied publish is called subscribe_denied.", everywhere(), swap("publish_denied", "subscribe_denied")).needs(needs),
		fault("F-PB-10", "R-PB-2", "A denied publish fails, but its message is delivered.", everywhere(), func(Options) hooks {
			var srv atomic.Pointer[server.Server]
			return hooks{
				config: func(c *server.Config) {
					if c.Policy == nil {
						c.Policy = bayeux.DefaultPolicy{}
					}
					c.Policy = generous{c.Policy, &srv}
				},
				attach: func(s *server.Server) error { srv.Store(s); return nil },
			}
		}).needs(needs),
		fault("F-PB-11", "R-PB-2 R-HT-6", "A denied publish is answered with HTTP 403.", overHTTP(), onAnswers(func(x *exchange) {
			if x.down == nil {
				return
			}
			for _, m := range x.down.replies() {
				if e := m.str("error"); about(published, m) && strings.HasSuffix(e, "denied") {
					x.status = http.StatusForbidden
				}
			}
		})),
	}
}

// memoir remembers who has published what, and edits what is delivered with
// the message as it was published.
func memoir(edit func(m, was *message)) factory {
	return func(Options) hooks {
		var last []*message
		return hooks{
			in: func(u *unit) {
				for _, m := range u.msgs {
					if about(published, m) {
						last = append(last, m.clone())
					}
				}
				last = last[max(0, len(last)-1000):]
			},
			out: func(u *unit) {
				for _, m := range u.pushes() {
					for _, was := range slices.Backward(last) {
						if was.channel() == m.channel() && was.get("data") == m.get("data") {
							edit(m, was)
							break
						}
					}
				}
			},
		}
	}
}

func publishFields() []Fault {
	leak := func(name string) factory {
		return memoir(func(m, was *message) {
			if was.has(name) {
				m.set(name, was.get(name))
			}
		})
	}
	return []Fault{
		fault("F-PB-12", "R-PB-6", "Delivered messages have the id of the publish.", everywhere(), leak("id")),
		fault("F-PB-13", "R-PB-6", "Delivered messages have the clientId of the publisher.", everywhere(), leak("clientId")),
		fault("F-PB-14", "R-PB-6", "Delivered messages have lost the fields that the server has no name for.", everywhere(), onPushes(func(_ *unit, m *message) {
			for _, f := range slices.Clone(m.fields) {
				if !slices.Contains([]string{"channel", "data", "ext", "id", "successful"}, f.name) {
					m.del(f.name)
				}
			}
		})),
		fault("F-PB-15", "R-PB-6", "Delivered messages have lost their ext.", everywhere(), onPushes(func(_ *unit, m *message) { m.del("ext") })),
		fault("F-PB-16", "R-PB-6", "Delivered messages say that they are successful.", everywhere(), onPushes(func(_ *unit, m *message) { m.set("successful", "true") })),
		fault("F-PB-17", "R-PB-6 R-SB-10", "A message that a pattern has matched is delivered with the pattern as its channel.", everywhere(), onPushes(func(u *unit, m *message) {
			if u.s == nil || slices.Contains(u.s.subs, m.channel()) {
				return
			}
			for _, s := range u.s.subs {
				if matches(s, m.channel()) {
					m.setStr("channel", s)
					return
				}
			}
		})),
	}
}

func publishContent() []Fault {
	return []Fault{
		fault("F-PB-18", "R-PB-5", "A publish without data is refused.", everywhere(), both(func(_ *unit, m *message) {
			if about(published, m) && !m.has("data") && m.has("channel") {
				m.setStr("channel", "/?")
			}
		}, func(u *unit, m *message) {
			if m.reply() && m.channel() == "/?" && u.request(m).has("channel") {
				restore(u, m, "channel")
				m.fail("400::data_missing")
			}
		})),
		fault("F-PB-19", "R-PB-5", "A publish without data is delivered with data null.", everywhere(), onPushes(func(_ *unit, m *message) {
			if !m.has("data") && !strings.HasPrefix(m.channel(), "/meta/") {
				m.set("data", "null")
			}
		})),
		fault("F-PB-20", "R-PB-6", "Data that is no object is delivered wrapped in one.", everywhere(), onPushes(func(_ *unit, m *message) {
			if v := m.get("data"); v != "" && !strings.HasPrefix(v, "{") {
				m.set("data", `{"value":`+v+`}`)
			}
		})),
		fault("F-PB-21", "R-PB-6", "Data is delivered as a string of JSON.", everywhere(), onPushes(func(_ *unit, m *message) {
			if v := m.get("data"); strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
				m.set("data", quote(v))
			}
		})),
		fault("F-PB-22", "R-PB-6", "Delivered data larger than 1,000 bytes is missing.", everywhere(), onPushes(func(_ *unit, m *message) {
			if len(m.get("data")) > 1000 {
				m.del("data")
			}
		})),
		fault("F-PB-29", "R-PB-7 R-MSG-4", "What a service sends to its caller has the id of the caller's message.", everywhere(), memoir(func(m, was *message) {
			if strings.HasPrefix(m.channel(), "/service/") && was.has("id") && !m.has("id") {
				m.set("id", was.get("id"))
			}
		})).needs("a service that answers on its channel"),
	}
}

func publishCopies() []Fault {
	return []Fault{
		fault("F-PB-23", "R-PB-9", "A session whose subscriptions overlap gets one copy for each that matches.", everywhere(), onPushes(func(u *unit, m *message) {
			if u.s == nil {
				return
			}
			for range u.s.covers(m.channel()) - times(u.s.subs, m.channel()) {
				if len(u.s.subs) > 1 && u.s.covers(m.channel()) > 1 {
					u.msgs = slices.Insert(slices.Clone(u.msgs), slices.Index(u.msgs, m), m)
				}
			}
		})),
		fault("F-PB-24", "R-PB-9 R-DL-1", "Each message is delivered twice.", everywhere(), onPushes(func(u *unit, m *message) {
			u.msgs = slices.Insert(slices.Clone(u.msgs), slices.Index(u.msgs, m), m)
		})),
		fault("F-PB-25", "R-DL-1 R-CN-10", "Each third message of a session is lost.", everywhere(), func(Options) hooks {
			n := map[*session]int{}
			return hooks{out: func(u *unit) {
				u.keep(func(m *message) bool {
					if m.reply() || u.s == nil {
						return true
					}
					n[u.s]++
					return n[u.s]%3 != 0
				})
			}}
		}),
		fault("F-PB-26", "R-PB-11 R-DL-3", "Publishers do not get their own messages though they are subscribed.", everywhere(), option("broadcastToPublisher", "false")),
	}
}

// turnRound reverses those messages of a unit that f picks.
func turnRound(u *unit, f func(m *message) bool) {
	var at []int
	for i, m := range u.msgs {
		if f(m) {
			at = append(at, i)
		}
	}
	msgs := slices.Clone(u.msgs)
	for k, i := range at {
		msgs[i] = u.msgs[at[len(at)-1-k]]
	}
	u.msgs = msgs
}

func publishOrder() []Fault {
	return []Fault{
		fault("F-PB-27", "R-PB-14", "The publishes of one array are carried out in reverse order.", everywhere(), always(hooks{
			in:  func(u *unit) { turnRound(u, func(m *message) bool { return about(published, m) }) },
			out: func(u *unit) { turnRound(u, func(m *message) bool { return about(published, m) && m.reply() }) },
		})),
		fault("F-PB-28", "R-PB-14 R-OUT-2 R-WS-24", "Messages that leave together are in reverse order; on a WebSocket each second one overtakes the one before.", everywhere(), always(hooks{out: func(u *unit) {
			pushes := u.pushes()
			if len(pushes) == 0 {
				return
			}
			if u.l != nil && len(pushes) == 1 {
				if u.l.pushed++; u.l.pushed%2 == 1 {
					slow(u, 50*time.Millisecond)
				}
				return
			}
			slices.Reverse(pushes)
			u.msgs = append(pushes, u.replies()...)
		}})),
	}
}
