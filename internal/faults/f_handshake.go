package faults

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// handshakeFaults break the handshake: WIRE 2.
func handshakeFaults() []Fault {
	return slices.Concat(handshakeReply(), handshakeRequest(), handshakeAdvice(), handshakeSessions(), handshakeDenied(),
		handshakeIDs(), handshakeCookies(), handshakeAttributes(), handshakeAfter())
}

func handshakeReply() []Fault {
	return []Fault{
		fault("F-HS-01", "R-HS-1", "The handshake reply has no version.", everywhere(), onGood(metaHandshake, drop("version"))),
		fault("F-HS-02", "R-HS-1 R-HS-3", "The version in the handshake reply is 1.1.", everywhere(), onGood(metaHandshake, put("version", `"1.1"`))),
		fault("F-HS-03", "R-HS-1", "The handshake reply has no minimumVersion.", everywhere(), onGood(metaHandshake, drop("minimumVersion"))),
		fault("F-HS-04", "R-HS-1 R-HS-4", "The handshake reply has no supportedConnectionTypes.", everywhere(), onGood(metaHandshake, drop("supportedConnectionTypes"))),
		fault("F-HS-05", "R-HS-1", "The handshake reply has no clientId.", everywhere(), onGood(metaHandshake, drop("clientId"))),
		fault("F-HS-06", "R-HS-1", "The handshake reply has authSuccessful, which is of an older draft.", everywhere(), onGood(metaHandshake, put("authSuccessful", "true"))),
		fault("F-HS-07", "R-HS-5", "The connection types come in another order.", everywhere(), onGood(metaHandshake, put("supportedConnectionTypes", `["callback-polling","long-polling","websocket"]`))),
		fault("F-HS-08", "R-HS-5", "Only the connection type of the handshake itself is listed.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			m.set("supportedConnectionTypes", "["+quote(u.on)+"]")
		})),
		fault("F-HS-09", "R-HS-5", "The connection types are a string with commas.", everywhere(), onGood(metaHandshake, put("supportedConnectionTypes", `"websocket,long-polling,callback-polling"`))),
		fault("F-HS-56", "R-HS-7 R-HS-2", "The advice that a handshake asks for comes back as the server's.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			if t, ok := timeout(u.request(m)); ok && t > 0 {
				m.setMember("advice", "timeout", millis(t))
			}
		})),
		fault("F-HS-10", "R-HS-2", "Unknown fields and data of a handshake come back in its reply.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			for _, f := range u.request(m).fields {
				if !m.has(f.name) && f.name != "ext" {
					m.set(f.name, string(f.value))
				}
			}
		})),
	}
}

// refuseHandshake makes a handshake that went well one that did not.
func refuseHandshake(m *message, text string) {
	m.fail(text)
	m.del("clientId", "version", "minimumVersion", "supportedConnectionTypes", "advice", "ext")
	m.set("advice", `{"reconnect":"none"}`)
}

func handshakeRequest() []Fault {
	return []Fault{
		fault("F-HS-11", "R-HS-2 R-HS-3", "A handshake without version is refused.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			if !u.request(m).has("version") {
				refuseHandshake(m, "400::version_missing")
			}
		})),
		fault("F-HS-12", "R-HS-3", "A handshake with a version other than 1.0 is refused.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			if ask := u.request(m); ask.has("version") && ask.str("version") != "1.0" {
				refuseHandshake(m, "301::version_unsupported")
			}
		})),
		fault("F-HS-13", "R-HS-3", "A handshake with a minimumVersion above 1.0 is refused.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			if ask := u.request(m); ask.has("minimumVersion") && ask.str("minimumVersion") > "1.0" {
				refuseHandshake(m, "301::version_unsupported")
			}
		})),
		fault("F-HS-14", "R-HS-4", "A handshake that offers no connection type of the server is refused.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			if offer := u.request(m).get("supportedConnectionTypes"); offer != "" && len(common(offer)) == 0 {
				refuseHandshake(m, "302::no_common_connection_type")
			}
		})),
		fault("F-HS-15", "R-HS-4", "The reply lists only connection types that the client has offered.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			if shared := common(u.request(m).get("supportedConnectionTypes")); len(shared) > 0 {
				m.set("supportedConnectionTypes", `["`+strings.Join(shared, `","`)+`"]`)
			}
		})),
		fault("F-HS-16", "R-HS-2", "A handshake without supportedConnectionTypes is refused.", everywhere(), onGood(metaHandshake, func(u *unit, m *message) {
			if !u.request(m).has("supportedConnectionTypes") {
				refuseHandshake(m, "400::connection_types_missing")
			}
		})),
		fault("F-HS-17", "R-HS-12", "A handshake among other messages is carried out, and the others are ignored.", everywhere(), always(hooks{in: func(u *unit) {
			if shake := u.find(metaHandshake); shake != nil && len(u.msgs) > 1 {
				u.msgs = []*message{shake}
			}
		}})),
	}
}

// common returns the connection types of the server that an offer names.
func common(offer string) []string {
	return slices.DeleteFunc(everywhere(), func(t string) bool { return !strings.Contains(offer, quote(t)) })
}

func handshakeAdvice() []Fault {
	return []Fault{
		fault("F-HS-18", "R-HS-7 R-AD-1", "The handshake reply has no advice.", everywhere(), onGood(metaHandshake, drop("advice"))),
		fault("F-HS-19", "R-HS-7", "The advice of the handshake reply has no timeout.", everywhere(), onGood(metaHandshake, dropAdvice("timeout"))),
		fault("F-HS-20", "R-HS-7", "The advice of the handshake reply has no interval.", everywhere(), onGood(metaHandshake, dropAdvice("interval"))),
		fault("F-HS-21", "R-HS-7 R-AD-6", "The advice of a successful handshake says reconnect handshake.", everywhere(), onGood(metaHandshake, putAdvice("reconnect", `"handshake"`))),
		fault("F-HS-22", "R-HS-7", "The advice of the handshake reply has maxInterval, which is an option that is off.", everywhere(), func(o Options) hooks {
			return onGood(metaHandshake, putAdvice("maxInterval", millis(o.MaxInterval)))(o)
		}),
		fault("F-HS-23", "R-HS-7 R-AD-3", "The timeout in the advice of the handshake is in seconds.", everywhere(), func(o Options) hooks {
			return onGood(metaHandshake, putAdvice("timeout", fmt.Sprint(int(o.Timeout.Seconds()))))(o)
		}),
		fault("F-HS-24", "R-HS-7", "The times in the advice of the handshake are strings.", everywhere(), onGood(metaHandshake, func(_ *unit, m *message) {
			for _, name := range []string{"timeout", "interval"} {
				m.setMember("advice", name, `"`+m.member("advice", name)+`"`)
			}
		})),
		fault("F-HS-25", "R-HS-18", "The handshake reply has x-messages though none follow.", everywhere(), onGood(metaHandshake, put("x-messages", "0"))),
	}
}

// former returns the last session before s that came from the same browser or
// over the same WebSocket.
func former(u *unit, s *session) *session {
	var last *session
	for _, other := range u.p.sessions {
		same := s.cookie != "" && other.cookie == s.cookie || u.l != nil && other.l == u.l
		if other != s && same && (last == nil || other.begun.After(last.begun)) {
			last = other
		}
	}
	return last
}

// reused gives a new session the id of the one before, which is forgotten.
func reused(Options) hooks {
	now := map[string]string{} // the session that an id stands for
	return hooks{
		before: func(u *unit) { translate(u, now) },
		out: func(u *unit) {
			m := u.find(metaHandshake)
			if m == nil || !m.ok() {
				return
			}
			old := former(u, u.s)
			if !old.alive() {
				return
			}
			id := old.id
			for shown, given := range now {
				if given == old.id {
					id = shown
				}
			}
			now[id] = u.s.id
			m.setStr("clientId", id)
		},
	}
}

func handshakeSessions() []Fault {
	return []Fault{
		fault("F-HS-26", "R-HS-9", "A second handshake of a browser, or over a WebSocket, gives the first clientId again.", everywhere(), reused),
		fault("F-HS-27", "R-HS-9", "A handshake ends the session that the same browser, WebSocket or clientId had before.", everywhere(), always(hooks{
			in: func(u *unit) {
				if u.s.note("replaced") != "" {
					banish(u)
				}
			},
			out: func(u *unit) {
				if m := u.find(metaHandshake); m != nil && m.ok() {
					former(u, u.s).setNote("replaced", "yes")
					u.p.know(u.request(m).str("clientId")).setNote("replaced", "yes")
				}
			},
		})),
	}
}

// translate replaces clientIds that a client has been given by those that the
// server has given.
func translate(u *unit, given map[string]string) {
	for _, m := range u.msgs {
		if id, ok := given[m.str("clientId")]; ok {
			m.setStr("clientId", id)
		}
	}
}

func handshakeDenied() []Fault {
	denied := func(edit func(u *unit, m *message)) factory { return onBad(metaHandshake, edit) }
	const needs = "a policy that denies handshakes"
	return []Fault{
		fault("F-HS-28", "R-HS-10 R-HT-6 R-HT-10", "A denied handshake is answered with HTTP 403 instead of 200.", overHTTP(), onAnswers(func(x *exchange) {
			if x.down != nil && x.down.find(metaHandshake) != nil && !x.down.find(metaHandshake).ok() {
				x.status = http.StatusForbidden
			}
		})).needs(needs),
		fault("F-HS-29", "R-HS-10", "The reply to a denied handshake has no advice.", everywhere(), denied(drop("advice"))).needs(needs),
		fault("F-HS-30", "R-HS-10 R-AD-6", "The reply to a denied handshake says reconnect retry.", everywhere(), denied(putAdvice("reconnect", `"retry"`))).needs(needs),
		fault("F-HS-31", "R-HS-10", "The reply to a denied handshake has a clientId and the versions.", everywhere(), denied(func(_ *unit, m *message) {
			m.set("clientId", `"0000000000000000000000000"`)
			m.set("version", `"1.0"`)
		})).needs(needs),
		fault("F-HS-32", "R-HS-10 R-HS-14", "A denied handshake sets the browser cookie.", overHTTP(), onAnswers(func(x *exchange) {
			if x.down != nil && x.down.find(metaHandshake) != nil && !x.down.find(metaHandshake).ok() {
				x.header.Set("Set-Cookie", cookieName+"=0123456789abcdef; Path=/; HttpOnly")
			}
		})).needs(needs),
		fault("F-HS-33", "R-WS-25", "A denied handshake closes the WebSocket.", onlyWS(), denied(func(u *unit, _ *message) {
			u.closing = ws.StatusPolicyViolation
		})).needs(needs),
	}
}

// namedBy has the sessions go by other ids than the server gave them.
func namedBy(name func(n int, id string) string) factory {
	return func(Options) hooks {
		given, n := map[string]string{}, 0
		return hooks{
			before: func(u *unit) { translate(u, given) },
			out: func(u *unit) {
				if m := u.find(metaHandshake); m != nil && m.ok() {
					n++
					shown := name(n, m.str("clientId"))
					given[shown] = m.str("clientId")
					m.setStr("clientId", shown)
				}
			},
		}
	}
}

func handshakeIDs() []Fault {
	return []Fault{
		fault("F-HS-34", "R-HS-13", "Ids of sessions are short: eight characters.", everywhere(), namedBy(func(_ int, id string) string { return id[len(id)-8:] })),
		fault("F-HS-35", "R-HS-13", "Ids of sessions are consecutive numbers.", everywhere(), namedBy(func(n int, _ string) string { return fmt.Sprintf("%025d", n) })),
		fault("F-HS-36", "R-HS-13", "Ids of sessions have characters other than letters and digits.", everywhere(), namedBy(func(_ int, id string) string { return id[:8] + "-" + id[8:] + "_=" })),
		fault("F-HS-37", "R-HS-13", "Ids of sessions differ in their last four characters only.", everywhere(), namedBy(func(n int, _ string) string {
			return fmt.Sprintf("7f3kd82nv0w1mzq4x6b9c%04d", 7*n%10_000)
		})),
	}
}

// cookieOut edits the Set-Cookie of answers that have one.
func cookieOut(edit func(string) string) factory {
	return onAnswers(func(x *exchange) {
		if c := x.header.Get("Set-Cookie"); c != "" {
			x.header.Set("Set-Cookie", edit(c))
		}
	})
}

// shook tells whether the exchange was a handshake that went well.
func (x *exchange) shook() bool {
	return x.down != nil && x.down.find(metaHandshake) != nil && x.down.find(metaHandshake).ok()
}

func handshakeCookies() []Fault {
	other := func(x *exchange) string { return cookieName + "=" + cookieOf(x.r) + "; Path=/; HttpOnly" }
	return []Fault{
		fault("F-HS-38", "R-HS-14", "No handshake sets the browser cookie.", overHTTP(), onAnswers(func(x *exchange) { x.header.Del("Set-Cookie") })),
		fault("F-HS-39", "R-HS-14", "The browser cookie is set twice in one response.", overHTTP(), onAnswers(func(x *exchange) {
			if c := x.header.Get("Set-Cookie"); c != "" {
				x.header.Add("Set-Cookie", c)
			}
		})),
		fault("F-HS-40", "R-HS-14", "A handshake whose request has the browser cookie sets it again.", overHTTP(), onAnswers(func(x *exchange) {
			if x.shook() && x.header.Get("Set-Cookie") == "" {
				x.header.Set("Set-Cookie", other(x))
			}
		})),
		fault("F-HS-41", "R-HS-14 R-HT-5", "Responses to connects set the browser cookie, too.", overHTTP(), onAnswers(func(x *exchange) {
			if x.down != nil && x.down.find(metaConnect) != nil && cookieOf(x.r) != "" {
				x.header.Set("Set-Cookie", other(x))
			}
		})),
		fault("F-HS-42", "R-HS-14", "A browser cookie that the server has not made is replaced by a new one.", overHTTP(), func(Options) hooks {
			known := map[string]bool{}
			return hooks{
				in: func(u *unit) {
					if u.x != nil && u.find(metaHandshake) != nil && !known[cookieOf(u.x.r)] {
						u.x.r.Header.Del("Cookie")
					}
				},
				response: func(x *exchange) { known[x.cookie()] = true },
			}
		}),
		fault("F-HS-43", "R-HS-14", "The browser cookie goes by another name.", overHTTP(), always(hooks{
			request: func(x *exchange) {
				for i, c := range x.r.Header["Cookie"] {
					x.r.Header["Cookie"][i] = strings.ReplaceAll(strings.ReplaceAll(c, cookieName, "X"+cookieName), "HALLEYID", cookieName)
				}
			},
			response: func(x *exchange) {
				for i, c := range x.header["Set-Cookie"] {
					x.header["Set-Cookie"][i] = strings.Replace(c, cookieName, "HALLEYID", 1)
				}
			},
		})),
	}
}

func handshakeAttributes() []Fault {
	with := func(attribute string) func(string) string {
		return func(c string) string { return c + "; " + attribute }
	}
	return []Fault{
		fault("F-HS-44", "R-HS-14", "The browser cookie is not HttpOnly.", overHTTP(), cookieOut(func(c string) string { return strings.Replace(c, "; HttpOnly", "", 1) })),
		fault("F-HS-45", "R-HS-14", "The path of the browser cookie is that of the request, not /.", overHTTP(), func(o Options) hooks {
			return cookieOut(func(c string) string { return strings.Replace(c, "Path=/", "Path="+o.Path, 1) })(o)
		}),
		fault("F-HS-46", "R-HS-14", "The browser cookie has no path.", overHTTP(), cookieOut(func(c string) string { return strings.Replace(c, "; Path=/", "", 1) })),
		fault("F-HS-47", "R-HS-15", "The browser cookie has a Max-Age.", overHTTP(), cookieOut(func(c string) string { return strings.Replace(c, "Path=/", "Path=/; Max-Age=3600", 1) })),
		fault("F-HS-48", "R-HS-15", "The browser cookie is Secure though the request is not.", overHTTP(), cookieOut(with("Secure"))),
		fault("F-HS-49", "R-HS-15", "The browser cookie has SameSite though that is not configured.", overHTTP(), cookieOut(with("SameSite=Strict"))),
		fault("F-HS-50", "R-HS-15", "The browser cookie has a Domain though that is not configured.", overHTTP(), cookieOut(func(c string) string {
			return strings.Replace(c, "Path=/", "Domain=localhost; Path=/", 1)
		})),
		fault("F-HS-51", "R-HS-14", "The value of the browser cookie is short: four characters.", overHTTP(), func(Options) hooks {
			given := map[string]string{}
			return hooks{
				request: func(x *exchange) {
					if value, ok := given[cookieOf(x.r)]; ok {
						x.r.Header.Set("Cookie", cookieName+"="+value)
					}
				},
				response: func(x *exchange) {
					if c := x.header.Get("Set-Cookie"); c != "" {
						value, rest, _ := strings.Cut(strings.TrimPrefix(c, cookieName+"="), ";")
						given[value[:4]] = value
						x.header.Set("Set-Cookie", cookieName+"="+value[:4]+";"+rest)
					}
				},
			}
		}),
	}
}

// settled sets how long a session may live before its first connect.
func settled(d func(Options) time.Duration) factory {
	return func(o Options) hooks {
		return hooks{config: func(c *server.Config) {
			c.Extensions = append(c.Extensions, bayeux.Funcs{In: func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
				if t, ok := from.(bayeux.Timing); ok && m.Channel == metaHandshake {
					t.SetMaxInterval(d(o))
				} else if ok && m.Channel == metaConnect {
					t.SetMaxInterval(-1)
				}
				return nil
			}})
		}}
	}
}

func handshakeAfter() []Fault {
	return []Fault{
		fault("F-HS-52", "R-HS-16", "Before its first connect a session can neither subscribe nor publish: 402.", everywhere(), always(hooks{in: func(u *unit) {
			if u.s != nil && u.s.connects == 0 {
				banish(u)
			}
		}})),
		fault("F-HS-53", "R-HS-17 R-CN-11", "Messages for a session that has not connected yet are lost.", everywhere(), always(hooks{out: func(u *unit) {
			first := u.s != nil && (u.s.replied == 0 || u.s.replied == 1 && u.find(metaConnect) != nil)
			if first && len(u.pushes()) > 0 {
				u.keep((*message).reply)
			}
		}})),
		fault("F-HS-54", "R-HS-19 R-EX-1", "A session that never connects never expires.", everywhere(), settled(func(Options) time.Duration { return time.Hour })),
		fault("F-HS-55", "R-HS-19 R-EX-2", "A session must connect within a tenth of its life or is gone.", everywhere(), settled(func(o Options) time.Duration { return o.MaxInterval / 10 })),
	}
}
