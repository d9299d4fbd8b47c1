package bayeuxclient_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/clients/bayeuxclient"
	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a small server that tests can script. What the script leaves alone it
// answers as a well-behaved server would.
type fake struct {
	t        testing.TB
	listener *testkit.Listener
	server   *http.Server
	done     chan struct{}

	scripts  sync.Mutex
	mu       sync.Mutex
	script   func(via string, m *bayeux.Message) *verdict
	noWS     int // status for upgrades, 0 to accept
	types    string
	hold     time.Duration
	sessions map[string]*fakeSession
	made     int
	seen     []seen
	sockets  map[*fakeSocket]bool
	clients  []*bayeuxclient.Client
	cookies  []string // of the requests
	headers  []http.Header
}

// verdict overrides what happens to a message.
type verdict struct {
	reply  *bayeux.Message   // instead of the usual
	pushed []*bayeux.Message // ahead of the reply
	status int               // HTTP status instead of replies
	silent bool              // no reply to this message
	cut    bool              // the connection breaks
	wait   time.Duration     // before the reply
}

type seen struct {
	at  time.Time
	via string
	m   *bayeux.Message
}

type fakeSession struct {
	id     string
	subs   map[channels.Name]bool
	queue  []stored
	wake   chan struct{}
	polled bool
	ended  bool
	acks   bool
	batch  int64
	socket *fakeSocket
}

type stored struct {
	batch int64 // 0 until it left
	m     *bayeux.Message
}

func newFake(t testing.TB) *fake {
	f := &fake{
		t: t, done: make(chan struct{}), listener: testkit.Listen(), hold: 20 * time.Second,
		types:    `["websocket","long-polling"]`,
		sessions: map[string]*fakeSession{}, sockets: map[*fakeSocket]bool{},
	}
	f.server = &http.Server{Handler: f}
	go func() { _ = f.server.Serve(f.listener) }()
	return f
}

func (f *fake) stop() {
	for _, c := range f.clients {
		_ = c.Close()
	}
	close(f.done)
	_ = f.listener.Close()
	_ = f.server.Close()
	f.cutSockets()
}

func (f *fake) cutSockets() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.sockets {
		_ = s.conn.CloseNow()
	}
}

// options are those of a client of this server, without randomness.
func (f *fake) options(transports ...string) bayeuxclient.Options {
	return bayeuxclient.Options{
		Transports: transports, Jitter: -1,
		HTTPClient: &http.Client{Transport: f.transport()},
	}
}

func (f *fake) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return f.listener.Dial(ctx)
		},
	}
}

const address = "http://127.0.0.1/cometd"

func (f *fake) dial(o bayeuxclient.Options) *bayeuxclient.Client {
	f.t.Helper()
	c, err := bayeuxclient.Dial(f.t.Context(), address, o)
	require.NoError(f.t, err)
	f.clients = append(f.clients, c)
	return c
}

// on sets the script.
func (f *fake) on(script func(via string, m *bayeux.Message) *verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = script
}

// messages returns what came on a channel.
func (f *fake) messages(channel string) []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []seen
	for _, s := range f.seen {
		if s.m.Channel == channel {
			out = append(out, s)
		}
	}
	return out
}

// forget loses all sessions.
func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions = map[string]*fakeSession{}
}

// publish sends data to all that are subscribed.
func (f *fake) publish(channel, data string) {
	f.deliver(&bayeux.Message{Channel: channel, Data: bayeux.Raw(data)})
}

func (f *fake) deliver(m *bayeux.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliverLocked(m)
}

func (f *fake) deliverLocked(m *bayeux.Message) {
	name := channels.Name(m.Channel)
	for _, s := range f.sessions {
		for sub := range s.subs {
			if channels.Compile(sub).Matches(name) {
				s.queue = append(s.queue, stored{m: m})
				s.flushLocked()
				break
			}
		}
	}
}

// flushLocked pushes by the socket, or wakes the held connect.
func (s *fakeSession) flushLocked() {
	if s.socket == nil || s.acks {
		close(s.wake)
		s.wake = make(chan struct{})
		return
	}
	for _, q := range s.takeLocked() {
		write(s.socket, []*bayeux.Message{q})
	}
}

// takeLocked returns what a connect reply carries.
func (s *fakeSession) takeLocked() []*bayeux.Message {
	var out []*bayeux.Message
	for i := range s.queue {
		out = append(out, s.queue[i].m)
		if s.queue[i].batch == 0 {
			s.queue[i].batch = s.batch + 1
		}
	}
	if !s.acks {
		s.queue = nil
	}
	return out
}

// fakeSocket writes from a goroutine of its own, so that no lock is held while
// a client does not read.
type fakeSocket struct {
	conn *websocket.Conn
	out  chan []byte
}

func write(s *fakeSocket, ms []*bayeux.Message) { s.out <- bayeux.AppendBatch(nil, ms) }

func (s *fakeSocket) pump(ctx context.Context) {
	for {
		select {
		case body := <-s.out:
			if s.conn.Write(ctx, websocket.MessageText, body) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.cookies = append(f.cookies, r.Header.Get("Cookie"))
	f.headers = append(f.headers, r.Header)
	noWS := f.noWS
	f.mu.Unlock()
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		if noWS != 0 {
			http.Error(w, "no", noWS)
			return
		}
		f.serveSocket(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	ms, err := bayeux.Decode(body, bayeux.Limits{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var pushed, replies []*bayeux.Message
	for _, m := range ms {
		v := f.answer(r.Context(), bayeuxclient.LongPolling, nil, m)
		switch {
		case v.status != 0:
			w.Header().Set("Retry-After", "7")
			http.Error(w, "scripted", v.status)
			return
		case v.cut:
			panic(http.ErrAbortHandler)
		}
		pushed = append(pushed, v.pushed...)
		if v.reply != nil {
			replies = append(replies, v.reply)
		}
	}
	if ms[0].Channel == "/meta/handshake" {
		http.SetCookie(w, &http.Cookie{Name: "BAYEUX_BROWSER", Value: "b1", Path: "/", HttpOnly: true})
		pushed, replies = replies, pushed
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(bayeux.AppendBatch(nil, append(pushed, replies...)))
}

func (f *fake) serveSocket(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	conn := &fakeSocket{conn: ws, out: make(chan []byte, 10_000)}
	f.mu.Lock()
	f.sockets[conn] = true
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	var held sync.WaitGroup
	held.Go(func() { conn.pump(ctx) })
	defer func() {
		f.mu.Lock()
		delete(f.sockets, conn)
		for _, s := range f.sessions {
			if s.socket == conn {
				s.socket = nil
			}
		}
		f.mu.Unlock()
		cancel()
		_ = ws.CloseNow()
		held.Wait()
	}()
	for {
		_, body, err := ws.Read(ctx)
		if err != nil {
			return
		}
		ms, err := bayeux.Decode(body, bayeux.Limits{})
		if err != nil {
			return
		}
		if len(ms) == 1 && ms[0].Channel == "/meta/connect" {
			held.Go(func() { f.reply(ctx, conn, ms) })
			continue
		}
		f.reply(ctx, conn, ms)
	}
}

func (f *fake) reply(ctx context.Context, conn *fakeSocket, ms []*bayeux.Message) {
	var replies []*bayeux.Message
	for _, m := range ms {
		v := f.answer(ctx, bayeuxclient.WebSocket, conn, m)
		if v.cut || v.status != 0 {
			_ = conn.conn.CloseNow()
			return
		}
		for _, p := range v.pushed {
			write(conn, []*bayeux.Message{p})
		}
		if v.reply != nil {
			replies = append(replies, v.reply)
		}
	}
	if len(replies) > 0 && ctx.Err() == nil {
		write(conn, replies)
	}
}

// answer asks the script, and else does what a server does.
func (f *fake) answer(ctx context.Context, via string, conn *fakeSocket, m *bayeux.Message) *verdict {
	f.mu.Lock()
	f.seen = append(f.seen, seen{time.Now(), via, m})
	script := f.script
	f.mu.Unlock()
	if script != nil {
		f.scripts.Lock() // Scripts keep state of their own.
		v := script(via, m)
		f.scripts.Unlock()
		if v != nil {
			if v.wait > 0 && !f.pause(ctx, v.wait) {
				return &verdict{cut: true}
			}
			if v.reply == nil && !v.silent && !v.cut && v.status == 0 {
				u := f.usual(ctx, conn, m)
				u.pushed = append(v.pushed, u.pushed...)
				return u
			}
			if v.reply != nil && !v.reply.HasID {
				v.reply.Channel, v.reply.ID, v.reply.HasID = m.Channel, m.ID, true
			}
			return v
		}
	}
	return f.usual(ctx, conn, m)
}

func (f *fake) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-f.done:
		return false
	case <-ctx.Done():
		return false
	}
}

func (f *fake) usual(ctx context.Context, conn *fakeSocket, m *bayeux.Message) *verdict {
	reply := m.Reply().Succeed(true)
	if m.Channel == "/meta/handshake" {
		f.welcome(m, reply)
		return &verdict{reply: reply}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[m.ClientID]
	if s == nil {
		reply.Fail(bayeux.ErrSessionUnknown)
		if m.Channel == "/meta/connect" {
			reply.Advice = bayeux.Raw(`{"reconnect":"handshake","interval":0}`)
		}
		return &verdict{reply: reply}
	}
	if conn != nil && s.socket != conn {
		s.socket = conn
		s.polled = s.polled && m.ClientAdvice().Timeout != 0
	}
	names, _, _ := bayeux.ParseSubscription(m.Subscription)
	switch m.Channel {
	case "/meta/connect":
		return f.connectLocked(ctx, s, m, reply)
	case "/meta/disconnect":
		delete(f.sessions, s.id)
		s.ended = true
		close(s.wake)
		s.wake = make(chan struct{})
	case "/meta/subscribe":
		s.subs[channels.Name(names[0])] = true
	case "/meta/unsubscribe":
		delete(s.subs, channels.Name(names[0]))
	default:
		if m.Data != nil {
			f.deliverLocked(&bayeux.Message{Channel: m.Channel, Data: m.Data})
		}
	}
	return &verdict{reply: reply}
}

func (f *fake) welcome(m, reply *bayeux.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	s := &fakeSession{id: "s" + strconv.Itoa(f.made), subs: map[channels.Name]bool{}, wake: make(chan struct{})}
	f.sessions[s.id] = s
	reply.ClientID = s.id
	reply.SetField("version", bayeux.Raw(`"1.0"`))
	reply.SetField("supportedConnectionTypes", bayeux.Raw(f.types))
	reply.Advice = bayeux.Raw(`{"reconnect":"retry","interval":0,"timeout":` + strconv.FormatInt(f.hold.Milliseconds(), 10) + `}`)
	if raw, _ := m.ExtMember("ack"); string(raw) == "true" {
		s.acks = true
		reply.SetExt("ack", raw)
	}
}

func (f *fake) connectLocked(ctx context.Context, s *fakeSession, m, reply *bayeux.Message) *verdict {
	if raw, ok := m.ExtMember("ack"); ok && s.acks {
		n, _ := strconv.ParseInt(string(raw), 10, 64)
		for len(s.queue) > 0 && s.queue[0].batch > 0 && s.queue[0].batch <= n {
			s.queue = s.queue[1:]
		}
	}
	if first := !s.polled; !first && len(s.queue) == 0 && m.ClientAdvice().Timeout != 0 {
		wake := s.wake
		f.mu.Unlock()
		select {
		case <-wake:
		case <-time.After(f.hold):
		case <-f.done:
		case <-ctx.Done():
		}
		f.mu.Lock()
		if ctx.Err() != nil {
			return &verdict{cut: true}
		}
		if s.ended {
			reply.Advice = bayeux.Raw(`{"reconnect":"none"}`)
		}
	}
	s.polled = true
	v := &verdict{pushed: s.takeLocked(), reply: reply}
	if s.acks {
		s.batch++
		reply.SetExt("ack", strconv.AppendInt(nil, s.batch, 10))
	}
	return v
}
