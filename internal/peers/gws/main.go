// Command gws is the WebSocket library github.com/lxzan/gws with just enough
// Bayeux to be the target of a load generator: what a fan-out costs on a good
// library of Go, without a protocol worth the name. It understands what a floor
// of package floors does and leaves out what they leave out; a connect is held
// for as long as the connection lives unless its advice says timeout 0. Never put it where
// anybody else can reach it.
//
//	gws PORT [async=true]
//
// Each publication is made a frame once. async=true writes it by gws's
// Broadcaster, which has a queue and a goroutine for each connection that is
// busy; without it the publisher's goroutine writes to one subscriber after the
// other.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"github.com/halleypush/halley/internal/peers/envelope"
)

// maxMessage bounds a message from a client; headerTime the head of a request;
// writeTime a write to a client that does not read, which then is closed.
const (
	maxMessage = 1 << 20
	headerTime = 10 * time.Second
	writeTime  = 10 * time.Second
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	port, async, err := parse(args)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port) //nolint:noctx // lives as long as the process
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(os.Stdout, "listening http://%s/cometd\n", listener.Addr())
	return serve(listener, async)
}

// parse reads PORT [async=true].
func parse(args []string) (port string, async bool, err error) {
	if len(args) == 0 {
		return "", false, errors.New("usage: gws PORT [async=true]")
	}
	if _, err = strconv.ParseUint(args[0], 10, 16); err != nil {
		return "", false, fmt.Errorf("port %q: want 0 to 65535", args[0])
	}
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		if name != "async" {
			return "", false, fmt.Errorf("option %q is unknown; there is async", name)
		}
		if async, err = strconv.ParseBool(value); err != nil {
			return "", false, fmt.Errorf("option async=%q: want true or false", value)
		}
	}
	return args[0], async, nil
}

// serve serves until the listener is closed.
func serve(listener net.Listener, async bool) error {
	h := &hub{async: async, topics: map[string]map[*gws.Conn]struct{}{}, of: map[*gws.Conn]*client{}}
	upgrader := gws.NewUpgrader(h, &gws.ServerOption{ReadMaxPayloadSize: maxMessage, WriteMaxPayloadSize: maxMessage})
	server := http.Server{ReadHeaderTimeout: headerTime, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if socket, err := upgrader.Upgrade(w, r); err == nil {
			go socket.ReadLoop() // so that what net/http grew for the request goes
		}
	})}
	return server.Serve(listener)
}

// client is a connection's session. Its mutex also orders what is written.
type client struct {
	mu     sync.Mutex
	id     []byte // in quotes
	topics map[string]struct{}
	out    []byte
}

// hub implements gws.Event.
type hub struct {
	gws.BuiltinEventHandler
	async bool

	mu     sync.RWMutex
	topics map[string]map[*gws.Conn]struct{}
	of     map[*gws.Conn]*client
	made   int
}

// OnOpen makes a session.
func (h *hub) OnOpen(socket *gws.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made++
	h.of[socket] = &client{id: fmt.Appendf(nil, `"gws%d"`, h.made), topics: map[string]struct{}{}}
}

// OnClose ends it.
func (h *hub) OnClose(socket *gws.Conn, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.of[socket]
	delete(h.of, socket)
	for name := range c.topics {
		h.leave(socket, name)
	}
}

func (h *hub) leave(socket *gws.Conn, name string) {
	delete(h.topics[name], socket)
	if len(h.topics[name]) == 0 {
		delete(h.topics, name)
	}
}

// OnMessage answers the messages of a frame by one frame.
func (h *hub) OnMessage(socket *gws.Conn, frame *gws.Message) {
	defer func() { _ = frame.Close() }()
	h.mu.RLock()
	c := h.of[socket]
	h.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	out := append(c.out[:0], '[')
	for rest := frame.Bytes(); ; {
		m, more, ok := envelope.Next(rest)
		if !ok {
			break
		}
		rest = more
		out = h.take(socket, c, &m, out)
	}
	c.out = out
	if len(out) > 1 {
		write(socket, append(out, ']'))
	}
}

func write(socket *gws.Conn, b []byte) {
	_ = socket.SetWriteDeadline(time.Now().Add(writeTime))
	_ = socket.WriteMessage(gws.OpcodeText, b) // what fails closes the connection
}

// take takes a message and appends the reply.
func (h *hub) take(socket *gws.Conn, c *client, m *envelope.Message, out []byte) []byte {
	kind := m.Kind()
	switch kind {
	case envelope.Connect:
		if !m.AtOnce() {
			return out // held
		}
	case envelope.Subscribe, envelope.Unsubscribe:
		h.mu.Lock()
		name := string(m.Subscription)
		if kind == envelope.Unsubscribe {
			delete(c.topics, name)
			h.leave(socket, name)
		} else {
			if h.topics[name] == nil {
				h.topics[name] = map[*gws.Conn]struct{}{}
			}
			h.topics[name][socket], c.topics[name] = struct{}{}, struct{}{}
		}
		h.mu.Unlock()
	case envelope.Handshake, envelope.Disconnect:
	case envelope.Publish:
		h.deliver(m)
	}
	if len(out) > 1 {
		out = append(out, ',')
	}
	out = append(append(out, `{"channel":`...), m.Channel...)
	if m.ID != nil {
		out = append(append(out, `,"id":`...), m.ID...)
	}
	switch kind {
	case envelope.Handshake:
		out = append(append(out, `,"clientId":`...), c.id...)
		out = append(out, `,"version":"1.0","supportedConnectionTypes":["websocket"],"advice":{"reconnect":"retry","interval":0,"timeout":3600000}`...)
	case envelope.Subscribe, envelope.Unsubscribe:
		out = append(append(out, `,"subscription":`...), m.Subscription...)
	}
	return append(out, `,"successful":true}`...)
}

// deliver sends one frame to each subscriber.
func (h *hub) deliver(m *envelope.Message) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	subscribers := h.topics[string(m.Channel)]
	if len(subscribers) == 0 {
		return
	}
	body := append([]byte(`[{"channel":`), m.Channel...)
	body = append(append(append(body, `,"data":`...), m.Data...), "}]"...)
	if !h.async {
		for socket := range subscribers {
			write(socket, body)
		}
		return
	}
	b := gws.NewBroadcaster(gws.OpcodeText, body)
	defer func() { _ = b.Close() }()
	for socket := range subscribers {
		_ = b.Broadcast(socket)
	}
}
