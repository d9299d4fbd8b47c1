package cases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/conformance/wire"
)

func webSocket() []Case {
	return slices.Concat(socketUpgrade(), socketFrames(), socketOutput(), socketBroken(), socketClose())
}

// socket is an open WebSocket with a session, for frames that no client would
// send.
type socket struct {
	*wire.WebSocket
	t  *T
	id string
}

// open shakes hands and connects once on a new WebSocket.
func open(t *T, o wire.WebSocketOptions) *socket {
	w, res := t.WebSocket(o)
	t.Require(w != nil, "the upgrade was answered with HTTP %v", res)
	s := &socket{WebSocket: w, t: t}
	s.write(wire.Frame{Op: wire.Text, Payload: []byte(shake("websocket"))})
	reply := s.read(t.Patience())
	t.Require(len(reply) == 1, "%d messages came for a handshake", len(reply))
	s.id, _ = reply[0]["clientId"].(string)
	t.Require(s.id != "", "the handshake failed: %v", reply[0])
	s.send(fmt.Sprintf(`[{"channel":"/meta/connect","clientId":%q,"connectionType":"websocket","advice":{"timeout":0}}]`, s.id))
	s.read(t.Patience())
	return s
}

func (s *socket) write(f wire.Frame) {
	if err := s.WriteFrame(f); err != nil {
		s.t.Fatalf("writing: %v", err)
	}
}

func (s *socket) send(text string) { s.write(wire.Frame{Op: wire.Text, Payload: []byte(text)}) }

// read returns the messages of the next frame.
func (s *socket) read(within time.Duration) []map[string]any {
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	_, data, err := s.ReadMessage(ctx)
	if err != nil {
		s.t.Fatalf("no frame came: %v", err)
	}
	var all []map[string]any
	if json.Unmarshal(data, &all) != nil {
		s.t.Fatalf("a frame is no array of messages: %.200s", data)
	}
	return all
}

// subscribe is a subscribe of the socket's session.
func (s *socket) subscribe(ch string) string {
	return fmt.Sprintf(`{"channel":"/meta/subscribe","id":"s","clientId":%q,"subscription":%q}`, s.id, ch)
}

// publish is a publish of the socket's session.
func (s *socket) publish(ch string, n int) string {
	return fmt.Sprintf(`{"channel":%q,"id":"p%d","clientId":%q,"data":%d}`, ch, n, s.id, n)
}

// ask sends a subscribe and expects its reply: the session and the socket are
// well.
func (s *socket) ask() {
	s.send("[" + s.subscribe(s.t.Channel("well")) + "]")
	reply := s.read(s.t.Patience())
	s.t.Check(len(reply) == 1 && reply[0]["successful"] == true, "the subscribe failed: %v", reply)
}

// socketUpgrade is about the upgrade.
func socketUpgrade() []Case {
	return []Case{
		{
			ID: "BX-WS-01", Title: "the upgrade is 101 and names no sub-protocol that was not chosen", Level: MUST, Spec: "websocket", Rules: rules("R-WS-1", "R-WS-2"), On: WS,
			Run: func(t *T) {
				w, _ := t.WebSocket(wire.WebSocketOptions{})
				t.Require(w != nil, "no upgrade")
				t.Check(w.Protocol == "", "the sub-protocol is %q", w.Protocol)
				agreed := w.Upgrade.Header.Get("Sec-WebSocket-Extensions")
				t.Check(agreed == "", "the extensions %q were not offered", agreed)
			},
		},
		{
			ID: "BX-WS-02", Title: "sub-protocols that are offered do no harm, and are not echoed", Level: COMETD, Rules: rules("R-WS-2"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{Protocols: []string{"faye-websocket", "x"}})
				t.Check(s.Protocol == "", "the sub-protocol %q was chosen", s.Protocol)
				s.ask()
			},
		},
		{
			ID: "BX-WS-03", Title: "permessage-deflate is agreed to when it is offered, and works both ways", Level: COMETD, Rules: rules("R-WS-3"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{Extensions: "permessage-deflate"})
				if !s.Deflate {
					t.NonStrictf("it is not agreed to")
					return
				}
				ch := t.Channel("a")
				err := s.WriteDeflated("[" + s.subscribe(ch) + "," + s.publish(ch, 1) + "]")
				t.Require(err == nil, "writing: %v", err)
				first := s.read(t.Patience())
				t.Check(len(first) == 1 && first[0]["data"] == 1.0, "the message is %v", first)
				t.Check(len(s.read(t.Patience())) == 2, "want two replies in a frame")
			},
		},
		{
			ID: "BX-WS-04", Title: "extensions that nobody knows are not agreed to", Level: MUST, Spec: "websocket", Rules: rules("R-WS-3"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{Extensions: "x-unknown; a=b, permessage-foo"})
				t.Check(s.Upgrade.Header.Get("Sec-WebSocket-Extensions") == "", "agreed to %q", s.Upgrade.Header.Get("Sec-WebSocket-Extensions"))
				s.ask()
			},
		},
		{
			ID: "BX-WS-05", Title: "a query string at the address does no harm", Level: COMETD, Rules: rules("R-WS-1"), On: WS,
			Run: func(t *T) { open(t, wire.WebSocketOptions{Path: below(t, "?a=b")}).ask() },
		},
		{
			ID: "BX-WS-30", Title: "a page of another origin may open a WebSocket", Level: COMETD, Rules: rules("R-WS-3"), On: WS,
			Run: func(t *T) {
				open(t, wire.WebSocketOptions{Edit: func(r *wire.Request) { r.Set("Origin", "https://bx.example") }}).ask()
			},
		},
		{
			ID: "BX-WS-06", Title: "an upgrade without a key is refused", Level: MUST, Spec: "websocket", Rules: rules("R-WS-1"), On: WS,
			Run: func(t *T) {
				w, res := t.WebSocket(wire.WebSocketOptions{Edit: func(r *wire.Request) { r.Remove("Sec-WebSocket-Key") }})
				t.Check(w == nil && res != nil && res.Status >= 400, "the upgrade without a key was accepted")
			},
		},
	}
}

// socketFrames is about what frames carry messages.
func socketFrames() []Case {
	return []Case{
		{
			ID: "BX-WS-07", Title: "a bare object is accepted", Level: COMETD, Rules: rules("R-WS-6", "R-MSG-1"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				s.send(s.subscribe(t.Channel("a")))
				reply := s.read(t.Patience())
				t.Check(len(reply) == 1 && reply[0]["successful"] == true, "the reply is %v", reply)
			},
		},
		{
			ID: "BX-WS-08", Title: "fragments are put together, also with a ping in between", Level: MUST, Spec: "websocket", Rules: rules("R-WS-6"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				text := []byte("[" + s.subscribe(t.Channel("a")) + "]")
				third := len(text) / 3
				s.write(wire.Frame{Op: wire.Text, More: true, Payload: text[:third]})
				s.write(wire.Frame{Op: wire.Ping, Payload: []byte("in between")})
				s.write(wire.Frame{Op: wire.Continuation, More: true, Payload: text[third : 2*third]})
				s.write(wire.Frame{Op: wire.Continuation, Payload: text[2*third:]})
				reply := s.read(t.Patience())
				t.Check(len(reply) == 1 && reply[0]["successful"] == true, "the reply is %v", reply)
			},
		},
		{
			ID: "BX-WS-09", Title: "a ping is answered with its payload", Level: MUST, Spec: "websocket", Rules: rules("R-WS-6"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				s.write(wire.Frame{Op: wire.Ping, Payload: []byte("are you there?")})
				ctx, cancel := context.WithTimeout(t.Context(), t.Patience())
				defer cancel()
				for {
					f, err := s.ReadFrame(ctx)
					if err != nil {
						t.Fatalf("no pong came: %v", err)
					}
					if f.Op == wire.Pong {
						t.Check(bytes.Equal(f.Payload, []byte("are you there?")), "the pong has %q", f.Payload)
						return
					}
				}
			},
		},
		{
			ID: "BX-WS-10", Title: "binary messages are ignored", Level: COMETD, Rules: rules("R-WS-6"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				s.write(wire.Frame{Op: wire.Binary, Payload: []byte("[" + s.subscribe(t.Channel("a")) + "]")})
				s.write(wire.Frame{Op: wire.Binary, Payload: []byte{0, 1, 2}})
				s.send(strings.Replace("["+s.subscribe(t.Channel("b"))+"]", `"s"`, `"after"`, 1))
				reply := s.read(t.Patience())
				t.Check(len(reply) == 1 && reply[0]["id"] == "after", "the next reply is %v, want that of the text message", reply)
			},
		},
		{
			ID: "BX-WS-11", Title: "messages of one socket are processed one after another", Level: COMETD, Rules: rules("R-WS-7"), On: WS,
			Run: inTurn,
		},
	}
}

// inTurn sends many messages without waiting; their replies come in the same order.
func inTurn(t *T) {
	s := open(t, wire.WebSocketOptions{})
	ch := t.Channel("a")
	var out bytes.Buffer
	for i := range 20 {
		for _, text := range []string{s.publish(ch, i), s.subscribe(fmt.Sprintf("%s/%d", ch, i))} {
			out.Write(wire.Frame{Op: wire.Text, Payload: []byte("[" + text + "]")}.Bytes())
		}
	}
	if _, err := s.Write(out.Bytes()); err != nil {
		t.Fatalf("writing: %v", err)
	}
	for i := range 20 {
		for _, id := range []string{fmt.Sprintf("p%d", i), "s"} {
			reply := s.read(t.Patience())
			t.Require(len(reply) == 1 && reply[0]["id"] == id, "the reply to %s of round %d is %v", id, i, reply)
		}
	}
}

// beside asks for an answer at once while a connect is held. The reply may
// start the clock of the session, held or not; whether the session then ends
// before the held connect does depends on when the server looks, so there are
// several, some time apart.
func beside(t *T) {
	const sessions, apart = 6, 170 * time.Millisecond
	clients := make([]*suite.Client, sessions)
	for i := range clients {
		clients[i] = t.Connected()
	}
	var held, short [sessions]*suite.Pending
	for i, c := range clients {
		held[i] = c.Hold()
		t.Sleep(apart)
		short[i] = c.Hold(now())
	}
	for _, p := range short {
		p.WaitFor(t.Hold() / 2).Reply(0).Successful()
	}
	for _, p := range held {
		a := p.Wait()
		if a.End != nil {
			t.NonStrictf("the session ended under the held connect: %v", a.End)
			continue
		}
		a.HeldFor(t.Hold()).Reply(0).Successful()
	}
}

// socketOutput is about the frames that come.
func socketOutput() []Case {
	return []Case{
		{
			ID: "BX-WS-12", Title: "pushed messages come one in a frame, then all replies in one", Level: COMETD, Rules: rules("R-WS-10", "R-OUT-2"), On: WS,
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				ch := t.Channel("a")
				s.send("[" + s.subscribe(ch) + "]")
				s.read(t.Patience())
				s.send("[" + s.publish(ch, 1) + "," + s.publish(ch, 2) + "," + s.publish(ch, 3) + "]")
				for i := 1; i <= 3; i++ {
					frame := s.read(t.Patience())
					t.Require(len(frame) == 1 && frame[0]["data"] == float64(i), "frame %d is %v, want message %d alone", i, frame, i)
				}
				replies := s.read(t.Patience())
				t.Require(len(replies) == 3, "%d replies in the frame, want 3", len(replies))
				for i, r := range replies {
					t.Check(r["id"] == fmt.Sprintf("p%d", i+1) && r["successful"] == true, "reply %d is %v", i, r)
				}
			},
		},
		{
			ID: "BX-WS-13", Title: "messages are pushed with no connect outstanding", Level: COMETD, Rules: rules("R-WS-12"), On: WS, Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				ch := t.Channel("a")
				s.send("[" + s.subscribe(ch) + "]")
				s.read(t.Patience())
				t.Helper().Publish(ch, 7).Successful()
				frame := s.read(t.Patience())
				t.Check(len(frame) == 1 && frame[0]["data"] == 7.0, "the frame is %v", frame)
			},
		},
		{
			ID: "BX-WS-14", Title: "the first connect is answered at once, the second is held", Level: COMETD, Rules: rules("R-WS-13", "R-CN-5"), On: WS, Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				c := t.Session()
				c.Hold().Wait().AtOnce().Reply(0).Successful()
				c.Hold().Wait().HeldFor(t.Hold()).Reply(0).Successful()
			},
		},
		{
			ID: "BX-WS-15", Title: "a connect that asks for no hold leaves the held one as it is", Level: COMETD, Rules: rules("R-WS-20"), On: WS, Needs: needs(suite.NeedHold),
			Run: beside,
		},
		{
			ID: "BX-WS-16", Title: "a disconnect is answered, then the held connect; the socket stays open", Level: COMETD, Rules: rules("R-WS-22", "R-DC-4"), On: WS,
			Needs: needs(suite.NeedHold),
			Run: func(t *T) {
				c := t.Connected()
				held := c.Hold()
				t.Sleep(t.Hold() / 8)
				gone := c.Disconnect().Successful()
				ended := held.WaitFor(t.Hold()/2).Reply(0).Successful().Want("advice", M{"reconnect": "none"})
				t.Check(gone.Unit != ended.Unit, "both replies came in one frame")
				c.Handshake().Successful()
				c.Connect(now()).Successful()
			},
		},
		{
			ID: "BX-WS-17", Title: "a refused handshake leaves the socket open for another", Level: COMETD, Rules: rules("R-WS-25", "R-MSG-6"), On: WS,
			Run: func(t *T) {
				c := t.Client()
				c.Handshake(M{"id": "a-b"}).Failed("405")
				c.Handshake().Successful()
				c.Connect(now()).Successful()
			},
		},
	}
}

// broken sends what breaks the rules of WebSocket and expects a close code;
// the session must go on on another socket.
func broken(t *T, codes []int, f func(s *socket)) {
	s := open(t, wire.WebSocketOptions{})
	f(s)
	_ = t.Closes(s.WebSocket, t.Patience(), codes...)
	again := t.Client()
	again.ID = s.id
	again.Connect(now()).Successful()
}

// socketBroken is about frames that break the rules.
func socketBroken() []Case {
	return append([]Case{
		{
			ID: "BX-WS-18", Title: "an unmasked frame closes with 1002, and the session lives", Level: MUST, Spec: "websocket", Rules: rules("R-WS-8"), On: WS,
			Run: func(t *T) {
				broken(t, []int{1002}, func(s *socket) { s.write(wire.Frame{Op: wire.Text, Unmasked: true, Payload: []byte("[]")}) })
			},
		},
		{
			ID: "BX-WS-19", Title: "a frame with reserved bits closes with 1002, and the session lives", Level: MUST, Spec: "websocket", Rules: rules("R-WS-8"), On: WS,
			Run: func(t *T) {
				broken(t, []int{1002}, func(s *socket) { s.write(wire.Frame{Op: wire.Text, RSV: 2, Payload: []byte("[]")}) })
			},
		},
		{
			ID: "BX-WS-20", Title: "a continuation of nothing closes with 1002, and the session lives", Level: MUST, Spec: "websocket", Rules: rules("R-WS-8"), On: WS,
			Run: func(t *T) {
				broken(t, []int{1002}, func(s *socket) { s.write(wire.Frame{Op: wire.Continuation, Payload: []byte("[]")}) })
			},
		},
		{
			ID: "BX-WS-21", Title: "an unknown opcode closes with 1002, and the session lives", Level: MUST, Spec: "websocket", Rules: rules("R-WS-8"), On: WS,
			Run: func(t *T) {
				broken(t, []int{1002}, func(s *socket) { s.write(wire.Frame{Op: 5, Payload: []byte("x")}) })
			},
		},
		{
			ID: "BX-WS-22", Title: "a ping in fragments closes with 1002, and the session lives", Level: MUST, Spec: "websocket", Rules: rules("R-WS-8"), On: WS,
			Run: func(t *T) {
				broken(t, []int{1002}, func(s *socket) { s.write(wire.Frame{Op: wire.Ping, More: true, Payload: []byte("x")}) })
			},
		},
		{
			ID: "BX-WS-23", Title: "text that is not UTF-8 closes with 1007, and the session lives", Level: MUST, Spec: "websocket", Rules: rules("R-WS-8"), On: WS,
			Run: func(t *T) {
				broken(t, []int{1007}, func(s *socket) { s.write(wire.Frame{Op: wire.Text, Payload: []byte("[\"\xff\xfe\"]")}) })
			},
		},
	}, socketSense()...)
}

// socketSense is about messages that are too large or make no sense.
func socketSense() []Case {
	return []Case{
		{
			ID: "BX-WS-24", Title: "a message above the limit closes with 1009, and the session lives", Level: COMETD, Rules: rules("R-WS-9"), On: WS,
			Needs: needs(suite.NeedLimits),
			Run: func(t *T) {
				limit := t.Fixture().Limits.WebSocketMessage
				if limit == 0 {
					t.Skipf("the fixture declares no limit of WebSocket messages")
				}
				broken(t, []int{1009}, func(s *socket) {
					s.send(`[{"channel":"/a","clientId":"` + s.id + `","data":"` + strings.Repeat("x", limit) + `"}]`)
				})
			},
		},
		{
			ID: "BX-WS-25", Title: "a frame that announces much more than the limit is refused before it has come", Level: SHOULD, Rules: rules("R-WS-9"), On: WS, Also: suite.CometD,
			Run: func(t *T) {
				broken(t, nil, func(s *socket) {
					s.write(wire.Frame{Op: wire.Text, Payload: []byte("[{"), Claim: 1 << 40})
				})
			},
		},
		{
			ID: "BX-WS-26", Title: "messages that make no sense close with 1011, and the session lives", Level: COMETD, Rules: rules("R-WS-8"), On: WS,
			Run: func(t *T) {
				for _, text := range []string{"not json", `""`, "null", "5"} {
					broken(t, []int{1011}, func(s *socket) { s.send(text) })
				}
			},
		},
		{
			ID: "BX-WS-27", Title: "a message without a channel is answered, and the socket stays", Level: COMETD, Rules: rules("R-WS-8", "R-MSG-7"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				s.send(`[{}]`)
				reply := s.read(t.Patience())
				t.Check(len(reply) == 1 && reply[0]["error"] == "400::channel_missing", "the reply is %v", reply)
				s.ask()
			},
		},
	}
}

// socketClose is about the end of sockets.
func socketClose() []Case {
	return []Case{
		{
			ID: "BX-WS-28", Title: "a close of the client is answered with a close", Level: MUST, Spec: "websocket", Rules: rules("R-WS-18"), On: WS,
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				if err := s.WriteClose(1000, "bye"); err != nil {
					t.Fatalf("writing: %v", err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), t.Patience())
				defer cancel()
				_, _, err := s.ReadMessage(ctx)
				end, ok := errors.AsType[*wire.CloseError](err)
				t.Require(ok, "no close came: %v", err)
				t.Check(end.Code == 1000, "closed with %d, want 1000", end.Code)
			},
		},
		{
			ID: "BX-WS-29", Title: "a closed socket leaves its session, with subscriptions, to the next one", Level: COMETD, Rules: rules("R-WS-18", "R-SB-15"), On: WS,
			Needs: needs(suite.NeedDelivery, suite.NeedExpiry),
			Run: func(t *T) {
				s := open(t, wire.WebSocketOptions{})
				ch := t.Channel("a")
				s.send("[" + s.subscribe(ch) + "]")
				s.read(t.Patience())
				_ = s.WriteClose(1001, "")
				t.Sleep(200 * time.Millisecond)
				again := t.Client()
				again.ID = s.id
				again.Connect(now()).Successful()
				t.Helper().Publish(ch, "x").Successful()
				again.Receive(ch).Want("data", "x")
			},
		},
	}
}
