package pubsub

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

// Sub is the command line of `halley sub`.
type Sub struct {
	URL      string   `arg:"" name:"url" help:"Address of the server, such as http://localhost:8080/cometd."`
	Channels []string `arg:"" name:"channel" help:"Channels to subscribe to; the last segment may be * for one segment or ** for all below. Quote them: the shell knows * too."`

	Link

	Ack      bool   `help:"Ask for acknowledged messages: none is lost with a connection, where the server offers it."`
	Count    int    `placeholder:"N" help:"End after N messages. Default: go on."`
	Messages string `enum:"full,data" default:"full" help:"full prints whole messages, data their data only."`
}

// Help is shown below the flags.
func (Sub) Help() string {
	return `Prints each message as one line of JSON on standard output: {"channel":"/chat/demo","data":{"text":"hi"}}, with all ` +
		`other fields that it has. Values are as they were sent, digit for digit; only line breaks between them become blanks. A message that ` +
		`matches several of the channels is printed once. Changes of the connection are told on standard error.

Runs until SIGINT or SIGTERM, which ends the session and exits with 0, as does --count. Exits with 1 when the server cannot ` +
		`be reached at the start, refuses, or ends the session. A connection that is lost later is taken up again for as ` +
		`long as it takes; where the server has forgotten the session meanwhile, messages may be missing, and a line on ` +
		`standard error says rehandshaken.

  halley sub http://localhost:8080/cometd '/chat/**'
  halley sub --messages data --count 1 https://example.com/cometd /stock/ACME`
}

// Run subscribes and prints until a signal comes, ctx ends, the count is
// reached or the client ends. A *UsageError says that an argument is wrong.
func (s *Sub) Run(ctx context.Context, env Env) error {
	for _, name := range s.Channels {
		if err := channel(name); err != nil {
			return err
		}
	}
	if s.Count < 0 {
		return usage("--count: want 0 or more")
	}
	p := &printer{out: env.Stdout, dataOnly: s.Messages == "data", left: s.Count, done: make(chan struct{})}
	c, err := s.client(s.URL, s.Ack, tell(env.Stderr))
	if err != nil {
		return err
	}
	ctx, hurry, stop := interrupted(ctx, env.Signals)
	defer stop()
	if err := s.start(ctx, c); err != nil {
		<-c.Done()
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if err := s.subscribe(ctx, c, p); err != nil {
		ended := ctx.Err() != nil
		leave(ctx, c, hurry)
		if ended {
			return nil
		}
		return err
	}
	select {
	case <-ctx.Done():
	case <-p.done:
	case <-c.Done():
		return c.Err()
	}
	leave(ctx, c, hurry)
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// subscribe subscribes to all channels, each within the timeout.
func (s *Sub) subscribe(ctx context.Context, c *bayeuxclient.Client, p *printer) error {
	for _, name := range s.Channels {
		limited, cancel := s.limit(ctx)
		_, err := c.Subscribe(limited, name, p.print)
		cancel()
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", name, err)
		}
	}
	return nil
}

// tell returns what tells changes of state, a line each.
func tell(w io.Writer) func(bayeuxclient.State, error) {
	return func(s bayeuxclient.State, reason error) {
		if reason != nil {
			_, _ = fmt.Fprintf(w, "%v: %v\n", s, oneLine(reason.Error()))
			return
		}
		_, _ = fmt.Fprintln(w, s)
	}
}

// printer writes messages. Its print runs on the client's callback goroutine;
// err may be read once done is closed.
type printer struct {
	out      io.Writer
	dataOnly bool
	left     int // 0 for no end
	last     *bayeux.Message
	ended    bool
	err      error
	done     chan struct{} // closed at the count, or when the output fails
}

func (p *printer) print(m *bayeux.Message) {
	// One message comes once for each channel it matches, one after the other.
	if p.ended || m == p.last {
		return
	}
	p.last = m
	line := []byte(m.Data)
	switch {
	case !p.dataOnly:
		line = bayeux.AppendMessage(nil, m)
	case line == nil:
		line = []byte("null")
	}
	if _, p.err = p.out.Write(append(flat(line), '\n')); p.err != nil {
		p.end()
		return
	}
	if p.left > 0 {
		if p.left--; p.left == 0 {
			p.end()
		}
	}
}

func (p *printer) end() {
	p.ended = true
	close(p.done)
}

// flat returns JSON on one line. Inside strings line breaks are escaped, so
// those that are there stand between values.
func flat(text []byte) []byte {
	text = bytes.Clone(text)
	for i, c := range text {
		if c == '\n' || c == '\r' {
			text[i] = ' '
		}
	}
	return text
}

func oneLine(text string) string { return string(flat([]byte(text))) }
