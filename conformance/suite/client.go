package suite

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

const contentType = "application/json;charset=UTF-8"

// Client is a Bayeux client that does what it is told: it sends messages over
// its carrier, matches replies to requests, and keeps what else arrives. It
// retries nothing. Calls that wait belong in the goroutine of the case; Start
// and Hold do not wait.
type Client struct {
	ID     string               // clientId; set by a successful handshake, free to change
	OnHTTP func(*wire.Request)  // changes each HTTP request before it leaves, the upgrade included
	Socket WebSocketPreferences // of the websocket carrier, before the first message

	t    *T
	on   On
	link link

	mu       sync.Mutex
	lastID   int
	cookies  [][2]string
	inbox    []*Message // deliveries that nobody took yet
	stray    []*Message // replies without a request
	pending  []*Pending
	units    int
	arrived  chan struct{} // closed and replaced at each arrival
	connects *Pending      // the connect that Receive keeps outstanding
	left     bool          // disconnected: there is nothing to tidy up
}

// WebSocketPreferences change how the websocket carrier connects.
type WebSocketPreferences struct {
	Protocols  []string
	Extensions string
}

// link is a carrier: it sends a body and hands what arrives to the client.
type link interface {
	send(p *Pending, body []byte) // does not wait; ends the pending exchange in time
	abort(p *Pending)             // gives the exchange up, as a client that dies
	close()
}

// Client returns a new client on the carrier of the case, with no session and
// no cookies.
func (t *T) Client() *Client { return t.ClientOn(t.on) }

// ClientOn returns a client on another carrier; it must be in Needs.
func (t *T) ClientOn(on On) *Client {
	c := &Client{t: t, on: on, arrived: make(chan struct{})}
	c.cookies = append(c.cookies, t.run.opts.cookies()...)
	switch on {
	case WS:
		c.link = &wsLink{c: c}
	case H2:
		h2 := wire.NewHTTP2(t.run.target, t.tape)
		c.link = &h2Link{c: c, h2: h2}
	case ES:
		c.link = &esLink{httpLink: httpLink{c: c}}
	default:
		c.link = &httpLink{c: c}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clients = append(t.clients, c)
	return c
}

// Session returns a client that has shaken hands. It ends the case with a
// failure if that does not succeed.
func (t *T) Session(over ...M) *Client { return t.SessionOn(t.on, over...) }

// SessionOn is Session on another carrier.
func (t *T) SessionOn(on On, over ...M) *Client {
	c := t.ClientOn(on)
	if r := c.Handshake(over...); !r.OK() {
		t.Fatalf("the handshake that this case needs failed: %s", short(r.Raw))
	}
	return c
}

// Connected returns a client that has shaken hands and connected once, with
// advice.timeout 0, so that its next connect is held.
func (t *T) Connected(over ...M) *Client { return t.ConnectedOn(t.on, over...) }

// ConnectedOn is Connected on another carrier.
func (t *T) ConnectedOn(on On, over ...M) *Client {
	c := t.SessionOn(on, over...)
	if r := c.Connect(M{"advice": M{"timeout": 0}}); !r.OK() {
		t.Fatalf("the connect that this case needs failed: %s", short(r.Raw))
	}
	return c
}

// On returns the carrier of the client.
func (c *Client) On() On { return c.on }

// Cookies returns the cookies as they go out.
func (c *Client) Cookies() [][2]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][2]string(nil), c.cookies...)
}

// SetCookies replaces the cookies; several of one name go out in this order.
func (c *Client) SetCookies(cookies ...[2]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cookies = append([][2]string(nil), cookies...)
}

// ShareCookies makes the client one more tab of another's browser.
func (c *Client) ShareCookies(other *Client) { c.SetCookies(other.Cookies()...) }

// keepCookies does with Set-Cookie what a browser does, without regard to
// paths and times.
func (c *Client) keepCookies(h http.Header) {
	for _, set := range (&http.Response{Header: h}).Cookies() {
		kept := c.cookies[:0:0]
		for _, old := range c.cookies {
			if old[0] != set.Name {
				kept = append(kept, old)
			}
		}
		if set.MaxAge >= 0 {
			kept = append(kept, [2]string{set.Name, set.Value})
		}
		c.cookies = kept
	}
}

func (c *Client) cookieHeader() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	pairs := make([]string, 0, len(c.cookies))
	for _, p := range c.cookies {
		pairs = append(pairs, p[0]+"="+p[1])
	}
	return strings.Join(pairs, "; ")
}

// NextID returns the id that the next message would get, and uses it up.
func (c *Client) NextID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	return strconv.Itoa(c.lastID)
}

// Send sends an array of messages as they are and waits for the answer.
func (c *Client) Send(messages ...M) *Answer { return c.Start(messages...).Wait() }

// Start sends an array of messages as they are and does not wait.
func (c *Client) Start(messages ...M) *Pending {
	body, err := json.Marshal(append([]M{}, messages...))
	if err != nil {
		c.t.Brokenf("the case sends what is no JSON: %v", err)
	}
	return c.start(body, messages)
}

// SendRaw sends a body as it is, malformed or not, and waits for the answer.
// Where the body is a message or an array of messages, their replies are
// waited for; else, on a WebSocket, its end, but no longer than T.Prompt.
func (c *Client) SendRaw(body string) *Answer { return c.StartRaw(body).Wait() }

// StartRaw sends a body as it is and does not wait.
func (c *Client) StartRaw(body string) *Pending {
	var all []M
	var one M
	if json.Unmarshal([]byte(body), &all) != nil {
		if all = nil; json.Unmarshal([]byte(body), &one) == nil && one != nil {
			all = []M{one}
		}
	}
	return c.start([]byte(body), all)
}

func (c *Client) start(body []byte, asked []M) *Pending {
	p := &Pending{c: c, asked: asked, replies: make([]*Message, len(asked)), started: time.Now(), ended: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(c.t.ctx)
	c.mu.Lock()
	c.pending = append(c.pending, p)
	c.mu.Unlock()
	c.link.send(p, body)
	return p
}

// Close closes the client's connections without a word; the session is left
// to the server.
func (c *Client) Close() {
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()
	c.link.close()
}

// leave disconnects a session that the case has left behind, and closes.
func (c *Client) leave() {
	c.mu.Lock()
	tidy := c.ID != "" && !c.left
	c.mu.Unlock()
	if tidy && c.t.ctx.Err() == nil {
		p := c.Start(c.DisconnectMessage())
		select {
		case <-p.ended:
		case <-time.After(time.Second):
		}
	}
	c.link.close()
	c.mu.Lock()
	pending := c.pending
	c.mu.Unlock()
	for _, p := range pending {
		p.cancel()
	}
}
