package faults

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// ackFaults break the acknowledged-messages extension: WIRE 9a.
func ackFaults() []Fault {
	return slices.Concat(ackAsking(), ackNumbers(), ackForgetting(), ackResending(), ackCarriers())
}

// everything is a number of a batch that is higher than any.
const everything = 1 << 40

// ackOf returns the number of a message's ext.ack.
func ackOf(m *message) (int, bool) {
	n, err := strconv.Atoi(m.member("ext", "ack"))
	return n, err == nil
}

func setAck(m *message, n int) { m.setMember("ext", "ack", strconv.Itoa(n)) }

// renumbered changes the numbers on their way out, and back on their way in.
func renumbered(out, in func(n int) int) factory {
	return both(func(_ *unit, m *message) {
		if n, ok := ackOf(m); ok && m.channel() == metaConnect {
			setAck(m, in(n))
		}
	}, func(_ *unit, m *message) {
		if n, ok := ackOf(m); ok && m.reply() && m.channel() == metaConnect {
			setAck(m, out(n))
		}
	})
}

func ackAsking() []Fault {
	enable := func(when func(m *message) bool) factory {
		return onRequests(metaHandshake, func(_ *unit, m *message) {
			if when(m) {
				m.setMember("ext", "ack", "true")
			}
		})
	}
	return []Fault{
		fault("F-ACK-01", "R-ACK-1", "Everything but false, null and nothing turns acknowledging on: \"true\", 1, {}.", everywhere(), enable(func(m *message) bool {
			v := m.member("ext", "ack")
			return v != "" && v != "false" && v != "null" && v != "true"
		})),
		fault("F-ACK-02", "R-ACK-1 R-ACK-2", "Acknowledging is on for all sessions, whether they ask for it or not.", everywhere(), enable(func(m *message) bool { return m.member("ext", "ack") == "" })),
		fault("F-ACK-03", "R-ACK-1", "The handshake reply does not say that acknowledging is on.", everywhere(), onGood(metaHandshake, func(_ *unit, m *message) { m.delMember("ext", "ack") })),
		fault("F-ACK-04", "R-ACK-1", "The handshake reply says that acknowledging is on, but it is not.", everywhere(), both(func(_ *unit, m *message) {
			if m.channel() == metaHandshake {
				m.delMember("ext", "ack")
			}
		}, func(u *unit, m *message) {
			if m.channel() == metaHandshake && u.request(m).member("ext", "ack") == "true" {
				m.set("ext", `{"ack":true}`)
			}
		})),
		fault("F-ACK-05", "R-ACK-2 R-ACK-10 R-DL-4", "Acknowledging does not keep messages from leaving with the response to a publish.", everywhere(), early(func(s *session) bool { return s.note("acks") != "" }).withAsking()),
	}
}

// uncounted shows numbers that grow with messages only, and takes them back.
func uncounted(Options) hooks {
	type count struct {
		shown int
		sent  map[int]int // the server's number for each that was shown
	}
	counts := map[*session]*count{}
	in := func(u *unit, m *message) {
		n, ok := ackOf(m)
		if c := counts[u.s]; ok && c != nil && m.channel() == metaConnect && c.sent[n] != 0 {
			setAck(m, c.sent[n])
		}
	}
	out := func(u *unit, m *message) {
		n, ok := ackOf(m)
		if !ok || u.s == nil || !m.reply() || m.channel() != metaConnect {
			return
		}
		c := counts[u.s]
		if c == nil {
			c = &count{sent: map[int]int{}}
			counts[u.s] = c
		}
		if len(u.pushes()) > 0 || c.shown == 0 {
			c.shown++
		}
		c.sent[c.shown] = n
		setAck(m, c.shown)
	}
	return both(in, out)(Options{})
}

// bequeathed gives a new session what the one before has not acknowledged.
func bequeathed(Options) hooks {
	sent := map[*session][]*message{}
	return hooks{
		in: func(u *unit) {
			if m := u.find(metaConnect); m != nil && u.s != nil {
				if n, ok := ackOf(m); ok && n >= u.s.replied {
					delete(sent, u.s)
				}
			}
		},
		out: func(u *unit) {
			m := u.find(metaConnect)
			if m == nil || u.s == nil || !m.ok() {
				return
			}
			if old := former(u, u.s); old != nil && old.over && u.s.replied == 1 {
				u.msgs = append(slices.Clone(sent[old]), u.msgs...)
			}
			sent[u.s] = append(sent[u.s], u.pushes()...)
		},
	}
}

func ackNumbers() []Fault {
	return []Fault{
		fault("F-ACK-06", "R-ACK-3", "The numbers of connect replies begin with 0.", everywhere(), renumbered(func(n int) int { return n - 1 }, func(n int) int { return n + 1 })),
		fault("F-ACK-07", "R-ACK-3", "The number 2 is left out.", everywhere(), renumbered(func(n int) int {
			if n > 1 {
				n++
			}
			return n
		}, func(n int) int {
			if n > 1 {
				n--
			}
			return n
		})),
		fault("F-ACK-08", "R-ACK-3", "The number does not grow with connect replies that have no messages.", everywhere(), uncounted),
		fault("F-ACK-09", "R-ACK-3", "Connect replies without messages have no number.", everywhere(), onReplies(metaConnect, func(u *unit, m *message) {
			if len(u.pushes()) == 0 {
				m.delMember("ext", "ack")
			}
		})),
		fault("F-ACK-10", "R-ACK-3", "The numbers are strings.", everywhere(), onReplies(metaConnect, func(_ *unit, m *message) {
			if n, ok := ackOf(m); ok {
				m.setMember("ext", "ack", quote(strconv.Itoa(n)))
			}
		})),
		fault("F-ACK-11", "R-ACK-3 R-ACK-10", "Replies to publishes have a number, too.", everywhere(), onReplies(published, func(u *unit, m *message) {
			if u.s.note("acks") != "" {
				setAck(m, u.s.replied)
			}
		}).withAsking()),
	}
}

// withAsking notes the sessions that have asked for acknowledging.
func (f factory) withAsking() factory {
	return func(o Options) hooks {
		h := f(o)
		out := h.out
		h.out = func(u *unit) {
			if m := u.find(metaHandshake); m != nil && m.ok() && m.member("ext", "ack") != "" {
				u.s.setNote("acks", "yes")
			}
			if out != nil {
				out(u)
			}
		}
		return h
	}
}

// onAcks changes the number that comes with a connect.
func onAcks(f func(u *unit, n int) int) factory {
	return onRequests(metaConnect, func(u *unit, m *message) {
		if n, ok := ackOf(m); ok && u.s != nil {
			if to := f(u, n); to != n {
				setAck(m, to)
			}
		}
	})
}

func ackForgetting() []Fault {
	return []Fault{
		fault("F-ACK-12", "R-ACK-4", "The number 0 or below acknowledges everything.", everywhere(), onAcks(func(_ *unit, n int) int {
			if n <= 0 {
				return everything
			}
			return n
		})),
		fault("F-ACK-13", "R-ACK-5 R-ACK-6", "Messages of the batch whose number is acknowledged are sent again.", everywhere(), onAcks(func(_ *unit, n int) int { return n - 1 })),
		fault("F-ACK-14", "R-ACK-6 R-ACK-9 R-ACK-14", "What was sent is never sent again.", everywhere(), onRequests(metaConnect, func(u *unit, m *message) {
			if u.s.note("acks") != "" {
				setAck(m, everything)
			}
		}).withAsking()),
		fault("F-ACK-15", "R-ACK-8", "A number that is higher than any sent acknowledges nothing.", everywhere(), onAcks(func(u *unit, n int) int {
			if n > u.s.replied {
				return -1
			}
			return n
		})),
		fault("F-ACK-16", "R-ACK-8", "A connect with an ack that is no number fails.", everywhere(), onReplies(metaConnect, func(u *unit, m *message) {
			if v := u.request(m).member("ext", "ack"); v != "" && v[0] == '"' {
				m.fail("400::ack_invalid")
			}
		})),
		fault("F-ACK-17", "R-ACK-9", "A connect without ack acknowledges everything.", everywhere(), onRequests(metaConnect, func(u *unit, m *message) {
			if _, ok := ackOf(m); !ok && u.s.note("acks") != "" {
				setAck(m, everything)
			}
		}).withAsking()),
		fault("F-ACK-18", "R-ACK-13", "A new session of the same browser or WebSocket gets what the ended one has not acknowledged.", everywhere(), bequeathed),
	}
}

// resent tells whether a connect was answered at once for messages that the
// client has missed.
func resent(u *unit, m *message) bool {
	_, asked := ackOf(u.request(m))
	return asked && m.ok() && len(u.pushes()) > 0 && !u.request(m).has("advice") && m.has("advice")
}

func ackResending() []Fault {
	return []Fault{
		fault("F-ACK-19", "R-ACK-6", "What is sent again comes behind what is new.", everywhere(), always(hooks{out: func(u *unit) {
			m := u.find(metaConnect)
			if pushes := u.pushes(); m != nil && m.ok() && len(pushes) > 1 && m.member("ext", "ack") != "" {
				u.msgs = append(append(slices.Clone(pushes[1:]), pushes[0]), u.replies()...)
			}
		}})),
		fault("F-ACK-20", "R-ACK-7", "A connect that shows that messages were missed is held.", everywhere(), func(o Options) hooks {
			return onReplies(metaConnect, func(u *unit, m *message) {
				if resent(u, m) {
					slow(u, o.Timeout)
				}
			})(o)
		}),
		fault("F-ACK-21", "R-ACK-7", "A connect that shows that messages were missed gets no advice.", everywhere(), onReplies(metaConnect, func(u *unit, m *message) {
			if resent(u, m) {
				m.del("advice")
			}
		})),
		fault("F-ACK-22", "R-ACK-12", "A connect whose id the session has used before gets no messages.", everywhere(), func(Options) hooks {
			used := map[string]bool{}
			return hooks{out: func(u *unit) {
				m := u.find(metaConnect)
				if m == nil || u.s == nil || m.member("ext", "ack") == "" {
					return
				}
				key := u.s.id + " " + idText(m)
				if used[key] {
					u.keep((*message).reply)
				}
				used[key] = true
			}}
		}),
		fault("F-ACK-23", "R-ACK-6", "Of what is sent again only the last batch comes.", everywhere(), onAcks(func(u *unit, n int) int { return max(n, u.s.replied-1) })),
	}
}

func ackCarriers() []Fault {
	return []Fault{
		fault("F-ACK-24", "R-ACK-11 R-WS-18", "What was not acknowledged is lost with the WebSocket.", onlyWS(), always(hooks{in: func(u *unit) {
			first := u.l.notes["greeted"] == ""
			u.l.notes["greeted"] = "yes"
			m := u.find(metaConnect)
			if first && m != nil && m.member("ext", "ack") != "" && u.s != nil && u.s.replied > 0 {
				setAck(m, everything)
			}
		}})),
		fault("F-ACK-25", "R-ACK-11 R-WS-15", "On a WebSocket the connect reply comes ahead of the messages that it counts.", onlyWS(), always(hooks{out: func(u *unit) {
			if m := u.find(metaConnect); m != nil && m.member("ext", "ack") != "" && len(u.pushes()) > 0 {
				u.parts = [][]*message{u.replies(), u.pushes()}
			}
		}})),
		fault("F-ACK-26", "R-ACK-15 R-ACK-6", "Messages that were written to a client that had gone are taken for acknowledged.", overHTTP(), always(hooks{
			aborted: func(x *exchange) {
				if x.up != nil && x.up.polls() && x.up.s != nil {
					x.keep = true
					x.up.s.setNote("cut", fmt.Sprint(time.Now().UnixMilli()))
				}
			},
			in: func(u *unit) {
				if m := u.find(metaConnect); m != nil && u.s.note("cut") != "" && m.member("ext", "ack") != "" {
					u.s.setNote("cut", "")
					setAck(m, everything)
				}
			},
		})),
	}
}
