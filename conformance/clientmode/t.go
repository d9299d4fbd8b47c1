package clientmode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/conformance/wire"
)

// T is a case that runs on one transport: the script's hold on the server, and
// what the case expects of the client.
type T struct {
	*suite.Record

	srv    *server
	client Client
	scale  float64
	start  func()
	stop   func()         // nil until the client was started
	read   map[string]int // how many messages of a channel the case has taken
}

// Start starts the client, once. What a case scripts before holds from the
// first request on.
func (t *T) Start() { t.start() }

// On returns the transport that the client was told to use.
func (t *T) On() suite.On { return t.srv.on }

func (t *T) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * t.scale)
}

// Patience is how long something that must come is waited for: longer than a
// client's own time-outs.
func (t *T) Patience() time.Duration { return t.scaled(20 * time.Second) }

// Window is how long a case watches for what must not come, or not too often.
// It is not made shorter, for then a slow machine would hide what comes.
func (t *T) Window() time.Duration {
	const window = 1500 * time.Millisecond
	return max(window, t.scaled(window))
}

// Need skips the case if the client lacks an ability.
func (t *T) Need(needs ...suite.Need) {
	for _, n := range needs {
		if why := t.client.Cannot[string(n)]; why != "" {
			t.Skipf("needs %s: %s", n, why)
		}
	}
}

// Script sets what decides on each message from now on; nil answers as usual.
// It is called by the goroutines of the server, for one message at a time of
// each connection.
func (t *T) Script(f func(m *In) *Answer) { t.srv.update(func() { t.srv.script = f }) }

// First scripts the first n messages of a channel from now on.
func (t *T) First(n int, channel string, a Answer) {
	t.Script(func(m *In) *Answer {
		if m.Channel() != channel {
			return nil
		}
		left := false
		t.srv.update(func() { left = n > 0; n-- })
		if !left {
			return nil
		}
		return &a
	})
}

// Upgrades sets what becomes of WebSocket upgrades, of which n is the count.
func (t *T) Upgrades(f func(n int) Upgrade) { t.srv.update(func() { t.srv.upgrade = f }) }

// Advise changes the advice of handshakes, and of connects that ask for it.
func (t *T) Advise(changes M) { t.srv.update(func() { t.srv.advice = merge(t.srv.advice, changes) }) }

// Offer sets the supportedConnectionTypes of the server.
func (t *T) Offer(types ...string) { t.srv.update(func() { t.srv.types = types }) }

// Ready starts the client and waits until it has subscribed and a connect is held, and
// passes over all that came so far.
func (t *T) Ready() {
	t.Start()
	ok := t.srv.until(t.Patience(), t.readyLocked)
	t.Require(ok, "the client does not come to subscriptions to %s and %s and a connect that can be held", Control, Data)
	// The replies may still be on their way. Applications that do not tell what
	// became of their subscriptions get some time.
	t.srv.until(t.scaled(time.Second), func() bool { return t.srv.subscribedLocked(Control) && t.srv.subscribedLocked(Data) })
	t.Skip()
}

func (s *server) subscribedLocked(channel string) bool {
	return slices.ContainsFunc(s.events, func(e Event) bool { return e.Kind == EventSubscribed && e.Channel == channel && e.OK })
}

// Settled waits until the client is as after Ready, again.
func (t *T) Settled() {
	ok := t.srv.until(t.Patience(), t.readyLocked)
	t.Require(ok, "the client does not come back to subscriptions to %s and %s and a connect that can be held", Control, Data)
}

// Doubled returns how many connects came while another of their session was
// held.
func (t *T) Doubled() int {
	t.srv.mu.Lock()
	defer t.srv.mu.Unlock()
	return t.srv.doubled
}

// Pause lets time pass, scaled.
func (t *T) Pause(d time.Duration) { pause(t.srv.ctx, t.scaled(d)) }

func (t *T) readyLocked() bool {
	for _, h := range t.srv.holds {
		if subs := h.ses.subs; slices.Contains(subs, Control) && slices.Contains(subs, Data) && t.srv.sessions[h.ses.id] == h.ses {
			return true
		}
	}
	return false
}

// Skip passes over all messages that have come.
func (t *T) Skip() {
	t.srv.mu.Lock()
	defer t.srv.mu.Unlock()
	maps.Copy(t.read, t.srv.nth)
}

// Next waits for the next message of a channel; the case fails and ends
// without it.
func (t *T) Next(channel string) *In {
	t.Start()
	var m *In
	ok := t.srv.until(t.Patience(), func() bool { m = t.srv.nthLocked(channel, t.read[channel]+1); return m != nil })
	t.Require(ok, "no message on %s within %v", channel, t.Patience())
	t.read[channel]++
	return m
}

func (s *server) nthLocked(channel string, n int) *In {
	for _, m := range s.seen {
		if m.Channel() == channel && m.Nth == n {
			return m
		}
	}
	return nil
}

// Nothing watches for a window that no further message comes on the channels.
func (t *T) Nothing(channels ...string) {
	for _, channel := range channels {
		var m *In
		if t.srv.until(t.Window(), func() bool { m = t.srv.nthLocked(channel, t.read[channel]+1); return m != nil }) {
			t.Failf("%s came: %s", channel, m.Raw)
		}
	}
}

// Calm watches for a window that the client makes at most so many requests,
// frames and upgrades, and returns how many it made.
func (t *T) Calm(most int) int {
	before := t.requests()
	t.srv.until(t.Window(), func() bool { return t.srv.requests-before > tooQuick })
	n := t.requests() - before
	t.Check(n <= most, "%d requests within %v, want at most %d: no pause between attempts", n, t.Window(), most)
	return n
}

func (t *T) requests() int {
	t.srv.mu.Lock()
	defer t.srv.mu.Unlock()
	return t.srv.requests
}

// All returns the messages of a channel that have come since the beginning;
// without a channel all messages.
func (t *T) All(channel string) []*In {
	t.srv.mu.Lock()
	defer t.srv.mu.Unlock()
	var out []*In
	for _, m := range t.srv.seen {
		if channel == "" || m.Channel() == channel {
			out = append(out, m)
		}
	}
	return out
}

// Message is a message with data for the channel of the application.
func Message(data any) M { return M{"channel": Data, "data": data} }

// Deliver sends messages with data to the application, in one body.
func (t *T) Deliver(data ...any) {
	messages := make([]M, 0, len(data))
	for _, d := range data {
		messages = append(messages, Message(d))
	}
	t.Send(messages...)
}

// Send sends messages, in one body: pushed, or with the connect.
func (t *T) Send(messages ...M) {
	var push []func()
	t.srv.update(func() { push = t.srv.deliverLocked(messages) })
	for _, f := range push {
		f()
	}
}

// SendBy sends messages by a fault: pushed, or with the connect's reply.
func (t *T) SendBy(fault Fault, messages ...M) {
	t.srv.mu.Lock()
	var l *Line
	if len(t.srv.holds) > 0 && t.srv.holds[0].line.ws != nil {
		l = t.srv.holds[0].line
	}
	t.srv.mu.Unlock()
	if l != nil {
		l.send(fault, messages)
		return
	}
	if t.Release(Answer{Before: messages, Fault: fault}) == 0 {
		t.Brokenf("no connect is held")
	}
}

// Do tells the application to do something.
func (t *T) Do(command M) { t.Send(M{"channel": Control, "data": command}) }

// Publish has the application publish data to /bx/x.
func (t *T) Publish(data any) { t.Do(M{"do": "publish", "channel": Elsewhere, "data": data}) }

// Elsewhere is the channel of Publish.
const Elsewhere = "/bx/x"

// Release answers the held connects, with changes, and returns how many.
func (t *T) Release(a Answer) (n int) {
	t.srv.update(func() { n = t.srv.endLocked(nil, &a) })
	return n
}

// Held waits until a connect is held.
func (t *T) Held() {
	t.Require(t.srv.until(t.Patience(), func() bool { return len(t.srv.holds) > 0 }), "the client does not send a connect that can be held")
}

// Forget loses all sessions; held connects are told.
func (t *T) Forget() { t.ForgetBy(Answer{With: Unknown()}) }

// ForgetBy loses all sessions; held connects are answered so.
func (t *T) ForgetBy(a Answer) {
	t.srv.update(func() {
		t.srv.sessions = map[string]*session{}
		t.srv.endLocked(nil, &a)
	})
}

// Unknown is what a connect of an unknown session gets.
func Unknown() M {
	return M{"successful": false, "error": "402::session_unknown", "advice": M{"reconnect": "handshake", "interval": 0}}
}

// Frame sends a WebSocket frame to the client.
func (t *T) Frame(f wire.Frame) {
	t.srv.mu.Lock()
	var l *Line
	for _, ses := range t.srv.sessions {
		if ses.sock != nil {
			l = ses.sock
		}
	}
	t.srv.mu.Unlock()
	if l == nil {
		t.Fatalf("the client has no WebSocket")
		return
	}
	l.failed(l.ws.WriteFrame(f))
}

// Ping sends a ping and tells whether its pong came.
func (t *T) Ping() bool {
	text := []byte("are you there?")
	t.Frame(wire.Frame{Op: wire.Ping, Payload: text})
	timer := time.NewTimer(t.Patience())
	defer timer.Stop()
	select {
	case got := <-t.srv.pongs:
		return bytes.Equal(got, text)
	case <-timer.C:
		return false
	case <-t.srv.ctx.Done():
		return false
	}
}

// Closed waits for the end of a WebSocket and returns its close code; 1006 if
// the client sent no close frame.
func (t *T) Closed() (code int) {
	ok := t.srv.until(t.Patience(), func() bool {
		if len(t.srv.closes) > 0 {
			code = t.srv.closes[len(t.srv.closes)-1]
		}
		return code != 0
	})
	t.Require(ok, "the WebSocket does not end")
	return code
}

// Event waits for an event of that kind from the application; the case fails
// without it. Events are looked at once, in their order.
func (t *T) Event(kind EventKind) Event {
	var e Event
	ok := t.srv.until(t.Patience(), func() bool {
		for i, told := range t.srv.events {
			if told.Kind == kind {
				e = told
				t.srv.events = slices.Delete(slices.Clone(t.srv.events), i, i+1)
				return true
			}
		}
		return false
	})
	t.Require(ok, "the application is not told: no event %q within %v", kind, t.Patience())
	return e
}

// Told returns how many events of a kind were told, but for those that Event
// took.
func (t *T) Told(kind EventKind) (n int) {
	t.srv.mu.Lock()
	defer t.srv.mu.Unlock()
	for _, e := range t.srv.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// Forgo drops the events of a kind that were told so far.
func (t *T) Forgo(kind EventKind) {
	t.srv.update(func() {
		t.srv.events = slices.DeleteFunc(slices.Clone(t.srv.events), func(e Event) bool { return e.Kind == kind })
	})
}

// Gets expects that the application gets just these data, in this order, since
// the beginning.
func (t *T) Gets(want ...any) {
	all := make([]string, 0, len(want))
	for _, w := range want {
		text, err := json.Marshal(w)
		if err != nil {
			t.Brokenf("the case expects what is no JSON: %v", err)
		}
		all = append(all, canonical(text))
	}
	var got []string
	t.srv.until(t.Patience(), func() bool { got = t.srv.gotLocked(); return len(got) >= len(all) })
	t.Check(slices.Equal(got, all), "the application got %s, want %s", brief(got), brief(all))
}

func (s *server) gotLocked() []string {
	var got []string
	for _, e := range s.events {
		if e.Kind == EventMessage && e.Channel != Control {
			got = append(got, canonical(e.Data))
		}
	}
	return got
}

// canonical writes JSON in one way, for drivers write it each in theirs.
func canonical(raw []byte) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return string(raw)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(text)
}

func brief(all []string) string {
	const most = 400
	text := fmt.Sprint(all)
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// Path returns where the server's addresses begin, which cookies are for.
func (t *T) Path() string { return t.srv.path }
