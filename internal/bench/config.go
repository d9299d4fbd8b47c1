// Package bench is a load generator for Bayeux servers, the engine behind
// `halley bench`. It imports nothing of the server.
//
// A run is a Config given to Run; its outcome is a Result, which WriteJSON and
// WriteHTML turn into reports. FindMax repeats runs to find the highest rate
// that a server sustains.
//
//	config.go, schedule.go   what is asked for, and when each message is due
//	client.go, publish.go    the two kinds of sessions, without I/O of their own
//	centrifuge.go            the same in another protocol
//	wire.go, frames.go, http.go   bytes of a connection to payloads and back
//	loop.go, loop_linux.go   a goroutine for each connection, or epoll shards
//	tally.go                 counters and histograms
//	run.go, churn.go, find.go     the kinds of runs
package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"time"
)

// Transports.
const (
	WebSocket       = "websocket"
	LongPolling     = "long-polling"
	CallbackPolling = "callback-polling"
)

// Modes of a run.
const (
	// Fanout publishes on a schedule to clients that have subscribed.
	Fanout = "fanout"
	// Idle connects and subscribes, and then holds still.
	Idle = "idle"
	// Churn makes sessions and ends them, each client one after the other: over
	// a kept connection when polling, with a new connection each over WebSocket.
	Churn = "churn"
	// Acks publishes to a channel of nobody; each acknowledgement lets the next
	// message go.
	Acks = "acks"
)

// Config says what to do to a server. The zero value of a field means the
// default that is named.
type Config struct {
	// URL of the server: http, https, ws or wss.
	URL string `json:"url"`
	// Mode is Fanout, Idle, Churn or Acks. Default: Fanout.
	Mode string `json:"mode"`
	// Wire is what is spoken, Bayeux or Centrifuge. Default: Bayeux.
	Wire string `json:"wire"`
	// Transport of the clients. Default: WebSocket.
	Transport string `json:"transport"`
	// PublishTransport is that of publishers. Default: Transport.
	PublishTransport string `json:"publishTransport"`
	// Clients that subscribe, or that come and go (default 1).
	Clients int `json:"clients"`
	// Rooms are groups of channels with the same members (default 1).
	Rooms int `json:"rooms"`
	// Channels of each room (default 1).
	Channels int `json:"channels"`
	// Subscriptions is how many rooms each client is in, each with all its
	// channels (default 1).
	Subscriptions int `json:"subscriptions"`
	// Publishers are sessions of their own (default 1). They share the channels
	// out among them.
	Publishers int `json:"publishers"`
	// Rate is how many messages are published a second, by all publishers.
	Rate float64 `json:"rate"`
	// Deliveries a second, instead of Rate, which follows from it.
	Deliveries float64 `json:"deliveries,omitempty"`
	// Size of the data of a message, in bytes of JSON (default 100, at least 49).
	Size int `json:"size"`
	// Batch is how many messages leave together, in one array (default 1).
	Batch int `json:"batch"`
	// Window is how many messages of a publisher await their acknowledgement in
	// the mode Acks (default 1; over HTTP it is 1).
	Window int `json:"window"`
	// Ack asks for the acknowledgement extension.
	Ack bool `json:"ack"`
	// ConnectRate bounds new sessions a second; 0 for as fast as it goes.
	ConnectRate float64 `json:"connectRate"`
	// Warmup is not measured. Duration is (default 10 s).
	Warmup   time.Duration `json:"warmupNs"`
	Duration time.Duration `json:"durationNs"`
	// Settle is the pause between the last connect and the first message, or in
	// the mode Idle the first sample that counts (default 500 ms).
	Settle time.Duration `json:"settleNs"`
	// Drain bounds the wait for messages after the last was sent (default 5 s).
	Drain time.Duration `json:"drainNs"`
	// Timeout bounds connecting: each dial, and all together 10 times that
	// (default 30 s).
	Timeout time.Duration `json:"timeoutNs"`
	// Interval of samples (default 1 s).
	Interval time.Duration `json:"intervalNs"`
	// P99 is the bound that a good run keeps (default 1 s).
	P99 time.Duration `json:"p99Ns"`
	// PID of the server, to sample it; 0 for none.
	PID int `json:"pid,omitempty"`
	// Portable uses a goroutine for each connection also where epoll is there.
	Portable bool `json:"portable,omitempty"`

	// TLS configures https and wss; nil for the system's roots.
	TLS *tls.Config `json:"-"`
	// Dial replaces the network, for tests; it implies Portable.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `json:"-"`
	// Progress is called with each sample, from one goroutine.
	Progress func(Sample) `json:"-"`
}

// minSize is the size of the data of a message without padding.
const minSize = 49

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// withDefaults returns the configuration completed and checked; errors name
// the field.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Mode, Fanout)
	setDefault(&c.Wire, Bayeux)
	setDefault(&c.Transport, WebSocket)
	setDefault(&c.PublishTransport, c.Transport)
	for _, n := range []*int{&c.Clients, &c.Rooms, &c.Channels, &c.Subscriptions, &c.Publishers, &c.Batch, &c.Window} {
		setDefault(n, 1)
	}
	setDefault(&c.Size, 100)
	setDefault(&c.Duration, 10*time.Second)
	setDefault(&c.Settle, 500*time.Millisecond)
	setDefault(&c.Drain, 5*time.Second)
	setDefault(&c.Timeout, 30*time.Second)
	setDefault(&c.Interval, time.Second)
	setDefault(&c.P99, time.Second)
	if err := c.check(); err != nil {
		return c, err
	}
	if c.Mode == Fanout {
		if c.Deliveries > 0 {
			c.Rate = c.Deliveries / c.perMessage()
		}
		if c.Rate <= 0 || math.IsInf(c.Rate, 0) || math.IsNaN(c.Rate) {
			return c, errors.New("rate: want messages or deliveries a second, more than 0")
		}
	}
	return c, nil
}

// Check says what is wrong with the configuration, naming the field, as Run
// would.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

func (c *Config) check() error {
	if _, err := c.target(); err != nil {
		return err
	}
	if !slices.Contains([]string{Fanout, Idle, Churn, Acks}, c.Mode) {
		return fmt.Errorf("mode: want fanout, idle, churn or acks, not %q", c.Mode)
	}
	if err := c.checkWire(); err != nil {
		return err
	}
	for _, name := range []string{c.Transport, c.PublishTransport} {
		if !slices.Contains([]string{WebSocket, LongPolling, CallbackPolling}, name) {
			return fmt.Errorf("transport: want websocket, long-polling or callback-polling, not %q", name)
		}
	}
	for _, f := range []struct {
		name   string
		v, max int
	}{
		{"clients", c.Clients, 10_000_000},
		{"rooms", c.Rooms, 1_000_000},
		{"channels", c.Channels, 1_000_000},
		{"rooms times channels", c.Rooms * c.Channels, 1 << 24},
		{"subscriptions", c.Subscriptions, c.Rooms},
		{"publishers", c.Publishers, 10_000},
		{"batch", c.Batch, 1000},
		{"window", c.Window, 1 << 16},
	} {
		if f.v < 1 || f.v > f.max {
			return fmt.Errorf("%s: want 1 to %d, not %d", f.name, f.max, f.v)
		}
	}
	if c.Size < minSize || c.Size > 1<<20 {
		return fmt.Errorf("size: want %d to %d bytes, not %d", minSize, 1<<20, c.Size)
	}
	for _, d := range []time.Duration{c.Warmup, c.Duration, c.Settle, c.Drain, c.Timeout, c.Interval, c.P99} {
		if d < 0 || d > 24*time.Hour {
			return fmt.Errorf("duration: want 0 to 24 hours, not %v", d)
		}
	}
	if c.Mode == Acks && c.Window > 1 && c.PublishTransport != WebSocket {
		return errors.New("window: over HTTP it is 1")
	}
	return nil
}

func (c *Config) checkWire() error {
	switch {
	case c.Wire == Bayeux:
		return nil
	case c.Wire != Centrifuge:
		return fmt.Errorf("wire: want bayeux or centrifuge, not %q", c.Wire)
	case c.Transport != WebSocket || c.PublishTransport != WebSocket || c.Ack:
		return errors.New("wire: centrifuge goes over websocket, and has no ack")
	}
	return nil
}

// target is the server's address.
type target struct {
	secure     bool
	addr, host string // to dial; for the Host header
	path       string
}

func (c *Config) target() (target, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return target{}, fmt.Errorf("url: %w", err)
	}
	t := target{host: u.Host, addr: u.Host, path: u.RequestURI()}
	port := "80"
	switch u.Scheme {
	case "http", "ws":
	case "https", "wss":
		t.secure, port = true, "443"
	default:
		return target{}, fmt.Errorf("url %q: want http, https, ws or wss", c.URL)
	}
	if u.Hostname() == "" {
		return target{}, fmt.Errorf("url %q: the host is missing", c.URL)
	}
	if u.Port() == "" {
		t.addr = net.JoinHostPort(u.Hostname(), port)
	}
	return t, nil
}

// channelsOf are the numbers of the channels that a client subscribes to, in
// order. The rooms of a client follow one another.
func (c *Config) channelsOf(client int) []int {
	all := make([]int, 0, c.Subscriptions*c.Channels)
	for k := range c.Subscriptions {
		room := (client*c.Subscriptions + k) % c.Rooms
		for ch := range c.Channels {
			all = append(all, room*c.Channels+ch)
		}
	}
	slices.Sort(all)
	return all
}

// streams is how many there are: one for each channel, or for each publisher
// where these are more. Stream s is of channel s modulo the channels.
func (c *Config) streams() int { return max(c.Rooms*c.Channels, c.Publishers) }

// blockOf is the part of the streams that a publisher sends: neighbours, so
// that a batch goes to rooms that follow one another.
func blockOf(publisher, publishers, streams int) (first, end int) {
	return publisher * streams / publishers, (publisher + 1) * streams / publishers
}

// streamsOf are the streams of channels, in order.
func (c *Config) streamsOf(channels []int) []int {
	var all []int
	for _, ch := range channels {
		for s := ch; s < c.streams(); s += c.Rooms * c.Channels {
			all = append(all, s)
		}
	}
	slices.Sort(all)
	return all
}

// members counts the subscribers of each channel.
func (c *Config) members() []int {
	n := make([]int, c.Rooms*c.Channels)
	for i := range c.Clients {
		for k := range c.Subscriptions {
			room := (i*c.Subscriptions + k) % c.Rooms
			for ch := range c.Channels {
				n[room*c.Channels+ch]++
			}
		}
	}
	return n
}

// perMessage is how many deliveries a message makes on average.
func (c *Config) perMessage() float64 {
	return float64(c.Clients) * float64(c.Subscriptions) / float64(c.Rooms)
}

// channelName names a channel by its number. Each run has channels of its own:
// sessions of the run before may live on, subscribed.
func (c *Config) channelName(run string, n int) string {
	return fmt.Sprintf("/bench/%s/%d/%d", run, n/c.Channels, n%c.Channels)
}
