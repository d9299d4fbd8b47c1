//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rawMessage is the part of a Bayeux message that the raw client looks at.
type rawMessage struct {
	Channel      string          `json:"channel"`
	ID           string          `json:"id"`
	ClientID     string          `json:"clientId"`
	Data         json.RawMessage `json:"data"`
	Successful   *bool           `json:"successful"`
	Error        string          `json:"error"`
	Subscription json.RawMessage `json:"subscription"`
	Advice       *struct {
		Reconnect string `json:"reconnect"`
		Interval  int    `json:"interval"`
	} `json:"advice"`
	Ext *struct {
		Ack json.RawMessage `json:"ack"`
	} `json:"ext"`
}

func (m rawMessage) ok() bool { return m.Successful != nil && *m.Successful }

// rawClient speaks Bayeux by plain HTTP requests: long-polling or callback-polling.
type rawClient struct {
	url   string
	jsonp bool
	ack   bool
	http  *http.Client
	box   *inbox

	ctx    context.Context
	cancel context.CancelFunc
	loop   sync.WaitGroup

	mu        sync.Mutex
	id        int
	clientID  string
	cookie    string
	batch     int // the last acknowledgement number received.
	subs      map[string]bool
	finishing bool
}

func newRawClient(t *testing.T, base string, jsonp, ack bool) *rawClient {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &rawClient{
		url: base, jsonp: jsonp, ack: ack, box: newInbox(), ctx: ctx, cancel: cancel, subs: map[string]bool{},
		http: &http.Client{
			// It is there to talk to the client under test, not to be one.
			Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
			Timeout:   patience,
		},
	}
	t.Cleanup(c.Close)
	return c
}

// About implements client.
func (c *rawClient) About(context.Context) (about, error) {
	return about{Client: "plain HTTP requests", Version: "-"}, nil
}

// Inbox implements client.
func (c *rawClient) Inbox() *inbox { return c.box }

// Close implements client.
func (c *rawClient) Close() {
	c.cancel()
	c.loop.Wait()
	c.http.CloseIdleConnections()
}

// Do implements client.
func (c *rawClient) Do(ctx context.Context, cmd command) error {
	switch cmd.Cmd {
	case "handshake":
		if err := c.handshake(ctx); err != nil {
			return err
		}
		c.loop.Go(c.poll)
		return nil
	case "batch":
		return c.send(ctx, cmd.Ops...)
	default:
		return c.send(ctx, cmd)
	}
}

// send puts commands into one request and takes the first refusal as the error.
func (c *rawClient) send(ctx context.Context, cmds ...command) error {
	var batch []map[string]any
	for _, cmd := range cmds {
		m := map[string]any{"channel": "/meta/" + cmd.Cmd}
		switch cmd.Cmd {
		case "publish":
			m["channel"], m["data"] = cmd.Channel, cmd.Data
		case "subscribe", "unsubscribe":
			m["subscription"] = cmd.Channel
		case "disconnect":
			c.mu.Lock()
			c.finishing = true
			c.mu.Unlock()
		}
		batch = append(batch, m)
	}
	replies, err := c.exchange(ctx, batch)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range replies {
		if !r.ok() {
			return fmt.Errorf("%s refused: %s", r.Channel, r.Error)
		}
		switch cmds[i].Cmd {
		case "subscribe":
			c.subs[cmds[i].Channel] = true
		case "unsubscribe":
			delete(c.subs, cmds[i].Channel)
		}
	}
	return nil
}

func (c *rawClient) handshake(ctx context.Context) error {
	m := map[string]any{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{c.connectionType()}}
	if c.ack {
		m["ext"] = map[string]any{"ack": true}
	}
	replies, err := c.exchange(ctx, []map[string]any{m})
	if err != nil {
		return err
	}
	if !replies[0].ok() {
		return errors.New("handshake refused: " + replies[0].Error)
	}
	return nil
}

func (c *rawClient) connectionType() string {
	if c.jsonp {
		return "callback-polling"
	}
	return "long-polling"
}

// poll keeps the session connected until it ends or the client is closed.
func (c *rawClient) poll() {
	for c.ctx.Err() == nil {
		m := map[string]any{"channel": "/meta/connect", "connectionType": c.connectionType()}
		if c.ack {
			c.mu.Lock()
			m["ext"] = map[string]any{"ack": c.batch}
			c.mu.Unlock()
		}
		replies, err := c.exchange(c.ctx, []map[string]any{m})
		wait := 100 * time.Millisecond
		if err == nil {
			var more bool
			if wait, more = c.next(replies[0]); !more {
				return
			}
		} else {
			c.box.add(event{Kind: "meta", Channel: "/meta/connect", Error: err.Error()})
		}
		c.rest(wait)
	}
}

// next follows the advice of a connect reply: how long to wait, and whether to go on.
func (c *rawClient) next(r rawMessage) (time.Duration, bool) {
	wait := time.Duration(0)
	reconnect := "retry"
	if r.Advice != nil {
		wait = time.Duration(r.Advice.Interval) * time.Millisecond
		if r.Advice.Reconnect != "" {
			reconnect = r.Advice.Reconnect
		}
	}
	c.mu.Lock()
	finishing := c.finishing
	c.mu.Unlock()
	switch {
	case reconnect == "none" || finishing:
		return 0, false
	case reconnect == "handshake":
		if err := c.again(); err != nil {
			c.box.add(event{Kind: "meta", Channel: "/meta/handshake", Error: err.Error()})
			return 100 * time.Millisecond, true
		}
	}
	return wait, true
}

// again makes a new session and subscribes to what the old one had.
func (c *rawClient) again() error {
	if err := c.handshake(c.ctx); err != nil {
		return err
	}
	c.mu.Lock()
	subs := slices.Sorted(maps.Keys(c.subs))
	c.mu.Unlock()
	for _, s := range subs {
		if err := c.send(c.ctx, subscribe(s)); err != nil {
			return err
		}
	}
	return nil
}

func (c *rawClient) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	}
}

// exchange sends messages in one request, notes what was pushed, and returns the replies in the order of the messages.
func (c *rawClient) exchange(ctx context.Context, batch []map[string]any) ([]rawMessage, error) {
	ids := c.stamp(batch)
	body, err := json.Marshal(batch)
	if err != nil {
		return nil, err
	}
	answer, err := c.roundTrip(ctx, body)
	if err != nil {
		return nil, err
	}
	var all []rawMessage
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, fmt.Errorf("unreadable answer %.200q: %w", answer, err)
	}
	var replies []rawMessage
	for _, m := range all {
		if m.Successful == nil || len(replies) == len(ids) || m.ID != ids[len(replies)] {
			c.box.add(event{Kind: "message", Channel: m.Channel, Data: compact(m.Data)})
			continue
		}
		c.note(m)
		replies = append(replies, m)
	}
	if len(replies) != len(ids) {
		return nil, fmt.Errorf("%d replies to %d messages: %.500s", len(replies), len(ids), answer)
	}
	return replies, nil
}

// stamp numbers the messages and puts the session's id on them.
func (c *rawClient) stamp(batch []map[string]any) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []string
	for _, m := range batch {
		c.id++
		id := strconv.Itoa(c.id)
		m["id"] = id
		if m["channel"] != "/meta/handshake" {
			m["clientId"] = c.clientID
		}
		ids = append(ids, id)
	}
	return ids
}

// note keeps what a reply says about the session, and tells it to the inbox.
func (c *rawClient) note(m rawMessage) {
	c.mu.Lock()
	switch {
	case m.Channel == "/meta/handshake" && m.ok():
		c.clientID, c.batch = m.ClientID, 0
	case m.Channel == "/meta/connect" && m.ok() && m.Ext != nil:
		if n, err := strconv.Atoi(string(m.Ext.Ack)); err == nil {
			c.batch = n
		}
	}
	c.mu.Unlock()
	e := event{
		Kind: "meta", Channel: m.Channel, OK: m.ok(), ClientID: m.ClientID, Error: m.Error,
		Subscription: m.Subscription, Transport: c.connectionType(),
	}
	if m.Ext != nil {
		e.Ack = m.Ext.Ack
	}
	c.box.add(e)
}

func (c *rawClient) roundTrip(ctx context.Context, body []byte) ([]byte, error) {
	req, err := c.request(ctx, body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.cookie != "" {
		req.Header.Set("Cookie", c.cookie)
	}
	c.mu.Unlock()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP %s: %.200s", resp.Status, answer)
	}
	for _, k := range resp.Cookies() {
		c.mu.Lock()
		c.cookie = k.Name + "=" + k.Value
		c.mu.Unlock()
	}
	if !c.jsonp {
		return answer, nil
	}
	script := strings.TrimPrefix(string(answer), "/**/")
	inner, found := strings.CutPrefix(script, "cb.a_b(")
	inner, closed := strings.CutSuffix(inner, ")")
	if !found || !closed {
		return nil, fmt.Errorf("no callback: %.200s", answer)
	}
	return []byte(inner), nil
}

func (c *rawClient) request(ctx context.Context, body []byte) (*http.Request, error) {
	if c.jsonp {
		return http.NewRequestWithContext(ctx, http.MethodGet, c.url+"?"+url.Values{"jsonp": {"cb.a_b"}, "message": {string(body)}}.Encode(), nil)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// compact drops the blanks of a JSON value.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// connected makes a client's session and waits for its first connect reply.
func connected(t *testing.T, c client) {
	t.Helper()
	mark := c.Inbox().mark()
	do(t, c, command{Cmd: "handshake"})
	awaitMeta(t, c, mark, 1, "/meta/connect")
	require.Equal(t, 1, count(c.Inbox().since(mark), "/meta/handshake"))
}
