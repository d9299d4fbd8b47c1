package faults

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// connectFaults break /meta/connect: WIRE 4.
func connectFaults() []Fault {
	return slices.Concat(connectReplies(), connectHolds(), connectTimes(), connectExpires(), connectWakes(), connectIntervals(),
		connectDisconnects(), connectOthers(), connectDuplicates(), connectAborts())
}

func connectReplies() []Fault {
	return []Fault{
		fault("F-CN-01", "R-CN-1", "Connect replies have no flag successful.", everywhere(), onReplies(metaConnect, drop("successful"))),
		fault("F-CN-02", "R-CN-2", "A connect without connectionType is refused.", everywhere(), onGood(metaConnect, func(u *unit, m *message) {
			if !u.request(m).has("connectionType") {
				m.fail("400::connection_type_missing")
			}
		})),
		fault("F-CN-03", "R-CN-2", "A connect whose connectionType is not that of the transport is refused.", everywhere(), onGood(metaConnect, func(u *unit, m *message) {
			if t := u.request(m).str("connectionType"); t != "" && t != u.on {
				m.fail("400::connection_type_invalid")
			}
		})),
		fault("F-CN-04", "R-CN-3", "The first connect of a session fails with 402.", everywhere(), always(hooks{in: func(u *unit) {
			if u.s != nil && u.s.connects == 1 && u.find(metaConnect) != nil {
				banish(u)
			}
		}})),
		fault("F-CN-05", "R-CN-1 R-MSG-4", "Connect replies carry the connectionType of the request.", everywhere(), onReplies(metaConnect, func(u *unit, m *message) {
			restore(u, m, "connectionType")
		})),
	}
}

func connectHolds() []Fault {
	return []Fault{
		fault("F-CN-06", "R-CN-4 R-CN-8 R-WS-13", "No connect is ever held.", everywhere(), hidden(func(_ *unit, m *message) { m.setMember("advice", "timeout", "0") })),
		fault("F-CN-07", "R-CN-12 R-CN-4", "A connect among other messages is held, and their replies with it.", overHTTP(), func(o Options) hooks {
			return hooks{in: func(u *unit) {
				if u.find(metaConnect) != nil && len(u.msgs) > 1 {
					u.x.wait = o.Timeout
				}
			}}
		}),
		fault("F-CN-08", "R-CN-5 R-CN-4 R-WS-13", "The first connect of a session is held.", everywhere(), func(o Options) hooks {
			return onGood(metaConnect, func(u *unit, _ *message) {
				if u.s != nil && u.s.replied == 1 {
					slow(u, o.Timeout)
				}
			})(o)
		}),
		fault("F-CN-09", "R-CN-13", "Of two connects in one array the second fails.", everywhere(), always(hooks{out: func(u *unit) {
			seen := false
			for _, m := range u.replies() {
				if m.channel() == metaConnect && m.ok() {
					if seen {
						m.fail("400::connect_twice")
					}
					seen = true
				}
			}
		}})),
		fault("F-CN-10", "R-CN-12", "A connect among other messages is refused.", everywhere(), onGood(metaConnect, func(u *unit, m *message) {
			if len(u.replies()) > 1 {
				m.fail("400::connect_not_alone")
			}
		})),
	}
}

// timeout returns the client's own timeout of a message.
func timeout(m *message) (time.Duration, bool) {
	n, ok := m.millis("timeout")
	return time.Duration(n) * time.Millisecond, ok
}

// holdFor has connects without a timeout of their own held for another time.
func holdFor(d func(Options) time.Duration) factory {
	return func(o Options) hooks {
		return hidden(func(_ *unit, m *message) {
			if t, ok := timeout(m); !ok || t < 0 {
				m.setMember("advice", "timeout", millis(d(o)))
			}
		})(o)
	}
}

func connectTimes() []Fault {
	return []Fault{
		fault("F-CN-11", "R-CN-6", "The client's own timeout is ignored unless it is 0.", everywhere(), hidden(func(_ *unit, m *message) {
			if t, ok := timeout(m); ok && t > 0 {
				m.delMember("advice", "timeout")
			}
		})),
		fault("F-CN-12", "R-CN-6", "The client's own timeout holds for its later connects, too.", everywhere(), hidden(func(u *unit, m *message) {
			if t, ok := timeout(m); ok && t > 0 {
				u.s.setNote("timeout", millis(t))
			} else if wish := u.s.note("timeout"); wish != "" && !ok {
				m.setMember("advice", "timeout", wish)
			}
		})),
		fault("F-CN-13", "R-CN-6", "A timeout of the client that is longer than the server's is cut to that.", everywhere(), func(o Options) hooks {
			return hidden(func(_ *unit, m *message) {
				if t, ok := timeout(m); ok && t > o.Timeout {
					m.setMember("advice", "timeout", millis(o.Timeout))
				}
			})(o)
		}),
		fault("F-CN-14", "R-CN-6", "The timeout -1 of a client means none.", everywhere(), hidden(func(_ *unit, m *message) {
			if t, ok := timeout(m); ok && t < 0 {
				m.setMember("advice", "timeout", "0")
			}
		})),
		fault("F-CN-15", "R-CN-7 R-CN-6", "The timeout 0 of a client is ignored: the connect is held.", everywhere(), hidden(func(_ *unit, m *message) {
			if t, ok := timeout(m); ok && t == 0 {
				m.delMember("advice", "timeout")
			}
		})),
		fault("F-CN-16", "R-CN-8 R-CN-6", "Connects are held for half the time.", everywhere(), holdFor(func(o Options) time.Duration { return o.Timeout / 2 })),
		fault("F-CN-17", "R-CN-8 R-CN-6", "Connects are held for twice the time.", everywhere(), holdFor(func(o Options) time.Duration { return 2 * o.Timeout })),
		fault("F-CN-18", "R-CN-6 R-CN-8", "Connects are held without end unless the client says how long.", everywhere(), holdFor(func(Options) time.Duration { return 5 * time.Minute })),
	}
}

// timedOut tells whether a unit answers a connect whose hold came to its end.
func timedOut(u *unit, o Options) bool {
	return u.s != nil && len(u.msgs) == 1 && u.find(metaConnect) != nil && u.msgs[0].ok() && time.Since(u.s.asked) >= o.Timeout/2
}

func connectExpires() []Fault {
	return []Fault{
		fault("F-CN-19", "R-CN-8 R-HT-6", "A hold that came to its end is answered with HTTP 408.", overHTTP(), func(o Options) hooks {
			return hooks{response: func(x *exchange) {
				if x.down != nil && timedOut(x.down, o) {
					x.status = http.StatusRequestTimeout
				}
			}}
		}),
		fault("F-CN-20", "R-CN-8 R-MSG-3", "A hold that came to its end is answered with nothing: an empty array, on a WebSocket not at all.", everywhere(), func(o Options) hooks {
			return hooks{out: func(u *unit) {
				if timedOut(u, o) {
					u.keep(func(*message) bool { return false })
				}
			}}
		}),
		fault("F-CN-21", "R-CN-8", "A hold that came to its end is answered as a failure.", everywhere(), func(o Options) hooks {
			return hooks{out: func(u *unit) {
				if timedOut(u, o) {
					u.msgs[0].fail("408::timeout")
				}
			}}
		}),
		fault("F-CN-22", "R-CN-8", "A hold that came to its end is answered with the advice to handshake.", everywhere(), func(o Options) hooks {
			return hooks{out: func(u *unit) {
				if timedOut(u, o) {
					u.msgs[0].set("advice", `{"reconnect":"handshake","interval":0}`)
				}
			}}
		}),
	}
}

func connectWakes() []Fault {
	pushed := func(u *unit) bool { return u.find(metaConnect) != nil && len(u.pushes()) > 0 && u.s != nil }
	return []Fault{
		fault("F-CN-23", "R-CN-9 R-CN-11", "Messages do not end a hold: they come when its time is over.", overHTTP(), func(o Options) hooks {
			return hooks{out: func(u *unit) {
				if pushed(u) && len(u.replies()) == 1 {
					slow(u, o.Timeout-time.Since(u.s.asked))
				}
			}}
		}),
		fault("F-CN-24", "R-CN-9", "Messages reach a client whose connect is held late, by half the time of a hold.", everywhere(), func(o Options) hooks {
			return hooks{out: func(u *unit) {
				if len(u.pushes()) > 0 && u.s.waits(u) {
					slow(u, o.Timeout/2)
				}
			}}
		}),
		fault("F-CN-25", "R-CN-9 R-CN-11", "A message ends the hold, but is delivered with the next connect only.", overHTTP(), func(Options) hooks {
			kept := map[*session][]*message{}
			return hooks{out: func(u *unit) {
				if u.s == nil || u.find(metaConnect) == nil {
					return
				}
				before := kept[u.s]
				kept[u.s] = u.pushes()
				u.msgs = append(slices.Clone(before), u.replies()...)
			}}
		}),
		fault("F-CN-26", "R-CN-10 R-CN-11", "Of several messages that are queued for a connect only the last is delivered.", overHTTP(), always(hooks{out: func(u *unit) {
			if pushes := u.pushes(); pushed(u) {
				last := pushes[len(pushes)-1]
				u.keep(func(m *message) bool { return m.reply() || m == last })
			}
		}})),
		fault("F-CN-27", "R-CN-10", "Of several messages that are queued for a connect only the first leaves with each.", overHTTP(), func(Options) hooks {
			kept := map[*session][]*message{}
			return hooks{out: func(u *unit) {
				if u.s == nil || u.find(metaConnect) == nil {
					return
				}
				all := append(slices.Clone(kept[u.s]), u.pushes()...)
				n := min(1, len(all))
				kept[u.s] = all[n:]
				u.msgs = append(all[:n:n], u.replies()...)
			}}
		}),
	}
}

// waits tells whether a connect of the session was held until the unit came.
func (s *session) waits(u *unit) bool {
	return s != nil && (s.holding() || u.find(metaConnect) != nil)
}

func connectIntervals() []Fault {
	wish := func(m *message) (int, bool) { return m.millis("interval") }
	return []Fault{
		fault("F-CN-28", "R-CN-14 R-AD-3", "The interval that a client asks for does not come back in the advice.", everywhere(), onGood(metaConnect, func(u *unit, m *message) {
			if n, ok := wish(u.request(m)); ok && n > 0 && m.has("advice") {
				m.setMember("advice", "interval", "0")
			}
		})),
		fault("F-CN-29", "R-CN-14 R-EX-2", "The interval that a client asks for comes back, but the session does not live longer for it.", everywhere(), both(func(_ *unit, m *message) {
			if n, ok := wish(m); ok && n > 0 && m.channel() == metaConnect {
				m.delMember("advice", "interval")
			}
		}, func(u *unit, m *message) {
			if n, ok := wish(u.request(m)); ok && n > 0 && m.channel() == metaConnect && m.ok() && m.has("advice") {
				m.setMember("advice", "interval", fmt.Sprint(n))
			}
		})),
		fault("F-CN-30", "R-CN-14", "The interval of a client stays in force for its later connects.", everywhere(), onGood(metaConnect, func(u *unit, m *message) {
			if n, ok := wish(u.request(m)); ok && n > 0 {
				u.s.setNote("interval", fmt.Sprint(n))
			} else if n := u.s.note("interval"); n != "" && m.has("advice") {
				m.setMember("advice", "interval", n)
			}
		})),
	}
}

// farewell edits the reply to a connect that a disconnect has ended.
func farewell(edit func(o Options, u *unit, m *message)) factory {
	return func(o Options) hooks {
		return onGood(metaConnect, func(u *unit, m *message) {
			if m.member("advice", "reconnect") == `"none"` && !strings.Contains(m.get("advice"), "multiple") {
				edit(o, u, m)
			}
		})(o)
	}
}

func connectDisconnects() []Fault {
	return []Fault{
		fault("F-CN-31", "R-CN-15 R-WS-22", "A disconnect does not end the held connect, which is answered at its time.", everywhere(), farewell(func(o Options, u *unit, _ *message) {
			if u.s != nil {
				slow(u, o.Timeout-time.Since(u.s.asked))
			}
		})),
		fault("F-CN-32", "R-CN-15 R-WS-22", "The connect that a disconnect ends fails with 402.", everywhere(), farewell(func(_ Options, _ *unit, m *message) { m.fail(unknownSession) })),
		fault("F-CN-33", "R-CN-15 R-AD-6", "The connect that a disconnect ends has no advice.", everywhere(), farewell(func(_ Options, _ *unit, m *message) { m.del("advice") })),
		fault("F-CN-34", "R-CN-15 R-AD-6", "The connect that a disconnect ends is told to retry.", everywhere(), farewell(func(o Options, _ *unit, m *message) { m.set("advice", full(o)) })),
		fault("F-CN-35", "R-CN-15", "The connect that a disconnect ends has the whole advice, with times.", everywhere(), farewell(func(o Options, _ *unit, m *message) {
			m.set("advice", strings.Replace(full(o), "retry", "none", 1))
		})),
		fault("F-CN-36", "R-CN-15 R-WS-22", "The connect that a disconnect ends is never answered: its connection ends, on a WebSocket nothing comes.", everywhere(), farewell(func(_ Options, u *unit, m *message) {
			u.keep(func(x *message) bool { return x != m })
			u.drop = len(u.msgs) == 0
		})),
		fault("F-CN-37", "R-CN-16", "When the server ends a session, no disconnect is pushed ahead of the reply to the held connect.", everywhere(), always(hooks{out: func(u *unit) {
			u.keep(func(m *message) bool { return m.channel() != metaDisconnect || m.reply() })
		}})).needs("a service that ends the session of its caller"),
		fault("F-CN-38", "R-CN-16", "The disconnect that the server pushes has an id.", everywhere(), onPushes(func(_ *unit, m *message) {
			if m.channel() == metaDisconnect {
				m.set("id", `"0"`)
			}
		})).needs("a service that ends the session of its caller"),
	}
}

func connectOthers() []Fault {
	return []Fault{
		fault("F-CN-39", "R-CN-18 R-EX-2", "The time until a session expires runs from the arrival of its connect, not from the answer.", everywhere(), func(o Options) hooks {
			return hooks{in: func(u *unit) {
				s := u.s
				if s == nil || s.replied < 2 {
					return
				}
				came := s.asked
				if u.find(metaConnect) != nil {
					came = s.previous
				}
				if s.answered.After(came) && time.Since(came) > o.MaxInterval+o.SweepPeriod {
					banish(u)
				}
			}}
		}),
		fault("F-CN-40", "R-CN-19 R-DL-2 R-DL-3", "A publish or subscribe ends the held connect of its own session, with nothing in it.", everywhere(), always(hooks{in: func(u *unit) {
			if u.s.holding() && u.find(metaConnect) == nil && u.find(metaDisconnect) == nil {
				u.p.release(u.s, func(h *hold) []*message { return []*message{connectReply(h.ask)} })
			}
		}})),
	}
}

// displaced tells whether the server has ended the exchange, a held connect,
// for a newer one.
func (x *exchange) displaced() bool {
	return x.status == http.StatusInternalServerError && x.up != nil && x.up.polls()
}

func connectDuplicates() []Fault {
	return []Fault{
		fault("F-CN-41", "R-CN-20", "The older of two connects is answered with HTTP 200 and a successful reply.", overHTTP(), onAnswers(func(x *exchange) {
			if x.displaced() {
				x.answerWith([]*message{connectReply(x.up.first[0])})
			}
		})),
		fault("F-CN-42", "R-CN-20", "The older of two connects ends with HTTP 408, which browsers repeat by themselves.", overHTTP(), onAnswers(func(x *exchange) {
			if x.displaced() {
				x.status = http.StatusRequestTimeout
			}
		})),
		fault("F-CN-43", "R-CN-20 R-WS-21", "The older of two connects is not ended by the newer one, on HTTP or on a WebSocket.", overHTTP(), func(o Options) hooks {
			return onAnswers(func(x *exchange) {
				if x.displaced() {
					x.wait = o.Timeout
				}
			})(o)
		}),
		fault("F-CN-44", "R-CN-20", "The newer of two connects ends with HTTP 500, and the older stays.", overHTTP(), always(hooks{in: func(u *unit) {
			if u.s != nil && len(u.s.held) > 1 {
				u.x.answer(http.StatusInternalServerError, "text/plain;charset=UTF-8", []byte("duplicate\n"))
			}
		}})),
		fault("F-CN-45", "R-CN-20", "The newer of two connects is held only for the rest of the older one's time.", overHTTP(), func(o Options) hooks {
			return hidden(func(u *unit, m *message) {
				if _, ok := timeout(m); !ok && u.s != nil && len(u.s.held) > 1 {
					m.setMember("advice", "timeout", millis(max(0, o.Timeout-u.s.asked.Sub(u.s.previous))))
				}
			})(o)
		}),
		fault("F-CN-46", "R-CN-20", "The newer of two connects is answered at once.", everywhere(), hidden(func(u *unit, m *message) {
			if u.s != nil && len(u.s.held) > 1 {
				m.setMember("advice", "timeout", "0")
			}
		})),
	}
}

// connectAborts are what becomes of a connect whose client goes away.
func connectAborts() []Fault {
	return []Fault{
		fault("F-CN-47", "R-CN-21 R-DL-10", "A held connect whose client has gone is not noticed, and a message written to it is lost.", overHTTP(), always(hooks{aborted: func(x *exchange) {
			x.keep = x.up != nil && x.up.polls()
		}})).tolerated(),
		fault("F-CN-48", "R-CN-22 R-CN-21 R-EX-1", "A session whose connect was cut while it was held never expires.", overHTTP(), always(hooks{aborted: func(x *exchange) {
			if x.up == nil || !x.up.polls() {
				return
			}
			x.keep = true
			r, body := x.r.Clone(context.WithoutCancel(x.r.Context())), x.body
			x.p.background(func(ctx context.Context) { x.p.goOn(ctx, r, body) })
		}})),
		fault("F-CN-49", "R-CN-25 R-HT-12", "On HTTP/2 a held connect is cut after half its time.", onlyLP(), always(hooks{in: func(u *unit) {
			if u.x.r.ProtoMajor == 2 && u.polls() {
				u.x.deadline = u.p.options.Timeout / 2
			}
		}})),
	}
}

// goOn repeats a request in the client's stead until the server refuses it.
func (p *proxy) goOn(ctx context.Context, r *http.Request, body []byte) {
	for p.pause(ctx, p.options.Timeout/4) {
		resp, err := p.send(ctx, r, body, nil)
		if err != nil {
			return
		}
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxText))
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || strings.Contains(string(text), unknownSession) {
			return
		}
	}
}
