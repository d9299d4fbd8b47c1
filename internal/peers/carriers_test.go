//go:build peers

package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// msg is a Bayeux message.
type msg = map[string]any

// carrier takes one message to a server. exchange returns what came with the
// answer; messages that come otherwise are in later answers, or in pushed.
type carrier interface {
	exchange(m msg) []msg
	pushed() []msg
}

// open opens a carrier of that name to a peer.
func open(t *testing.T, p *Peer, transport string) carrier {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	way := &http.Transport{}
	t.Cleanup(way.CloseIdleConnections)
	web := &web{t: t, ctx: ctx, url: p.URL(), client: &http.Client{Transport: way}, append: AppendsType(p.Name())}
	switch transport {
	case "long-polling":
		return polling{web}
	case "callback-polling":
		return callback{web}
	case "eventsource":
		return &stream{web: web}
	default:
		return dial(ctx, t, p)
	}
}

// web sends HTTP requests of one browser.
type web struct {
	t      *testing.T
	ctx    context.Context
	url    string
	client *http.Client
	cookie string
	append bool
}

// at returns the URL for a message.
func (w *web) at(m msg) string {
	if !w.append {
		return w.url
	}
	switch channel, _ := m["channel"].(string); channel {
	case "/meta/subscribe", "/meta/unsubscribe":
		return w.url
	case "/meta/handshake", "/meta/disconnect":
		return w.url + "/" + path.Base(channel)
	default: // axum-cometd takes publications with the connects
		return w.url + "/connect"
	}
}

func (w *web) do(r *http.Request) *http.Response {
	w.t.Helper()
	if w.cookie != "" {
		r.Header.Set("Cookie", w.cookie)
	}
	response, err := w.client.Do(r)
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, response.StatusCode)
	if set := response.Header.Get("Set-Cookie"); set != "" {
		w.cookie, _, _ = strings.Cut(set, ";")
	}
	return response
}

func (w *web) text(r *http.Request) string {
	w.t.Helper()
	response := w.do(r)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return string(body)
}

type polling struct{ *web }

func (c polling) exchange(m msg) []msg {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.at(m), bytes.NewReader(encode(c.t, m)))
	require.NoError(c.t, err)
	r.Header.Set("Content-Type", "application/json")
	return decode(c.t, c.text(r))
}

func (polling) pushed() []msg { return nil }

type callback struct{ *web }

func (c callback) exchange(m msg) []msg {
	c.t.Helper()
	query := url.Values{"jsonp": {"cb"}, "message": {string(encode(c.t, m))}}
	r, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.url+"?"+query.Encode(), nil)
	require.NoError(c.t, err)
	text := strings.TrimPrefix(c.text(r), "/**/")
	text, ok := strings.CutPrefix(text, "cb(")
	require.True(c.t, ok, text)
	return decode(c.t, strings.TrimSuffix(strings.TrimSuffix(text, ";"), ")"))
}

func (callback) pushed() []msg { return nil }

// stream is Faye's EventSource: an endless response beside requests as in
// long-polling; its first event comes when there is something to say.
type stream struct {
	*web
	lines *bufio.Scanner
}

func (s *stream) exchange(m msg) []msg {
	s.t.Helper()
	if m["channel"] == "/meta/connect" {
		return nil // the stream is the connection
	}
	answer := polling{s.web}.exchange(m)
	if id, ok := answer[0]["clientId"].(string); ok && s.lines == nil {
		r, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.url+"/"+id, nil)
		require.NoError(s.t, err)
		r.Header.Set("Accept", "text/event-stream")
		response := s.do(r)
		s.t.Cleanup(func() { response.Body.Close() })
		s.lines = bufio.NewScanner(response.Body)
	}
	return answer
}

func (s *stream) pushed() []msg {
	s.t.Helper()
	for s.lines.Scan() {
		if data, ok := strings.CutPrefix(s.lines.Text(), "data: "); ok {
			return decode(s.t, data)
		}
	}
	require.FailNow(s.t, "the stream has ended", "%v", s.lines.Err())
	return nil
}

type socket struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
	box  []msg // came while an answer was awaited
}

func dial(ctx context.Context, t *testing.T, p *Peer) *socket {
	t.Helper()
	conn, response, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.URL(), "http"), nil)
	require.NoError(t, err)
	if response.Body != nil {
		response.Body.Close()
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{t: t, ctx: ctx, conn: conn}
}

// exchange reads until the reply to the message has come.
func (s *socket) exchange(m msg) []msg {
	s.t.Helper()
	require.NoError(s.t, s.conn.Write(s.ctx, websocket.MessageText, encode(s.t, m)))
	for {
		for i, got := range s.box {
			if got["id"] == m["id"] && got["successful"] != nil {
				s.box = append(s.box[:i:i], s.box[i+1:]...)
				return []msg{got}
			}
		}
		s.read()
	}
}

func (s *socket) pushed() []msg {
	s.t.Helper()
	if len(s.box) == 0 {
		s.read()
	}
	got := s.box
	s.box = nil
	return got
}

func (s *socket) read() {
	s.t.Helper()
	_, data, err := s.conn.Read(s.ctx)
	require.NoError(s.t, err)
	s.box = append(s.box, decode(s.t, string(data))...)
}

func encode(t *testing.T, m msg) []byte {
	t.Helper()
	text, err := json.Marshal([]msg{m})
	require.NoError(t, err)
	return text
}

func decode(t *testing.T, text string) (all []msg) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &all), text)
	return all
}

// session is a conversation over a carrier.
type session struct {
	carrier
	t  *testing.T
	id any
	n  int
}

// send sends a message and returns its reply and the messages beside it.
func (s *session) send(m msg) (reply msg, beside []msg) {
	s.t.Helper()
	s.n++
	id := fmt.Sprint(s.n)
	m["id"] = id
	if s.id != nil {
		m["clientId"] = s.id
	}
	for _, got := range s.exchange(m) {
		if got["id"] == id && got["successful"] != nil {
			reply = got
		} else {
			beside = append(beside, got)
		}
	}
	return reply, beside
}

// done sends a message that must succeed and returns what came beside the reply.
func (s *session) done(m msg) []msg {
	s.t.Helper()
	reply, beside := s.send(m)
	require.Equal(s.t, true, reply["successful"], "%v → %v", m, reply)
	return beside
}
