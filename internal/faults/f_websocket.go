package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// webSocketFaults break the WebSocket transport: WIRE 8.
func webSocketFaults() []Fault {
	return slices.Concat(upgradeFaults(), frameFaults(), closeFaults(), replyFrames(), socketHolds(), socketEnds())
}

// refusedUpgrade answers upgrades in the server's stead.
func refusedUpgrade(status int, when func(r *http.Request) bool) factory {
	return always(hooks{upgrade: func(x *exchange) {
		if when(x.r) {
			x.answer(status, "text/plain;charset=UTF-8", []byte(http.StatusText(status)+"\n"))
		}
	}})
}

func upgradeFaults() []Fault {
	const protocol, extensions = "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"
	return []Fault{
		fault("F-WS-01", "R-WS-1", "An upgrade with a query is refused.", onlyWS(), refusedUpgrade(http.StatusBadRequest, func(r *http.Request) bool { return r.URL.RawQuery != "" })),
		fault("F-WS-02", "R-WS-2", "A sub-protocol is chosen though none is configured.", onlyWS(), always(hooks{switched: func(l *link, header http.Header) {
			if offer, _, _ := strings.Cut(l.r.Header.Get(protocol), ","); offer != "" {
				header.Set(protocol, offer)
			}
		}})),
		fault("F-WS-03", "R-WS-2", "An upgrade that offers a sub-protocol is refused, for none is configured.", onlyWS(), refusedUpgrade(http.StatusInternalServerError, func(r *http.Request) bool {
			return r.Header.Get(protocol) != ""
		})),
		fault("F-WS-04", "R-WS-3", "permessage-deflate is not negotiated.", onlyWS(), always(hooks{upgrade: func(x *exchange) { x.r.Header.Del(extensions) }})).tolerated(),
		fault("F-WS-05", "R-WS-3", "permessage-deflate is in the answer to who has not offered it.", onlyWS(), always(hooks{switched: func(l *link, header http.Header) {
			if l.r.Header.Get(extensions) == "" {
				header.Set(extensions, "permessage-deflate")
			}
		}})),
		fault("F-WS-06", "R-WS-3", "An upgrade with an Origin is refused: 403.", onlyWS(), refusedUpgrade(http.StatusForbidden, func(r *http.Request) bool { return r.Header.Get("Origin") != "" })),
		fault("F-WS-07", "R-WS-4 R-HS-5", "WebSocket is among the connection types, but upgrades are refused.", onlyWS(), refusedUpgrade(http.StatusBadRequest, func(*http.Request) bool { return true })),
		fault("F-WS-08", "R-WS-5 R-HS-14", "The answer to an upgrade sets the browser cookie.", onlyWS(), always(hooks{switched: func(_ *link, header http.Header) {
			header.Set("Set-Cookie", cookieName+"=0123456789abcdef; Path=/; HttpOnly")
		}})),
	}
}

func frameFaults() []Fault {
	onData := func(f func(k *packet)) factory { return always(hooks{data: f}) }
	onControl := func(f func(k *packet)) factory { return always(hooks{control: f}) }
	return []Fault{
		fault("F-WS-09", "R-WS-6", "Binary messages are read like text.", onlyWS(), onData(func(k *packet) {
			if k.up && k.op == ws.OpBinary {
				k.set(ws.OpText, k.payload)
			}
		})),
		fault("F-WS-10", "R-WS-6", "A binary message closes the connection with 1003.", onlyWS(), onData(func(k *packet) {
			if k.up && k.op == ws.OpBinary {
				k.drop = true
				k.l.p.later(func() { k.l.shutDown(ws.StatusUnsupportedData, "text only") })
			}
		})),
		fault("F-WS-11", "R-WS-6", "Messages leave in binary frames.", onlyWS(), always(hooks{out: func(u *unit) { u.binary = true }})),
		fault("F-WS-12", "R-WS-6", "Pings are not answered.", onlyWS(), onControl(func(k *packet) {
			k.drop = k.drop || !k.up && k.op == ws.OpPong
		})),
		fault("F-WS-13", "R-WS-6", "Pongs do not carry what the ping had.", onlyWS(), onControl(func(k *packet) {
			if !k.up && k.op == ws.OpPong {
				k.set(ws.OpPong, nil)
			}
		})),
		fault("F-WS-14", "R-WS-6", "A message in several fragments closes the connection with 1003.", onlyWS(), onData(func(k *packet) {
			if k.up && k.frames > 1 {
				k.drop = true
				k.l.p.later(func() { k.l.shutDown(ws.StatusUnsupportedData, "no fragments") })
			}
		})),
		fault("F-WS-15", "R-WS-6", "Each fragment of a message is taken for a message.", onlyWS(), onData(func(k *packet) {
			if k.up && k.frames > 1 {
				k.parts = [][]byte{k.payload[:len(k.payload)/2], k.payload[len(k.payload)/2:]}
			}
		})),
		fault("F-WS-16", "R-WS-7", "Subscribes are answered late, so that answers to later messages overtake theirs.", onlyWS(), onReplies(metaSubscribe, func(u *unit, _ *message) {
			slow(u, 300*time.Millisecond)
		})),
	}
}

// closing rewrites the close frames of the server that have a code.
func closing(from, to ws.StatusCode) func(k *packet) {
	return func(k *packet) {
		if code, reason := ws.ParseCloseFrameData(k.payload); !k.up && k.op == ws.OpClose && code == from {
			k.set(ws.OpClose, ws.NewCloseFrameBody(to, reason))
		}
	}
}

func closeFaults() []Fault {
	return []Fault{
		fault("F-WS-17", "R-WS-8", "Malformed JSON closes the connection with 1000 instead of 1011.", onlyWS(), always(hooks{control: closing(ws.StatusInternalServerError, ws.StatusNormalClosure)})),
		fault("F-WS-18", "R-WS-8", "Malformed JSON is answered with a failed message, and the connection stays.", onlyWS(), always(hooks{data: func(k *packet) {
			if k.up && k.op == ws.OpText && !json.Valid(k.payload) {
				k.drop = true
				k.l.sendDown([]*message{made(`{"successful":false,"error":"400::malformed"}`)})
			}
		}})),
		fault("F-WS-19", "R-WS-8", "Malformed JSON is ignored, and the connection stays.", onlyWS(), always(hooks{data: func(k *packet) {
			k.drop = k.drop || k.up && k.op == ws.OpText && !json.Valid(k.payload)
		}})),
		fault("F-WS-20", "R-WS-8 R-HT-7", "Malformed JSON ends the session of the connection.", onlyWS(), func(o Options) hooks {
			h := buried(func(Options, *unit) {})(o)
			h.data = func(k *packet) {
				if k.up && k.op == ws.OpText && !json.Valid(k.payload) && k.l.s != nil {
					ended(k.l.s)
				}
			}
			return h
		}),
		fault("F-WS-21", "R-WS-8", "Malformed JSON cuts the connection without a close frame.", onlyWS(), always(hooks{control: func(k *packet) {
			if code, _ := ws.ParseCloseFrameData(k.payload); !k.up && k.op == ws.OpClose && code == ws.StatusInternalServerError {
				k.drop = true
				k.l.p.later(func() { k.l.end(false) })
			}
		}})),
		fault("F-WS-22", "R-WS-9", "A message that is too large closes the connection with 1008 instead of 1009.", onlyWS(), always(hooks{control: closing(ws.StatusMessageTooBig, ws.StatusPolicyViolation)})),
		fault("F-WS-23", "R-WS-9", "Messages may be ten times as large as they should.", onlyWS(), option("ws.maxMessageSize", "655360")),
		fault("F-WS-24", "R-WS-9", "Messages may have four kilobytes only.", onlyWS(), option("ws.maxMessageSize", "4096")),
	}
}

func replyFrames() []Fault {
	return []Fault{
		fault("F-WS-25", "R-WS-10", "The replies to one message come in frames of their own.", onlyWS(), always(hooks{out: func(u *unit) {
			if len(u.replies()) > 1 {
				for _, m := range u.msgs {
					u.parts = append(u.parts, []*message{m})
				}
			}
		}})),
		fault("F-WS-26", "R-WS-10", "All messages that are queued leave in one frame.", onlyWS(), option("ws.messagesPerFrame", "0")),
		fault("F-WS-27", "R-WS-10", "Messages and replies leave in one frame.", onlyWS(), func(Options) hooks {
			kept := map[*link][]*message{}
			return hooks{out: func(u *unit) {
				if len(u.replies()) == 0 && busy(u.l) {
					kept[u.l] = append(kept[u.l], u.msgs...)
					u.drop = true
					return
				}
				if len(u.replies()) > 0 {
					u.msgs = append(kept[u.l], u.msgs...)
					delete(kept, u.l)
				}
			}}
		}),
		fault("F-WS-28", "R-WS-22 R-DC-1", "The replies to a disconnect and to the connect that it ends come in one frame.", onlyWS(), func(Options) hooks {
			kept := map[*link][]*message{}
			return hooks{out: func(u *unit) {
				if m := u.find(metaDisconnect); m != nil && m.ok() && u.s.holding() {
					kept[u.l] = u.msgs
					u.drop = true
					return
				}
				u.msgs = append(kept[u.l], u.msgs...)
				delete(kept, u.l)
			}}
		}),
	}
}

func socketHolds() []Fault {
	return []Fault{
		fault("F-WS-29", "R-WS-11 R-WS-16", "A message that is pushed ends the held connect.", onlyWS(), always(hooks{out: answerPushed})),
		fault("F-WS-30", "R-WS-12", "Messages are pushed only while a connect is outstanding; they are kept until there is one.", onlyWS(), shy),
		fault("F-WS-31", "R-WS-14", "The replies to what comes in one message with a connect wait until that is answered.", onlyWS(), together).tolerated(),
		fault("F-WS-32", "R-WS-19", "The first connect over a new WebSocket is answered at once, in a session that was connected.", onlyWS(), hidden(func(u *unit, m *message) {
			if u.l.notes["met"] == "" && u.s != nil && u.s.connects > 1 {
				m.setMember("advice", "timeout", "0")
			}
			u.l.notes["met"] = "yes"
		})),
		fault("F-WS-33", "R-WS-20", "The older of two connects over a WebSocket is answered when the newer comes.", onlyWS(), always(hooks{in: func(u *unit) {
			if older := olderHolds(u); len(older) > 0 && !atOnce(u) {
				last := u.s.held[len(older):]
				u.s.held = older
				u.p.release(u.s, func(h *hold) []*message { return []*message{connectReply(h.ask)} })
				u.s.held = last
			}
		}})),
		fault("F-WS-34", "R-WS-20", "A connect with timeout 0 ends the one that is held.", onlyWS(), always(hooks{in: func(u *unit) {
			for _, h := range olderHolds(u) {
				if atOnce(u) {
					u.l.unwanted = append(u.l.unwanted, h.ask)
				}
			}
		}})),
	}
}

// answerPushed answers the held connect behind a message that is pushed.
func answerPushed(u *unit) {
	if len(u.pushes()) == 0 || len(u.replies()) > 0 || !u.s.holding() || busy(u.l) {
		return
	}
	u.parts = [][]*message{u.msgs}
	for _, h := range u.s.held {
		u.l.unwanted = append(u.l.unwanted, h.ask)
		u.parts = append(u.parts, []*message{connectReply(h.ask)})
	}
	u.s.held = nil
}

// shy keeps what is pushed without a connect until there is one.
func shy(Options) hooks {
	kept := map[*session][]*message{}
	return hooks{
		out: func(u *unit) {
			if pushes := u.pushes(); len(pushes) > 0 && u.s != nil && !u.s.holding() && !busy(u.l) {
				kept[u.s] = append(kept[u.s], pushes...)
				u.keep((*message).reply)
			}
		},
		in: func(u *unit) {
			if late := kept[u.s]; len(late) > 0 && u.find(metaConnect) != nil {
				delete(kept, u.s)
				u.l.sendDown(late)
			}
		},
	}
}

// together keeps the replies to what came with a connect for a hold.
func together(o Options) hooks {
	return both(func(u *unit, m *message) {
		if u.s != nil && u.s.replied > 0 && m.channel() != metaConnect && u.find(metaConnect) != nil {
			u.s.setNote("with "+idText(m), "yes")
		}
	}, func(u *unit, m *message) {
		if m.reply() && u.s.note("with "+idText(m)) != "" {
			slow(u, o.Timeout)
		}
	})(o)
}

// olderHolds returns the connects that are held when another one comes.
func olderHolds(u *unit) []*hold {
	if u.s == nil || u.find(metaConnect) == nil {
		return nil
	}
	return u.s.held[:max(0, len(u.s.held)-1)]
}

// atOnce tells whether the connect of a unit asks not to be held.
func atOnce(u *unit) bool {
	t, ok := timeout(u.find(metaConnect))
	return ok && t == 0
}

// socketEnds are what becomes of a session when its WebSocket ends.
func socketEnds() []Fault {
	return []Fault{
		fault("F-WS-35", "R-WS-17 R-WS-13", "A WebSocket whose connect is held is closed after half the hold, for being idle.", onlyWS(), func(o Options) hooks {
			return option("ws.idleTimeout", millis(o.Timeout/2))(o)
		}),
		fault("F-WS-36", "R-WS-18", "A session ends with its WebSocket.", onlyWS(), always(hooks{closed: func(l *link) {
			if !l.s.alive() {
				return
			}
			bye := made(`{"channel":"/meta/disconnect"}`)
			bye.setStr("id", l.p.ownID())
			bye.setStr("clientId", l.s.id)
			l.sendUp([]*message{bye})
		}})),
		fault("F-WS-37", "R-WS-18 R-EX-1", "A session whose WebSocket is gone never expires.", onlyWS(), always(hooks{closed: func(l *link) {
			if s := l.s; s.alive() && s.l == l {
				id := s.id
				l.p.background(func(ctx context.Context) { l.p.haunt(ctx, l.r, id) })
			}
		}})),
		fault("F-WS-38", "R-WS-18", "When a WebSocket is closed, its session expires only after a whole hold and its time.", onlyWS(), always(hooks{closed: func(l *link) {
			if s := l.s; s.alive() && s.l == l {
				id := s.id
				l.p.background(func(ctx context.Context) {
					ctx, cancel := context.WithTimeout(ctx, l.p.options.Timeout)
					defer cancel()
					l.p.haunt(ctx, l.r, id)
				})
			}
		}})).tolerated(),
	}
}

// haunt goes on with a session over a WebSocket of the proxy's own until ctx
// is done or the session goes on elsewhere.
func (p *proxy) haunt(ctx context.Context, r *http.Request, id string) {
	conn, err := p.dial(ctx)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	server := &half{conn: conn, r: bufio.NewReader(conn)}
	if _, resp, err := askSocket(server, r); err != nil || resp.StatusCode != http.StatusSwitchingProtocols { //nolint:bodyclose // the connection is closed
		return
	}
	ask := made(`{"channel":"/meta/connect","id":"haunt","connectionType":"websocket"}`)
	ask.setStr("clientId", id)
	for server.write(encodeFrame(true, ws.OpText, encodeBatch([]*message{ask}))) == nil {
		for answered := false; !answered; {
			_, payload, _, err := readFrame(server.r)
			if err != nil || strings.Contains(string(payload), unknownSession) {
				return
			}
			answered = strings.Contains(string(payload), `"haunt"`)
		}
		if !p.pause(ctx, p.options.Timeout/10) {
			return
		}
	}
}
