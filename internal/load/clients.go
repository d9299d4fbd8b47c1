package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// channel is where messages go: to it, or in turn to several below it.
const channel = "/load"

// subscription is what clients subscribe to.
func (p *plan) subscription() string {
	if p.own != "" {
		return p.own
	}
	if p.channels > 0 {
		return channel + "/*"
	}
	return channel
}

// target is the channel of a message.
func (p *plan) target(seq int) string {
	if p.channels > 0 {
		return channel + "/" + strconv.Itoa(seq%p.channels)
	}
	return channel
}

// message is what a client reads of a Bayeux message.
type message struct {
	Channel    string          `json:"channel"`
	ClientID   string          `json:"clientId"`
	Successful *bool           `json:"successful"`
	Error      string          `json:"error"`
	Data       json.RawMessage `json:"data"`
}

type payload struct {
	Seq int64  `json:"seq"`
	At  int64  `json:"at"`
	Pad string `json:"pad,omitempty"`
}

// connectAll opens all clients, a bounded number at a time.
func (p *plan) connectAll(ctx context.Context, g *gauge, clients *sync.WaitGroup) error {
	gate := make(chan struct{}, 64)
	errs := make(chan error, p.ws+p.lp)
	var ready sync.WaitGroup
	for i := range p.ws + p.lp {
		gate <- struct{}{}
		ready.Add(1)
		clients.Go(func() {
			open, run := p.openSocket, p.runSocket
			if i >= p.ws {
				open, run = p.openPoll, p.runPoll
			}
			c, err := open(ctx)
			<-gate
			ready.Done()
			if err != nil {
				errs <- err
				return
			}
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			if err := run(c, g); err != nil && ctx.Err() == nil {
				g.failed.Add(1)
				p.say("client: %v\n", err)
			}
		})
	}
	ready.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// client is one connection with its session.
type client struct {
	conn   net.Conn
	in     *bufio.Reader
	id     string
	cookie string
	next   int64
	path   string
	host   string
}

// Close closes the connection.
func (c *client) Close() { _ = c.conn.Close() }

func (c *client) deliver(batch []message, g *gauge) {
	for _, m := range batch {
		if !strings.HasPrefix(m.Channel, channel) || m.Data == nil {
			continue
		}
		var d payload
		if json.Unmarshal(m.Data, &d) != nil {
			g.wrong.Add(1)
			continue
		}
		g.note(d.Seq, c.next, time.Unix(0, d.At))
		c.next = d.Seq + 1
	}
}

func failed(batch []message) error {
	if len(batch) == 0 {
		return errors.New("empty answer")
	}
	for _, m := range batch {
		if m.Successful != nil && !*m.Successful {
			return fmt.Errorf("%s: %s", m.Channel, m.Error)
		}
	}
	return nil
}

func (c *client) connectMessage(now bool) string {
	advice := ""
	if now {
		advice = `,"advice":{"timeout":0}`
	}
	return `[{"channel":"/meta/connect","id":"1","connectionType":"x","clientId":"` + c.id + `"` + advice + `}]`
}

func (p *plan) openSocket(ctx context.Context) (*client, error) {
	return p.openSocketBy(ctx, nil)
}

// openSocketBy opens a WebSocket over a connection that control prepares.
func (p *plan) openSocketBy(ctx context.Context, control func(network, address string, c syscall.RawConn) error) (*client, error) {
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{Control: control}).DialContext(ctx, network, addr)
	}
	conn, buffered, _, err := ws.Dialer{Timeout: 30 * time.Second, ReadBufferSize: 512, WriteBufferSize: 256, NetDial: dial}.Dial(ctx, "ws://"+p.addr+p.path)
	if err != nil {
		return nil, err
	}
	if buffered != nil {
		ws.PutReader(buffered)
	}
	c := &client{conn: conn}
	if err := c.hello(c.askSocket, p.subscription()); err != nil {
		return nil, err
	}
	return c, wsutil.WriteClientText(conn, []byte(c.connectMessage(false)))
}

// hello makes the session: handshake, first connect, subscription.
func (c *client) hello(ask func(string) ([]message, error), subscription string) error {
	batch, err := ask(`[{"channel":"/meta/handshake","version":"1.0","id":"1"}]`)
	if err != nil {
		return err
	}
	if err := failed(batch); err != nil {
		return err
	}
	c.id = batch[0].ClientID
	for _, body := range []string{
		c.connectMessage(true),
		`[{"channel":"/meta/subscribe","id":"2","subscription":"` + subscription + `","clientId":"` + c.id + `"}]`,
	} {
		if batch, err = ask(body); err != nil {
			return err
		}
		if err := failed(batch); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) askSocket(body string) ([]message, error) {
	if err := wsutil.WriteClientText(c.conn, []byte(body)); err != nil {
		return nil, err
	}
	return c.readSocket()
}

func (c *client) readSocket() ([]message, error) {
	data, err := wsutil.ReadServerText(c.conn)
	if err != nil {
		return nil, err
	}
	var batch []message
	return batch, json.Unmarshal(data, &batch)
}

// runSocket keeps one connect held and counts what is pushed.
func (p *plan) runSocket(c *client, g *gauge) error {
	for {
		data, err := wsutil.ReadServerText(c.conn)
		if err != nil {
			return err
		}
		var batch []message
		if err := json.Unmarshal(data, &batch); err != nil {
			return err
		}
		c.deliver(batch, g)
		for _, m := range batch {
			if m.Channel != "/meta/connect" {
				continue
			}
			if err := failed(batch); err != nil {
				return err
			}
			if err := wsutil.WriteClientText(c.conn, []byte(c.connectMessage(false))); err != nil {
				return err
			}
		}
	}
}

func (p *plan) openPoll(ctx context.Context) (*client, error) {
	c, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c, c.hello(c.askPoll, p.subscription())
}

// dial opens a connection for polls.
func (p *plan) dial(ctx context.Context) (*client, error) {
	conn, err := (&net.Dialer{Timeout: 30 * time.Second}).DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 2048), path: p.path, host: p.addr}, nil
}

func (c *client) writePoll(body string) error {
	cookie := ""
	if c.cookie != "" {
		cookie = "Cookie: " + c.cookie + "\r\n"
	}
	_, err := fmt.Fprintf(c.conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		c.path, c.host, cookie, len(body), body)
	return err
}

func (c *client) askPoll(body string) ([]message, error) {
	if err := c.writePoll(body); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	if v := resp.Header.Get("Set-Cookie"); v != "" {
		c.cookie, _, _ = strings.Cut(v, ";")
	}
	var batch []message
	return batch, json.Unmarshal(data, &batch)
}

// runPoll polls for ever.
func (p *plan) runPoll(c *client, g *gauge) error {
	for {
		batch, err := c.askPoll(c.connectMessage(false))
		if err != nil {
			return err
		}
		if err := failed(batch); err != nil {
			return err
		}
		c.deliver(batch, g)
	}
}

// publish sends the messages at the rate of the plan, from a session of its
// own that is not subscribed, and returns how many.
func (p *plan) publish(ctx context.Context) (int, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return 0, err
	}
	c := &client{conn: conn, in: bufio.NewReader(conn), path: p.path, host: p.addr}
	defer c.Close()
	batch, err := c.askPoll(`[{"channel":"/meta/handshake","version":"1.0","id":"1"}]`)
	if err != nil || failed(batch) != nil {
		return 0, errors.Join(err, failed(batch))
	}
	c.id = batch[0].ClientID
	pad := strings.Repeat("x", max(0, p.size-48))
	tick := time.NewTicker(time.Duration(float64(time.Second) / p.rate))
	defer tick.Stop()
	count := int(p.length.Seconds() * p.rate)
	for seq := range count {
		data, _ := json.Marshal(payload{Seq: int64(seq), At: time.Now().UnixNano(), Pad: pad})
		batch, err := c.askPoll(`[{"channel":"` + p.target(seq) + `","id":"3","clientId":"` + c.id + `","data":` + string(data) + `}]`)
		if err != nil || failed(batch) != nil {
			return seq, errors.Join(err, failed(batch))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return seq, ctx.Err()
		}
	}
	return count, nil
}
