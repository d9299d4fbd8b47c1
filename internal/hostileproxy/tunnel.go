package hostileproxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tunnel is what an upgrade opened: bytes both ways.
type tunnel struct {
	run    *run
	server *backend
	frames *frames // nil for what is not a WebSocket.
	first  sink
	stop   []*hold
}

// pass carries the tunnel that the 101 opens, until its end.
func (r *run) pass(server *backend, resp *http.Response) {
	select {
	case <-r.body: // Whoever asks for an upgrade with a body is read by that until here.
	case <-r.c.in.gone:
	}
	upgrade := resp.Header.Get("Upgrade")
	h := r.answerHeader(resp)
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", upgrade)
	text := new(bytes.Buffer)
	fmt.Fprintf(text, "HTTP/1.1 %s\r\n", resp.Status)
	_ = h.Write(text)
	text.WriteString("\r\n")
	if !r.claim(false) || r.c.send(text.Bytes()) != nil {
		r.fail(errCut)
		return
	}
	r.answer = resp.StatusCode
	t := &tunnel{run: r, server: server}
	if strings.EqualFold(upgrade, "websocket") {
		t.frames = new(frames)
	}
	t.first = r.holds(toTunnel{r}, &t.stop)
	r.open(server)
	var both sync.WaitGroup
	both.Go(t.toServer)
	t.toClient()
	both.Wait()
	for _, h := range t.stop {
		h.stop()
	}
}

// open makes the run a tunnel.
func (r *run) open(server *backend) {
	c := r.c
	c.mu.Lock()
	r.tunnel, r.opened = true, time.Now()
	r.halves(server)
	c.mu.Unlock()
	c.p.count(c.addr, func(n *Counts) { n.Tunnels++ })
	c.judge(c.rules()) // A black hole from the 101 on begins before the first byte.
	tell(c.poke)
}

// holeDue says whether the tunnel is due to become a black hole.
func (r *run) holeDue(rules Rules) bool {
	if !rules.BlackHole {
		return false
	}
	if rules.HoleFrames == 0 && rules.HoleBytes == 0 {
		return true
	}
	return rules.HoleFrames > 0 && r.frames.Load() >= int64(rules.HoleFrames) ||
		rules.HoleBytes > 0 && r.received.Load() >= rules.HoleBytes
}

// toServer carries what the client sends.
func (t *tunnel) toServer() {
	c := t.run.c
	buf := make([]byte, pieceSize)
	for {
		n, err := c.br.Read(buf)
		if n > 0 {
			if _, werr := t.server.raw.Write(buf[:n]); werr != nil {
				c.end(ByFIN)
				return
			}
			t.run.sent.Add(int64(n))
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				c.end(ByReset)
				return
			}
			c.mu.Lock()
			t.server.closeWrite()
			c.mu.Unlock()
			return
		}
	}
}

// toClient carries what the server sends.
func (t *tunnel) toClient() {
	c := t.run.c
	buf := make([]byte, pieceSize)
	for {
		n, err := t.server.br.Read(buf)
		if n > 0 && !t.carry(buf[:n]) {
			c.end(ByFIN)
			return
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) {
			c.end(ByReset)
			return
		}
		if t.frames != nil {
			_ = t.first.add(t.frames.rest(), false)
		}
		_ = t.first.end()
		t.run.whole = true
		c.out.finish(io.EOF)
		return
	}
}

// carry passes on what the server sent as far as the rules let it, and says whether it goes on.
func (t *tunnel) carry(b []byte) bool {
	for len(b) > 0 {
		part := frame{data: b, fresh: true}
		if t.frames != nil {
			var n int
			part, n = t.frames.next(b)
			b = b[n:]
		} else {
			b = nil
		}
		if len(part.data) > 0 && !t.passPart(part) {
			return false
		}
	}
	return true
}

// passPart passes on one frame or a part of one.
func (t *tunnel) passPart(part frame) bool {
	r := t.run
	rules := r.c.rules()
	if rules.MaxMessage > 0 && part.message > rules.MaxMessage {
		t.release()
		if rules.MessageEnd == ByAnswer {
			_ = r.c.send([]byte{0x88, 2, 1009 >> 8, 1009 & 0xff})
		}
		r.c.cut(verdict{rule: RuleMessage, how: rules.MessageEnd, since: r.opened, bytes: part.message, run: r})
		return false
	}
	data, rule, how := t.fit(part.data, rules)
	if err := t.first.add(data, part.fresh); err != nil {
		return false
	}
	r.received.Add(int64(len(data)))
	if part.last && len(data) == len(part.data) {
		r.frames.Add(1)
	}
	if rule == "" && r.holeDue(rules) {
		rule, how = RuleBlackHole, BySilence
	}
	if rule == "" {
		return true
	}
	t.release()
	r.c.cut(verdict{rule: rule, how: how, since: r.opened, run: r})
	return false
}

// fit shortens data to what may still pass, and says what shortened it.
func (t *tunnel) fit(data []byte, rules Rules) (fitting []byte, rule Rule, how End) {
	come := t.run.received.Load()
	if left := rules.MaxTunnelBytes - come; rules.MaxTunnelBytes > 0 && int64(len(data)) > left {
		data, rule, how = data[:max(left, 0)], RuleTunnelBytes, rules.TunnelBytesEnd
	}
	if left := rules.HoleBytes - come; rules.BlackHole && rules.HoleBytes > 0 && int64(len(data)) >= left {
		data, rule, how = data[:max(left, 0)], RuleBlackHole, BySilence
	}
	return data, rule, how
}

func (t *tunnel) release() {
	for _, h := range t.stop {
		h.release()
	}
}

// toTunnel sends to the client.
type toTunnel struct{ run *run }

func (s toTunnel) add(piece []byte, _ bool) error { return s.run.c.send(piece) }

func (s toTunnel) end() error { return nil }
