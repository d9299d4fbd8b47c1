package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/internal/testkit"
)

// What the wire tests share. Bodies are written with $ for the clientId.

const (
	wireUnknown  = `{"reconnect":"handshake","interval":0}`            // advice of an unknown session
	wireFull     = `{"reconnect":"retry","interval":0,"timeout":4000}` // advice of the rig's options
	wireHeldOK   = `[{"channel":"/meta/connect","id":"c1","successful":true}]`
	wireHeldNone = `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":{"reconnect":"none"}}]`
	wireFarewell = `{"channel":"/meta/disconnect","successful":true}`
	wireGone     = `[{"channel":"/meta/connect","id":"c1","successful":false,"error":"402::session_unknown","advice":` + wireUnknown + `}]`
)

// wireHold sends a connect and waits until it is held.
func wireHold(u *user) <-chan *testkit.Reply {
	u.r.t.Helper()
	held := u.later(connectHold)
	wireStillHeld(u.r.t, held)
	return held
}

// wireStillHeld asserts that a request is not answered yet.
func wireStillHeld(t *testing.T, held <-chan *testkit.Reply) {
	t.Helper()
	synctest.Wait()
	select {
	case reply := <-held:
		require.FailNow(t, "the connect was not held", "%+v", reply)
	default:
	}
}

// wireAnswered returns an answer that must be there by now.
func wireAnswered(t *testing.T, held <-chan *testkit.Reply) *testkit.Reply {
	t.Helper()
	synctest.Wait()
	select {
	case reply := <-held:
		require.NotNil(t, reply, "the round trip failed")
		return reply
	default:
		require.FailNow(t, "the connect is still held")
		return nil
	}
}

// wireAt returns another user for the same wire: another id, another cookie.
func wireAt(r *rig, id, cookie string) *user { return &user{r: r, id: id, cookie: cookie} }

// wireAlive tells whether the server knows the session.
func wireAlive(u *user) bool {
	_, ok := u.r.srv.Session(u.id)
	return ok
}

// wireSession returns the server's view of the user's session.
func wireSession(u *user) bayeux.Session {
	u.r.t.Helper()
	s, ok := u.r.srv.Session(u.id)
	require.True(u.r.t, ok)
	return s
}

// wirePolicy is a policy of functions; nil ones allow.
type wirePolicy struct {
	handshake func(s bayeux.Session, m *bayeux.Message) error
	create    func(ch channels.Name) error
	publish   func(ch channels.Name) error
}

func (p wirePolicy) CanHandshake(_ context.Context, s bayeux.Session, m *bayeux.Message) error {
	if p.handshake == nil {
		return nil
	}
	return p.handshake(s, m)
}

func (p wirePolicy) CanCreate(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	if p.create == nil {
		return nil
	}
	return p.create(ch)
}

func (wirePolicy) CanSubscribe(context.Context, bayeux.Session, channels.Pattern, *bayeux.Message) error {
	return nil
}

func (p wirePolicy) CanPublish(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	if p.publish == nil {
		return nil
	}
	return p.publish(ch)
}

// wireWith returns a change of the rig that sets the policy, and extensions
// in place of the rig's.
func wireWith(p bayeux.Policy, extensions ...bayeux.Extension) func(*server.Config) {
	return func(c *server.Config) {
		c.Policy, c.Extensions = p, extensions
	}
}

// wireListen serves h on a listener of its own, for what the rig's cannot do;
// the returned function ends it.
func wireListen(srv *http.Server, h http.Handler) (*testkit.Listener, func()) {
	l := testkit.Listen()
	srv.Handler = h
	go func() { _ = srv.Serve(l) }()
	return l, func() { _ = srv.Close() }
}

// wireClient is an HTTP client of such a listener.
func wireClient(l *testkit.Listener, p *http.Protocols) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Protocols:   p,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) },
	}}
}

// tlsServer serves h over TLS on the loopback.
func tlsServer(h http.Handler, http2 bool) *httptest.Server {
	ts := httptest.NewUnstartedServer(h)
	ts.EnableHTTP2 = http2
	ts.StartTLS()
	return ts
}

// tlsPost sends a batch. It may be called on any goroutine.
func tlsPost(t *testing.T, client *http.Client, url, cookie, body string) (resp *http.Response, batch []testkit.Msg) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err == nil {
		req.Header.Set("Cookie", cookie)
		resp, err = client.Do(req)
	}
	if err == nil {
		err = errors.Join(json.NewDecoder(resp.Body).Decode(&batch), resp.Body.Close())
	}
	if err != nil {
		t.Error(err)
	}
	return resp, batch
}
