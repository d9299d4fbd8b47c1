package pubsub

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

// farewell bounds how long a command takes to say goodbye.
const farewell = 5 * time.Second

// Env is what the commands need of their surroundings.
type Env struct {
	// Stdin is read by `pub` without a JSON argument.
	Stdin io.Reader
	// Stdout gets messages, Stderr short lines about the connection and about
	// what went wrong.
	Stdout, Stderr io.Writer
	// Signals end the command: the first in good order, the second at once. Nil
	// for none.
	Signals <-chan os.Signal
}

// UsageError says that an argument is wrong; the program exits with 2.
type UsageError struct{ Reason string }

// Error implements error.
func (e *UsageError) Error() string { return e.Reason }

func usage(format string, args ...any) error {
	return &UsageError{Reason: fmt.Sprintf(format, args...)}
}

// Link are the flags that both commands share: how to reach the server.
type Link struct {
	Transport    string        `enum:"auto,websocket,long-polling" default:"auto" help:"auto, websocket or long-polling. auto tries the WebSocket and falls back."`
	Header       []string      `sep:"none" placeholder:"NAME:VALUE" help:"Header of each HTTP request and of the WebSocket's upgrade; repeatable."`
	HandshakeExt string        `placeholder:"JSON" help:"The ext object of the handshake, for credentials mostly."`
	Timeout      time.Duration `default:"30s" placeholder:"TIME" help:"How long connecting, and each answer, may take."`
	Insecure     bool          `help:"Do not verify the server's certificate."`
}

// client makes the client that the flags describe.
func (l *Link) client(url string, ack bool, onState func(bayeuxclient.State, error)) (*bayeuxclient.Client, error) {
	o := bayeuxclient.Options{Ack: ack, OnState: onState, Header: http.Header{}}
	if l.Transport != "" && l.Transport != "auto" {
		o.Transports = []string{l.Transport}
	}
	for _, h := range l.Header {
		name, value, ok := strings.Cut(h, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, usage("--header %q: want NAME:VALUE", h)
		}
		o.Header.Add(name, strings.TrimSpace(value))
	}
	if l.HandshakeExt != "" {
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(l.HandshakeExt), &object); err != nil || object == nil {
			return nil, usage("--handshake-ext: want a JSON object")
		}
		o.HandshakeExt = bayeux.Raw(l.HandshakeExt)
	}
	if l.Insecure {
		o.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for by its name
	}
	if l.Timeout <= 0 {
		return nil, usage("--timeout: want more than 0")
	}
	c, err := bayeuxclient.New(url, o)
	if err != nil {
		return nil, usage("%s", strings.TrimPrefix(err.Error(), "bayeuxclient: "))
	}
	return c, nil
}

// start connects within the timeout.
func (l *Link) start(ctx context.Context, c *bayeuxclient.Client) error {
	ctx, cancel := l.limit(ctx)
	defer cancel()
	return c.Start(ctx)
}

func (l *Link) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, l.Timeout, fmt.Errorf("not done within %v", l.Timeout))
}

// channel checks the name of a channel.
func channel(name string) error {
	n, err := channels.Parse(name)
	switch {
	case err != nil:
		return usage("channel %q: %v", name, err)
	case n.IsMeta():
		return usage("channel %q: meta channels are the protocol's own", name)
	}
	return nil
}

// interrupted returns a context that ends with the first signal, and a channel
// that is closed with the second. stop ends the watching.
func interrupted(ctx context.Context, signals <-chan os.Signal) (first context.Context, second <-chan struct{}, stop func()) {
	first, cancel := context.WithCancel(ctx)
	again := make(chan struct{})
	done := make(chan struct{})
	go func() { // ends with stop
		for n := 0; ; {
			select {
			case <-signals:
				if n++; n == 1 {
					cancel()
				} else {
					close(again)
					return
				}
			case <-done:
				return
			}
		}
	}()
	return first, again, func() {
		close(done)
		cancel()
	}
}

// leave disconnects in good order, or at once when hurry is closed.
func leave(ctx context.Context, c *bayeuxclient.Client, hurry <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	left := make(chan struct{})
	go func() { // ends with ctx, or with the client, which Close cuts short
		defer close(left)
		_ = c.Disconnect(ctx) // The server forgets the session by itself, too.
		select {
		case <-c.Done():
		case <-ctx.Done(): // The output takes nothing any more.
		}
	}()
	select {
	case <-left:
	case <-hurry:
		_ = c.Close()
		cancel()
		<-left
	}
}
