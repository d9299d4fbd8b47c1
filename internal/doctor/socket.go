package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/halleypush/halley/internal/probe"
)

// dial opens a WebSocket; the Try says how that went.
func (l *line) dial(ctx context.Context, path string, header http.Header) (*websocket.Conn, Try, string) {
	dialing, cancel := context.WithTimeoutCause(ctx, l.m.Plan.Patience, errLate)
	defer cancel()
	u := *l.m.base
	if path != "" {
		u = *u.JoinPath(probe.Below, path)
	}
	u.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
	// An upgrade is a request of HTTP/1.1.
	l.transport.Protocols = new(http.Protocols)
	l.transport.Protocols.SetHTTP1(true)
	all := l.m.Header.Clone()
	if all == nil {
		all = http.Header{}
	}
	maps.Copy(all, header)
	begun := time.Now()
	conn, res, err := websocket.Dial(dialing, u.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: l.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		HTTPHeader: all, CompressionMode: websocket.CompressionDisabled,
	})
	t := Try{Took: seconds(time.Since(begun)), Error: text(err), Outcome: OK}
	var said []byte
	if res != nil {
		t.Status = res.StatusCode
		if err != nil && res.Body != nil {
			said, _ = io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // the library has bounded it, too
			_ = res.Body.Close()
		}
	}
	switch {
	case err == nil:
		conn.SetReadLimit(1 << 20)
	case ctx.Err() != nil:
		t.Outcome = Skipped
	case errors.Is(context.Cause(dialing), errLate):
		t.Outcome, t.Error = Late, errLate.Error()
	case t.Status != 0:
		if t.Outcome, _ = refusal(t.Status, said); t.Outcome == Skipped {
			t.Error = strings.TrimSpace(string(said))
		}
	default:
		t.Outcome = Cut
	}
	return conn, t, string(said)
}

// socket tries WebSockets.
func (m *meter) socket(ctx context.Context) *Socket {
	s := &Socket{}
	m.first(ctx, s)
	if s.Echoed.Outcome != OK {
		again := &Socket{}
		m.first(ctx, again)
		last := again.Echoed
		if again.Opened.Outcome != OK {
			last = again.Opened
		}
		s.Again = &last
		if again.Echoed.Outcome != OK {
			return s
		}
	}
	var group sync.WaitGroup
	s.Silences = make([]Try, len(m.Plan.Silences))
	for i, d := range m.Plan.Silences {
		group.Go(func() { s.Silences[i] = m.silence(ctx, d) })
	}
	group.Go(func() {
		t := m.lively(ctx)
		s.Lively = &t
	})
	group.Go(func() {
		for range 2 {
			if s.Frames = append(s.Frames, m.frame(ctx, m.Plan.Frame)); s.Frames[0].Outcome == OK {
				return
			}
		}
	})
	group.Wait()
	return s
}

func (m *meter) token() http.Header { return http.Header{probe.HeaderToken: {m.Token}} }

// first opens a WebSocket and sends one frame.
func (m *meter) first(ctx context.Context, s *Socket) {
	l := m.open()
	defer l.close()
	var said string
	var conn *websocket.Conn
	conn, s.Opened, said = l.dial(ctx, probe.PathSocket, m.token())
	s.Echoed.Outcome = Skipped
	if conn == nil {
		// The endpoint says so when what arrived was no upgrade.
		s.Stripped = s.Opened.Status == http.StatusUpgradeRequired && strings.HasPrefix(said, endpoint)
		return
	}
	defer func() { _ = conn.CloseNow() }()
	s.Echoed = m.talk(ctx, conn, []byte("first"), []byte("first"), m.Plan.Patience)
}

// talk sends a frame and waits for the answer.
func (*meter) talk(ctx context.Context, conn *websocket.Conn, send, want []byte, within time.Duration) Try {
	limited, cancel := context.WithTimeoutCause(ctx, within, errLate)
	defer cancel()
	begun := time.Now()
	err := conn.Write(limited, websocket.MessageText, send)
	var got []byte
	if err == nil {
		_, got, err = conn.Read(limited)
	}
	t := Try{Took: seconds(time.Since(begun)), Outcome: OK, Count: 1}
	if err != nil {
		if errors.Is(context.Cause(limited), errLate) {
			err = errLate
		}
		t.Outcome, t.Error, t.Count = outcome(ctx, err), text(err), 0
	} else if want != nil && !bytes.Equal(got, want) {
		t.Outcome = Altered
	}
	return t
}

// silence asks the server to send nothing for a time.
func (m *meter) silence(ctx context.Context, d time.Duration) Try {
	l := m.open()
	defer l.close()
	conn, t, _ := l.dial(ctx, probe.PathSocket, m.token())
	if conn != nil {
		defer func() { _ = conn.CloseNow() }()
		ask, _ := json.Marshal(probe.Silence{Millis: d.Milliseconds()}) // a number
		t = m.talk(ctx, conn, ask, nil, d+m.Plan.Patience)
	} else {
		t.Outcome = Skipped // what did not open says nothing of silence
	}
	t.Asked = seconds(d)
	return t
}

// lively sends a frame with every beat, and wants each back.
func (m *meter) lively(ctx context.Context) Try {
	l := m.open()
	defer l.close()
	conn, t, _ := l.dial(ctx, probe.PathSocket, m.token())
	if conn == nil {
		return t
	}
	defer func() { _ = conn.CloseNow() }()
	begun := time.Now()
	beat := time.NewTicker(m.Plan.Beat)
	defer beat.Stop()
	count, last := 0, Seconds(0)
	for t.Outcome == OK && time.Since(begun) < m.Plan.Long {
		if t = m.talk(ctx, conn, []byte("beat"), []byte("beat"), m.Plan.Patience); t.Outcome != OK {
			break
		}
		count, last = count+1, seconds(time.Since(begun))
		select {
		case <-beat.C:
		case <-ctx.Done():
			t.Outcome = Skipped
		}
	}
	t.Asked, t.Took, t.Count, t.Last = seconds(m.Plan.Long), seconds(time.Since(begun)), count, last
	return t
}

// frame sends a frame of a size.
func (m *meter) frame(ctx context.Context, n int64) Body {
	l := m.open()
	defer l.close()
	b := Body{Asked: n}
	conn, t, _ := l.dial(ctx, probe.PathSocket, m.token())
	if conn != nil {
		defer func() { _ = conn.CloseNow() }()
		p := make([]byte, n)
		probe.NewFill(n, 0).Next(p)
		if t = m.talk(ctx, conn, p, p, quickly); t.Outcome == OK {
			b.Got = n
		}
	}
	b.Outcome, b.Status, b.Error = t.Outcome, t.Status, t.Error
	return b
}
