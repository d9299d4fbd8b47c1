package faults

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// expiryFaults break the ends of sessions, by time and by disconnect: WIRE 4c
// and 4d.
func expiryFaults() []Fault {
	return slices.Concat(expiryTimes(), expiryMessages(), expiryAfter(), disconnectFaults(), disconnectAfter())
}

// ended has a session be unknown from now on.
func ended(s *session) { s.setNote("ended", "yes") }

// buried banishes the units of sessions that ended as a hook wanted, and has
// f judge the others.
func buried(f func(o Options, u *unit)) factory {
	return func(o Options) hooks {
		return hooks{in: func(u *unit) {
			if u.s == nil || u.find(metaHandshake) != nil {
				return
			}
			if f(o, u); u.s.note("ended") != "" {
				banish(u)
			}
		}}
	}
}

func expiryTimes() []Fault {
	return []Fault{
		fault("F-EX-01", "R-EX-1 R-EX-2", "Sessions expire after a quarter of their time.", everywhere(), func(o Options) hooks {
			return option("maxInterval", millis(o.MaxInterval/4))(o)
		}),
		fault("F-EX-02", "R-EX-1", "Sessions live eight times as long as they should.", everywhere(), func(o Options) hooks {
			return option("maxInterval", millis(8*o.MaxInterval))(o)
		}),
		fault("F-EX-03", "R-EX-1", "Expired sessions are removed late, ten sweeps after their time.", everywhere(), func(o Options) hooks {
			return option("maxInterval", millis(o.MaxInterval+10*o.SweepPeriod))(o)
		}),
		fault("F-EX-04", "R-EX-2 R-CN-6", "A session expires while its connect is held: a long hold ends with 402.", everywhere(), func(o Options) hooks {
			h := buried(func(Options, *unit) {})(o)
			h.out = func(u *unit) {
				if m := u.find(metaConnect); m != nil && m.ok() && u.s != nil && time.Since(u.s.asked) > o.MaxInterval+o.SweepPeriod {
					m.fail(unknownSession)
					m.set("advice", `{"reconnect":"handshake","interval":0}`)
					ended(u.s)
				}
			}
			return h
		}),
	}
}

// spell is how long a session lives without a sign, as its client knows.
func spell(o Options, s *session) time.Duration {
	n, _ := strconv.Atoi(s.note("wish"))
	return time.Duration(n)*time.Millisecond + o.MaxInterval + o.SweepPeriod
}

// wished remembers the interval that a client has asked for.
func wished(u *unit) {
	if m := u.find(metaConnect); m != nil {
		n, _ := m.millis("interval")
		u.s.setNote("wish", fmt.Sprint(n))
		u.s.setNote("cut", "")
	}
}

func expiryMessages() []Fault {
	return []Fault{
		fault("F-EX-05", "R-EX-3", "Only connects keep a session alive, other messages do not.", everywhere(), buried(func(o Options, u *unit) {
			last := u.s.answered
			if last.IsZero() {
				last = u.s.begun
			}
			busy := len(u.s.held) > 1 || len(u.s.held) == 1 && u.find(metaConnect) == nil
			if !busy && time.Since(last) > spell(o, u.s) {
				ended(u.s)
			}
			wished(u)
		})),
		fault("F-EX-06", "R-EX-3 R-CN-14", "A message of a client that has asked for a long interval shortens its life to maxInterval.", everywhere(), buried(func(o Options, u *unit) {
			if cut, err := strconv.ParseInt(u.s.note("cut"), 10, 64); err == nil && time.Since(time.UnixMilli(cut)) > o.MaxInterval+o.SweepPeriod {
				ended(u.s)
			}
			if u.find(metaConnect) == nil && !u.s.holding() {
				u.s.setNote("cut", strconv.FormatInt(time.Now().UnixMilli(), 10))
			}
			wished(u)
		})).tolerated(),
	}
}

// heirs subscribes new sessions to what the ones before were subscribed to.
func heirs(Options) hooks {
	left := map[*session][]string{}
	return hooks{
		out: func(u *unit) {
			if m := u.find(metaHandshake); m == nil || !m.ok() {
				return
			}
			if old := former(u, u.s); old != nil && old.over {
				left[u.s] = old.subs
			}
		},
		in: func(u *unit) {
			if u.find(metaHandshake) != nil {
				return
			}
			for _, sub := range left[u.s] {
				m := made(`{"channel":"/meta/subscribe"}`)
				m.setStr("subscription", sub)
				u.insert(m)
			}
			delete(left, u.s)
		},
	}
}

func expiryAfter() []Fault {
	lost := func(u *unit) bool { return u.s != nil && !u.s.left && u.s.replied > 0 }
	return []Fault{
		fault("F-EX-07", "R-EX-4", "A WebSocket is closed when a message of its expired session comes.", onlyWS(), onError(unknownSession, func(u *unit, _ *message) {
			if lost(u) {
				u.drop, u.closing = true, ws.StatusNormalClosure
			}
		})),
		fault("F-EX-08", "R-ERR-1 R-EX-1", "Messages of an expired session seem to succeed.", everywhere(), pretend(func(u *unit, ask *message) bool {
			s := u.p.know(ask.str("clientId"))
			return s != nil && !s.left && s.home == u.on
		})),
		fault("F-EX-09", "R-EX-5 R-SB-15", "A new session of the same browser or WebSocket has the subscriptions of the one that has ended.", everywhere(), heirs),
	}
}

// nowhere is a channel that nobody uses.
const nowhere = "/fault/nowhere"

// mockDisconnect answers a disconnect that comes alone; the server does not
// see it.
func mockDisconnect(u *unit) {
	m := u.find(metaDisconnect)
	if m == nil || u.s == nil || u.s.over || len(u.msgs) > 1 {
		return
	}
	reply := made(`{"channel":"/meta/disconnect"}`)
	if m.has("id") {
		reply.setStr("id", idText(m))
	}
	reply.set("successful", "true")
	if u.x != nil {
		u.x.answerWith([]*message{reply})
		return
	}
	u.drop = true
	u.l.sendDown([]*message{reply})
}

func disconnectFaults() []Fault {
	return []Fault{
		fault("F-DC-01", "R-DC-1", "A disconnect before the first connect fails.", everywhere(), onGood(metaDisconnect, func(u *unit, m *message) {
			if u.s != nil && u.s.connects == 0 {
				m.fail("403::not_connected")
			}
		})),
		fault("F-DC-02", "R-DC-1 R-MSG-3", "A disconnect is not answered.", everywhere(), always(hooks{out: func(u *unit) {
			u.keep(func(m *message) bool { return m.channel() != metaDisconnect || !m.reply() })
		}})),
		fault("F-DC-03", "R-DC-1 R-CN-3", "A disconnect is answered, but the session goes on.", everywhere(), always(hooks{in: mockDisconnect})),
		fault("F-DC-04", "R-DC-2", "Messages that are queued when a session disconnects are lost.", onlyLP(), always(hooks{out: func(u *unit) {
			if m := u.find(metaDisconnect); m != nil && m.ok() {
				u.keep((*message).reply)
			}
		}})),
		fault("F-DC-05", "R-DC-3 R-ERR-4", "Messages behind a disconnect in one batch seem to succeed.", everywhere(), pretend(func(u *unit, _ *message) bool {
			m := u.find(metaDisconnect)
			return m != nil && m.ok()
		})),
		fault("F-DC-06", "R-DC-3 R-PB-1", "Publishes ahead of a disconnect in one batch are answered, but not carried out.", everywhere(), both(func(u *unit, m *message) {
			if about(published, m) && u.find(metaDisconnect) != nil {
				m.setStr("channel", nowhere)
			}
		}, func(u *unit, m *message) {
			if m.reply() && m.channel() == nowhere {
				restore(u, m, "channel")
			}
		})),
	}
}

func disconnectAfter() []Fault {
	return []Fault{
		fault("F-DC-07", "R-DC-4 R-WS-22", "The server closes the WebSocket behind the reply to a disconnect.", onlyWS(), onGood(metaDisconnect, func(u *unit, _ *message) {
			u.closing = ws.StatusNormalClosure
		})),
		fault("F-DC-08", "R-DC-4 R-WS-23", "A second handshake over a WebSocket fails.", onlyWS(), onGood(metaHandshake, func(u *unit, m *message) {
			if former(u, u.s) != nil {
				refuseHandshake(m, "403::handshake_failed")
			}
		})),
		fault("F-DC-09", "R-DL-9 R-EX-5", "After a disconnect a WebSocket still gets the messages of its session's channels.", onlyWS(), always(hooks{in: func(u *unit) {
			for _, m := range u.msgs {
				if !about(published, m) || !u.s.alive() {
					continue
				}
				for _, s := range u.p.sessions {
					if s.left && s.l != nil && s.l.s == s && s.covers(m.channel()) > 0 {
						copied := m.clone()
						copied.del("id", "clientId")
						copied.changed = true
						s.l.sendDown([]*message{copied})
					}
				}
			}
		}})),
	}
}
