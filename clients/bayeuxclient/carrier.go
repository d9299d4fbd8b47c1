package bayeuxclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"
)

// carrier takes batches to the server. What comes back goes to the sink it was
// made with. It is safe for concurrent use.
type carrier interface {
	name() string
	// send sends a batch. answered tells that no more replies will come.
	send(ctx context.Context, body []byte) (answered bool, err error)
	// alive tells whether send may work.
	alive() bool
	// close ends it, with the closing handshake where polite.
	close(polite bool)
}

// sink takes a body of messages that came by a carrier.
type sink func(via carrier, body []byte) error

// poller is the long-polling carrier: a request for each batch.
type poller struct {
	client *http.Client
	url    string
	header http.Header
	limit  int64
	sink   sink
}

func (*poller) name() string { return LongPolling }
func (*poller) alive() bool  { return true }
func (*poller) close(bool)   {}

func (p *poller) send(ctx context.Context, body []byte) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return true, err
	}
	maps.Copy(req.Header, p.header)
	req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	resp, err := p.client.Do(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing follows from it
	if resp.StatusCode != http.StatusOK {
		// The page that comes along is read, if short, so that the connection
		// can be used again.
		_, _ = io.CopyN(io.Discard, resp.Body, 4096)
		return true, httpError(resp)
	}
	in, err := io.ReadAll(io.LimitReader(resp.Body, p.limit+1))
	switch {
	case err != nil:
		return true, err
	case int64(len(in)) > p.limit:
		return true, ErrTooLarge
	}
	return true, p.sink(p, in)
}

// socket is the WebSocket carrier.
type socket struct {
	conn *websocket.Conn
	gone atomic.Bool
}

// dialSocket opens a WebSocket. The caller must run read.
func dialSocket(ctx context.Context, client *http.Client, url string, o *Options) (*socket, error) {
	mode := websocket.CompressionDisabled
	if o.Compress {
		mode = websocket.CompressionContextTakeover
	}
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: client, HTTPHeader: o.Header, CompressionMode: mode,
	})
	if resp != nil && resp.Body != nil && err != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("%w: %w", httpError(resp), err)
		}
		return nil, err
	}
	conn.SetReadLimit(o.MaxMessageBytes)
	return &socket{conn: conn}, nil
}

// read hands on what comes until the connection ends, and returns why it did.
func (s *socket) read(ctx context.Context, sink sink) error {
	for {
		kind, body, err := s.conn.Read(ctx)
		if err == nil && kind == websocket.MessageText {
			err = sink(s, body)
		}
		if err != nil {
			s.close(false)
			if errors.Is(err, websocket.ErrMessageTooBig) {
				err = ErrTooLarge
			}
			return fmt.Errorf("%w: %w", ErrConnectionLost, err)
		}
	}
}

func (*socket) name() string { return WebSocket }

func (s *socket) send(ctx context.Context, body []byte) (bool, error) {
	if err := s.conn.Write(ctx, websocket.MessageText, body); err != nil {
		return false, fmt.Errorf("%w: %w", ErrConnectionLost, err)
	}
	return false, nil
}

func (s *socket) alive() bool { return !s.gone.Load() }

func (s *socket) close(polite bool) {
	s.gone.Store(true)
	// An error says that the connection is gone already.
	if polite {
		_ = s.conn.Close(websocket.StatusNormalClosure, "")
		return
	}
	_ = s.conn.CloseNow()
}
