package auth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/extensions/auth"
	"github.com/halleypush/halley/internal/testkit"
)

func transports() []string { return []string{"long-polling", "callback-polling", "websocket"} }

// grants allows what the subject's own patterns say, and all to whoever has none.
type grants struct{ bayeux.DefaultPolicy }

func (grants) CanSubscribe(_ context.Context, s bayeux.Session, p channels.Pattern, _ *bayeux.Message) error {
	subject := bayeux.SubjectOf(s)
	if subject == nil || subject.Subscribe == nil {
		return nil
	}
	for _, g := range subject.Subscribe {
		if n, err := channels.Parse(g); err == nil && (n == p.Name() || channels.Compile(n).Matches(p.Name())) {
			return nil
		}
	}
	return bayeux.Deny(bayeux.ReasonSecurityPolicy)
}

// rig is a server in memory with the extension.
type rig struct {
	*testkit.Wire
	t     *testing.T
	srv   *server.Server
	guard *auth.Extension
	log   *testkit.Buffer
}

// bubble runs f with a rig in a synctest bubble; change may be nil.
func bubble(t *testing.T, c auth.Config, change func(*server.Config), f func(t *testing.T, r *rig)) {
	t.Helper()
	r := &rig{log: &testkit.Buffer{}}
	testkit.Bubble(t, func() (testkit.Engine, error) {
		if c.Methods == nil {
			c.Methods = []auth.Method{newJWT(t, auth.JWTConfig{Leeway: -1})}
		}
		c.Logger = zerolog.New(r.log)
		var err error
		if r.guard, err = auth.New(c); err != nil {
			return nil, err
		}
		config := server.Config{
			Policy:     grants{},
			Extensions: []bayeux.Extension{ack.New(), r.guard},
			Options:    server.Options{"timeout": "20000", "maxInterval": "36000000", "ws.idleTimeout": "36000000", "sweepPeriod": "60000"},
			Limits:     server.Limits{},
		}
		if change != nil {
			change(&config)
		}
		if r.srv, err = server.New(config); err != nil {
			return nil, err
		}
		_, err = r.guard.Attach(r.srv)
		return r.srv, err
	}, func(t *testing.T, w *testkit.Wire) {
		r.t, r.Wire = t, w
		f(t, r)
	})
}

// client is a session on any transport. What is pushed goes to its inbox.
type client struct {
	r         *rig
	transport string
	header    http.Header
	id        string
	cookie    string
	socket    *testkit.Socket
	inbox     chan testkit.Msg

	mu      sync.Mutex
	n       int
	waiting map[string]chan testkit.Msg
}

func (r *rig) client(transport string, header http.Header) *client {
	c := &client{r: r, transport: transport, header: header, inbox: make(chan testkit.Msg, 100000), waiting: map[string]chan testkit.Msg{}}
	if transport == "websocket" {
		c.socket = r.Dial(header)
		go c.read()
	}
	return c
}

// read sorts what comes over the socket until it is closed.
func (c *client) read() {
	for {
		f := c.socket.Next(10000 * time.Hour)
		if f.Close != 0 {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, w := range c.waiting {
				close(w)
			}
			c.waiting = nil
			return
		}
		c.sort(f.Messages)
	}
}

// sort gives replies to who waits, the rest to the inbox.
func (c *client) sort(messages []testkit.Msg) {
	for _, m := range messages {
		id, _ := m["id"].(string)
		c.mu.Lock()
		w := c.waiting[id]
		delete(c.waiting, id)
		c.mu.Unlock()
		if w == nil {
			c.inbox <- m
			continue
		}
		w <- m
		close(w)
	}
}

// start sends a message; the channel gives its reply, or is closed without one.
func (c *client) start(channel, more string) <-chan testkit.Msg {
	if more != "" {
		more = "," + more
	}
	reply := make(chan testkit.Msg, 1)
	c.mu.Lock()
	c.n++
	id := fmt.Sprint("m", c.n)
	c.waiting[id] = reply
	body := fmt.Sprintf(`[{"channel":%q,"id":%q,"clientId":%q%s}]`, channel, id, c.id, more)
	c.mu.Unlock()
	if c.socket != nil {
		assert.NoError(c.r.t, c.socket.TrySend(body))
		return reply
	}
	go func() {
		c.sort(c.post(body))
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.waiting[id] != nil {
			delete(c.waiting, id)
			close(reply)
		}
	}()
	return reply
}

func (c *client) post(body string) []testkit.Msg {
	q := testkit.Request{Body: body, Cookie: c.cookie, Header: c.header}
	if c.transport == "callback-polling" {
		q = testkit.Request{Method: http.MethodGet, Query: "jsonp=cb&message=" + url.QueryEscape(body), Cookie: c.cookie, Header: c.header}
	}
	r, err := c.r.Do(q)
	if err != nil {
		return nil // the server stops
	}
	if c.cookie == "" {
		c.cookie, _, _ = strings.Cut(r.Header.Get("Set-Cookie"), ";")
	}
	if c.transport == "callback-polling" {
		text := strings.TrimSuffix(strings.TrimPrefix(r.Body, "cb("), ")")
		assert.NoError(c.r.t, json.Unmarshal([]byte(text), &r.Messages), r.Body)
	}
	return r.Messages
}

// ask sends a message and waits for the reply.
func (c *client) ask(channel, more string) testkit.Msg {
	c.r.t.Helper()
	m, ok := <-c.start(channel, more)
	require.True(c.r.t, ok, "no reply on %s", channel)
	return m
}

// good asks, and the answer must be a good one.
func (c *client) good(channel, more string) testkit.Msg {
	c.r.t.Helper()
	m := c.ask(channel, more)
	require.Equal(c.r.t, true, m["successful"], "%v", m)
	return m
}

// bad asks, and the answer must be this error.
func (c *client) bad(channel, more, want string) testkit.Msg {
	c.r.t.Helper()
	m := c.ask(channel, more)
	require.Equal(c.r.t, false, m["successful"], "%v", m)
	require.Equal(c.r.t, want, m["error"], "%v", m)
	return m
}

const (
	meta    = "/meta/"
	channel = "/service/auth"
)

// hello shakes hands with a token in ext and connects once.
func (c *client) hello(token string) *client {
	c.r.t.Helper()
	m := c.good(meta+"handshake", withToken(token))
	c.id, _ = m["clientId"].(string)
	c.good(meta+"connect", `"advice":{"timeout":0}`)
	return c
}

// withToken is a member of a handshake.
func withToken(token string) string {
	if token == "" {
		return `"version":"1.0"`
	}
	return fmt.Sprintf(`"version":"1.0","ext":{"auth":{"token":%q}}`, token)
}

func (c *client) subscribe(channel string) *client {
	c.r.t.Helper()
	c.good(meta+"subscribe", fmt.Sprintf(`"subscription":%q`, channel))
	return c
}

// refresh is the data of a refresh.
func refresh(token string) string { return fmt.Sprintf(`"data":{"token":%q}`, token) }

// join makes a session of a transport.
func (r *rig) join(transport, token string) *client {
	r.t.Helper()
	return r.client(transport, nil).hello(token)
}

// same compares with JSON.
func sameJSON(t *testing.T, want string, got any) {
	t.Helper()
	raw, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, want, string(raw))
}

// next returns the next message of the inbox, which must come in that (virtual) time.
func (c *client) next(within time.Duration) testkit.Msg {
	c.r.t.Helper()
	select {
	case m := <-c.inbox:
		return m
	case <-time.After(within):
		require.FailNow(c.r.t, "nothing came")
		return nil
	}
}

func (c *client) empty() {
	c.r.t.Helper()
	require.Empty(c.r.t, c.inbox)
}

// picky refuses one user's handshakes after they were authenticated.
type picky struct{ grants }

// CanHandshake implements bayeux.Policy.
func (picky) CanHandshake(_ context.Context, s bayeux.Session, _ *bayeux.Message) error {
	if s.User() == "unwanted" {
		return bayeux.ErrHandshakeDenied
	}
	return nil
}

func trustAll(c *server.Config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
}
