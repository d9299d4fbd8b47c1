package faults

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// adviceFaults break advice: WIRE 4a.
func adviceFaults() []Fault { return slices.Concat(adviceWhen(), adviceContent()) }

func adviceWhen() []Fault {
	return []Fault{
		fault("F-AD-01", "R-AD-2 R-CN-5", "Every connect reply carries the full advice.", everywhere(), func(o Options) hooks {
			return onGood(metaConnect, func(_ *unit, m *message) {
				if !m.has("advice") {
					m.set("advice", full(o))
				}
			})(o)
		}),
		fault("F-AD-02", "R-AD-1", "A connect that carries advice gets none in its reply.", everywhere(), onGood(metaConnect, func(u *unit, m *message) {
			if strings.Contains(m.get("advice"), "retry") && u.request(m).has("advice") {
				m.del("advice")
			}
		})),
		fault("F-AD-03", "R-AD-1", "A connect with an empty advice object gets none in its reply.", everywhere(), onGood(metaConnect, func(u *unit, m *message) {
			if u.request(m).get("advice") == "{}" {
				m.del("advice")
			}
		})),
		fault("F-AD-04", "R-AD-1", "After a change of transport the first connect reply has no advice.", []string{LongPolling, WebSocket}, onGood(metaConnect, func(u *unit, m *message) {
			if !u.request(m).has("advice") && u.s != nil && u.s.moved {
				m.del("advice")
			}
		})),
	}
}

func adviceContent() []Fault {
	return []Fault{
		fault("F-AD-05", "R-AD-3", "The timeout in the advice is the one that the client has asked for.", everywhere(), onGood(metaConnect, func(u *unit, m *message) {
			if t, ok := timeout(u.request(m)); ok && t >= 0 && m.has("advice") {
				m.setMember("advice", "timeout", millis(t))
			}
		})),
		fault("F-AD-06", "R-AD-3 R-HS-7", "The timeout in each advice is twice the one that holds are made of.", everywhere(), func(o Options) hooks {
			return onGood(anything, func(_ *unit, m *message) {
				if m.member("advice", "timeout") == millis(o.Timeout) {
					m.setMember("advice", "timeout", millis(2*o.Timeout))
				}
			})(o)
		}),
		fault("F-AD-07", "R-AD-5", "Replies to subscribes, unsubscribes and publishes carry advice.", everywhere(), func(o Options) hooks {
			return onGood(anything, func(_ *unit, m *message) {
				if m.channel() != metaHandshake && m.channel() != metaConnect && m.channel() != metaDisconnect {
					m.set("advice", full(o))
				}
			})(o)
		}),
		fault("F-AD-08", "R-AD-6 R-AD-1", "The full advice of connect replies says reconnect handshake.", everywhere(), onGood(metaConnect, func(_ *unit, m *message) {
			if m.member("advice", "reconnect") == `"retry"` {
				m.setMember("advice", "reconnect", `"handshake"`)
			}
		})),
		fault("F-AD-09", "R-AD-8", "Advice has an object for each transport.", everywhere(), onGood(anything, func(_ *unit, m *message) {
			if m.has("advice") {
				m.setMember("advice", "websocket", `{"reconnect":"retry"}`)
				m.setMember("advice", "hosts", `[]`)
			}
		})),
		fault("F-AD-10", "R-AD-1", "The full advice of connect replies has no reconnect.", everywhere(), onGood(metaConnect, func(_ *unit, m *message) {
			if m.member("advice", "reconnect") == `"retry"` {
				m.delMember("advice", "reconnect")
			}
		})),
		fault("F-AD-11", "R-AD-5 R-DC-1", "The reply to a disconnect has the advice none.", everywhere(), onGood(metaDisconnect, put("advice", `{"reconnect":"none"}`))),
	}
}

const multiple = "multiple-clients"

// turnedAway edits replies to connects that another session of the browser has
// kept from being held.
func turnedAway(edit func(o Options, u *unit, m *message)) factory {
	return func(o Options) hooks {
		return onReplies(metaConnect, func(u *unit, m *message) {
			if strings.Contains(m.get("advice"), multiple) {
				edit(o, u, m)
			}
		})(o)
	}
}

// turnAway answers connects as if another session of the browser had one held.
func turnAway(when func(u *unit) bool) factory {
	return both(func(u *unit, m *message) {
		if m.channel() != metaConnect || u.s == nil || !when(u) {
			return
		}
		m.setMember("advice", "timeout", "0")
		u.s.setNote("away "+idText(m), "yes")
	}, func(u *unit, m *message) {
		if name := "away " + idText(m); m.reply() && m.channel() == metaConnect && u.s.note(name) != "" {
			delete(u.s.notes, name)
			m.set("advice", `{"`+multiple+`":true,"reconnect":"retry","interval":2000}`)
		}
	})
}

// othersHold tells whether another session for which f holds has a connect
// held.
func othersHold(u *unit, f func(s *session) bool) bool {
	for _, other := range u.p.sessions {
		if other != u.s && other.holding() && f(other) {
			return true
		}
	}
	return false
}

// browserFaults break what several sessions of one browser get: WIRE 4b.
func browserFaults() []Fault {
	return slices.Concat(browserLimits(), browserReplies())
}

func browserLimits() []Fault {
	return []Fault{
		fault("F-MC-01", "R-MC-1 R-MC-2", "All sessions of a browser have their connects held.", overHTTP(), option("maxSessionsPerBrowser", "-1")),
		fault("F-MC-02", "R-MC-1", "The limit of held connects holds for HTTP/2, too.", onlyLP(), option("http2MaxSessionsPerBrowser", "1")),
		fault("F-MC-03", "R-MC-1 R-CN-4", "No browser has a connect held, not even of one session.", overHTTP(), option("maxSessionsPerBrowser", "0")),
		fault("F-MC-04", "R-MC-2", "Further sessions of a browser are turned away for good.", overHTTP(), option("multiSessionInterval", "0")),
		fault("F-MC-05", "R-MC-4", "First connects and those with timeout 0 do not notice other sessions of the browser.", overHTTP(), turnedAway(func(o Options, u *unit, m *message) {
			if t, ok := timeout(u.request(m)); u.s != nil && u.s.replied <= 1 || ok && t == 0 {
				m.del("advice")
				if u.request(m).has("advice") {
					m.set("advice", full(o))
				}
			}
		})),
		fault("F-MC-06", "R-MC-5", "A session that was once turned away is so for ever.", overHTTP(), func(o Options) hooks {
			once := turnAway(func(u *unit) bool { return u.s.note("turned") != "" })(o)
			mark := turnedAway(func(_ Options, u *unit, _ *message) { u.s.setNote("turned", "yes") })(o)
			return hooks{in: once.in, out: func(u *unit) { once.out(u); mark.out(u) }}
		}),
		fault("F-MC-07", "R-MC-5", "A second connect of one and the same session counts as another session of the browser.", overHTTP(), turnAway(func(u *unit) bool { return len(u.s.held) > 1 })),
		fault("F-MC-08", "R-MC-7", "Connects over WebSockets that come with the same browser cookie are counted.", onlyWS(), turnAway(func(u *unit) bool {
			return u.s.cookie != "" && othersHold(u, func(s *session) bool { return s.cookie == u.s.cookie })
		})),
		fault("F-MC-09", "R-MC-8", "All clients count as one browser, whatever their cookies.", overHTTP(), turnAway(func(u *unit) bool {
			return othersHold(u, func(s *session) bool { return s.cookie != u.s.cookie })
		})),
	}
}

func browserReplies() []Fault {
	return []Fault{
		fault("F-MC-10", "R-MC-2", "The reply to a further session of a browser does not have multiple-clients.", overHTTP(), turnedAway(func(_ Options, _ *unit, m *message) { m.delMember("advice", multiple) })),
		fault("F-MC-11", "R-MC-2", "A further session of a browser is told no interval to wait.", overHTTP(), turnedAway(func(_ Options, _ *unit, m *message) { m.setMember("advice", "interval", "0") })),
		fault("F-MC-12", "R-MC-2 R-AD-6", "A further session of a browser is told to handshake.", overHTTP(), turnedAway(func(_ Options, _ *unit, m *message) {
			m.setMember("advice", "reconnect", `"handshake"`)
		})),
		fault("F-MC-13", "R-MC-2", "The connect of a further session of a browser fails.", overHTTP(), turnedAway(func(_ Options, _ *unit, m *message) { m.set("successful", "false") })),
		fault("F-MC-14", "R-MC-6", "The interval for further sessions of a browser prolongs their lives.", overHTTP(), func(o Options) hooks {
			return hooks{config: func(c *server.Config) {
				c.Extensions = append(c.Extensions, bayeux.Funcs{Out: func(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
					if t, ok := to.(bayeux.Timing); ok && strings.Contains(string(m.Advice), multiple) {
						t.SetMaxInterval(o.MaxInterval + 2*time.Second)
					}
					return nil
				}})
			}}
		}),
	}
}
