package faults

import (
	"net/http"
	"slices"
	"strings"
)

// identityFaults break how sessions are found, and what unknown ones get:
// WIRE 3.
func identityFaults() []Fault {
	return slices.Concat(identityLookup(), identityCookies(), identityMoves(), identityUnknown(), identityErrors())
}

// guess fills in the clientIds that are missing.
func guess(u *unit) {
	s := u.s
	if s == nil && u.x != nil {
		s = u.p.sessionOf(cookieOf(u.x.r))
	}
	for _, m := range u.msgs {
		if s != nil && !m.has("clientId") && m.channel() != metaHandshake {
			m.setStr("clientId", s.id)
		}
	}
}

// sessionOf returns a live session of the browser with that cookie.
func (p *proxy) sessionOf(cookie string) *session {
	for _, s := range p.sessions {
		if cookie != "" && s.cookie == cookie && s.alive() {
			return s
		}
	}
	return nil
}

func identityLookup() []Fault {
	return []Fault{
		fault("F-ID-01", "R-ID-1", "Further messages of a batch may name other sessions; they count as the first's.", everywhere(), always(hooks{in: func(u *unit) {
			for _, m := range u.msgs[min(1, len(u.msgs)):] {
				if u.p.know(u.msgs[0].str("clientId")) != nil && m.has("clientId") {
					m.set("clientId", u.msgs[0].get("clientId"))
				}
			}
		}})),
		fault("F-ID-02", "R-ID-1", "After a first message of an unknown session the others of a batch succeed if theirs is known.", everywhere(), pretend(func(u *unit, ask *message) bool {
			return u.p.know(ask.str("clientId")).alive() && len(u.msgs) > 1
		})),
		fault("F-ID-03", "R-ID-2", "A message without clientId counts as one of the session that the browser or the WebSocket has.", everywhere(), always(hooks{in: guess})),
		fault("F-ID-04", "R-ID-5 R-WS-23", "A WebSocket takes messages that name another session; they count as its own's.", onlyWS(), always(hooks{in: func(u *unit) {
			for _, m := range u.msgs {
				if u.l.s != nil && m.has("clientId") && u.p.know(m.str("clientId")) != nil {
					m.setStr("clientId", u.l.s.id)
				}
			}
		}})),
	}
}

// withCookie lets a request in with the cookie of its session.
func withCookie(when func(x *exchange) bool) factory {
	return always(hooks{in: func(u *unit) {
		if u.x != nil && u.s != nil && u.s.cookie != "" && when(u.x) {
			u.x.r.Header.Set("Cookie", cookieName+"="+u.s.cookie)
		}
	}})
}

func identityCookies() []Fault {
	count := func(x *exchange) int {
		return len(slices.DeleteFunc(x.r.Cookies(), func(c *http.Cookie) bool { return c.Name != cookieName }))
	}
	return []Fault{
		fault("F-ID-05", "R-ID-3", "A session is served with the cookie of another browser.", overHTTP(), withCookie(func(x *exchange) bool { return count(x) == 1 })),
		fault("F-ID-06", "R-ID-3 R-ID-4", "A session is served without the browser cookie.", overHTTP(), withCookie(func(x *exchange) bool { return count(x) == 0 })),
		fault("F-ID-07", "R-ID-3", "Of two browser cookies any may be the right one.", overHTTP(), withCookie(func(x *exchange) bool { return count(x) > 1 })),
		fault("F-ID-08", "R-ID-3", "With another cookie in front of the browser's a session is unknown.", overHTTP(), always(hooks{in: func(u *unit) {
			if u.x != nil && u.s != nil && len(u.x.r.Cookies()) > 1 && u.x.r.Cookies()[0].Name != cookieName {
				banish(u)
			}
		}})),
	}
}

func identityMoves() []Fault {
	return []Fault{
		fault("F-ID-09", "R-ID-5 R-ID-6", "Each WebSocket needs a handshake of its own.", onlyWS(), option("ws.requireHandshakePerConnection", "true")),
		fault("F-ID-10", "R-ID-7 R-WS-21", "A session of long-polling cannot go on over a WebSocket: 402.", onlyWS(), always(hooks{in: func(u *unit) {
			if u.s != nil && u.s.home != WebSocket {
				banish(u)
			}
		}})),
		fault("F-ID-11", "R-ID-7", "A session of a WebSocket seems to go on over long-polling, without a cookie.", onlyLP(), pretend(func(u *unit, ask *message) bool {
			s := u.p.know(ask.str("clientId"))
			return s != nil && !s.left && s.home == WebSocket
		})),
		fault("F-ID-12", "R-JP-5", "A session of long-polling seems to go on over callback-polling, and the other way round.", overHTTP(), pretend(func(u *unit, ask *message) bool {
			s := u.p.know(ask.str("clientId"))
			return s != nil && !s.left && s.home != WebSocket && s.home != u.on
		})),
	}
}

// unknown edits failed replies that say the session is unknown, on a channel.
func unknown(channel string, edit func(u *unit, m *message)) factory {
	return onError(unknownSession, func(u *unit, m *message) {
		if about(channel, m) {
			edit(u, m)
		}
	})
}

func identityUnknown() []Fault {
	return []Fault{
		fault("F-ERR-01", "R-ERR-1 R-HT-6 R-HT-10", "Messages of an unknown session are answered with HTTP 401 instead of 200.", overHTTP(), onAnswers(func(x *exchange) {
			if x.down != nil && strings.Contains(string(x.text), unknownSession) {
				x.status = http.StatusUnauthorized
			}
		})),
		fault("F-ERR-02", "R-ERR-1 R-MSG-4", "Replies to an unknown session have no error.", everywhere(), unknown(anything, drop("error"))),
		fault("F-ERR-03", "R-ERR-1 R-MSG-14", "The code for an unknown session is 404.", everywhere(), unknown(anything, put("error", `"404::session_unknown"`))),
		fault("F-ERR-04", "R-ERR-2 R-AD-6", "A connect of an unknown session gets no advice.", everywhere(), unknown(metaConnect, drop("advice"))),
		fault("F-ERR-05", "R-ERR-2 R-AD-5", "Subscribes, unsubscribes and publishes of an unknown session get the advice to handshake.", everywhere(), unknown(anything, func(_ *unit, m *message) {
			if m.channel() != metaConnect && m.channel() != metaDisconnect {
				m.set("advice", `{"reconnect":"handshake","interval":0}`)
			}
		})),
		fault("F-ERR-06", "R-ERR-2 R-AD-6", "A connect of an unknown session is told to retry.", everywhere(), unknown(metaConnect, putAdvice("reconnect", `"retry"`))),
		fault("F-ERR-07", "R-ERR-2 R-AD-6", "A connect of an unknown session is told none, so that the client gives up.", everywhere(), unknown(metaConnect, func(u *unit, m *message) {
			if u.p.know(u.request(m).str("clientId")) == nil {
				m.setMember("advice", "reconnect", `"none"`)
			}
		})),
		fault("F-ERR-08", "R-ERR-2", "The advice for an unknown session has no interval.", everywhere(), unknown(metaConnect, dropAdvice("interval"))),
		fault("F-ERR-09", "R-ERR-2", "The advice for an unknown session has the timeout, too.", everywhere(), func(o Options) hooks {
			return unknown(metaConnect, putAdvice("timeout", millis(o.Timeout)))(o)
		}),
	}
}

func identityErrors() []Fault {
	return []Fault{
		fault("F-ERR-10", "R-ERR-3", "The disconnect of an unknown session succeeds.", everywhere(), unknown(metaDisconnect, func(_ *unit, m *message) { m.succeed() })),
		fault("F-ERR-11", "R-ERR-3", "The disconnect of an unknown session gets the advice to handshake.", everywhere(), unknown(metaDisconnect, put("advice", `{"reconnect":"handshake","interval":0}`))),
		fault("F-ERR-12", "R-ERR-4 R-DC-3", "A connect behind a disconnect in one batch is told to handshake, not none.", everywhere(), unknown(metaConnect, putAdvice("reconnect", `"handshake"`))),
		fault("F-ERR-13", "R-ERR-5 R-AD-6", "A session that has expired is told none instead of handshake.", everywhere(), unknown(metaConnect, func(u *unit, m *message) {
			if s := u.p.know(u.request(m).str("clientId")); s != nil && !s.left {
				m.setMember("advice", "reconnect", `"none"`)
			}
		})),
		fault("F-ERR-14", "R-ERR-4", "The next connect after a disconnect is told none instead of handshake.", everywhere(), unknown(metaConnect, func(u *unit, m *message) {
			if s := u.p.know(u.request(m).str("clientId")); s != nil && s.left && len(u.replies()) == 1 {
				m.setMember("advice", "reconnect", `"none"`)
			}
		})),
		fault("F-ERR-15", "R-ERR-1 R-MSG-3", "Messages of an unknown session are not answered.", everywhere(), always(hooks{out: func(u *unit) {
			u.keep(func(m *message) bool { return m.str("error") != unknownSession })
		}})),
		fault("F-ERR-16", "R-ERR-1 R-ERR-6", "The text for an unknown session is that of CometD 3.", everywhere(), unknown(anything, put("error", `"402::Unknown client"`))).tolerated(),
	}
}
