package doctor

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/internal/probe"
)

// quickly bounds answers that are due at once.
const quickly = 10 * time.Second

// line is a way to the server: connections of its own, and a watch.
type line struct {
	m         *meter
	transport *http.Transport
}

func (m *meter) open() *line { return &line{m, m.Transport()} }

func (l *line) close() { l.transport.CloseIdleConnections() }

// sent is a request and the moment when it had left.
type sent struct {
	*http.Response
	begun  time.Time
	reused bool
	// cancel frees what the request holds; the body must not be read after it.
	cancel context.CancelFunc
}

func (s *sent) close() {
	_ = s.Body.Close()
	s.cancel()
}

// get asks a probe. The answer's head must come within the time; then the body
// may be read for as long as ctx lives.
func (l *line) get(ctx context.Context, within time.Duration, path string, query url.Values, header http.Header) (*sent, time.Time, error) {
	u := l.m.base.JoinPath(probe.Below, path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, time.Now(), err
	}
	maps.Copy(req.Header, header)
	req.Header.Set(probe.HeaderToken, l.m.Token)
	return l.do(req, within)
}

// do makes a request; the moment is when it had left, or was made where it had
// not.
func (l *line) do(req *http.Request, within time.Duration) (*sent, time.Time, error) {
	ctx, cancel := context.WithCancel(req.Context())
	timer := time.AfterFunc(within, cancel)
	defer timer.Stop()
	s := &sent{begun: time.Now(), cancel: cancel}
	var mu sync.Mutex
	trace := &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			mu.Lock()
			defer mu.Unlock()
			s.reused = info.Reused
		},
		WroteRequest: func(httptrace.WroteRequestInfo) {
			mu.Lock()
			defer mu.Unlock()
			s.begun = time.Now()
		},
	}
	for name, values := range l.m.Header {
		switch ours, both := req.Header[name]; {
		case !both:
			req.Header[name] = values
		case name == "Cookie": // those of a login beside ours
			req.Header[name] = []string{strings.Join(append(slices.Clone(ours), values...), "; ")}
		}
	}
	res, err := l.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, trace))) //nolint:bodyclose // sent.close does
	mu.Lock()
	defer mu.Unlock()
	if err != nil {
		late := ctx.Err() != nil && req.Context().Err() == nil
		cancel()
		if late {
			err = errLate
		}
		return nil, s.begun, err
	}
	// The trace may still call; what it writes is not looked at any more.
	return &sent{Response: res, begun: s.begun, reused: s.reused, cancel: cancel}, s.begun, nil
}

// errLate says that nothing came in time.
var errLate = errors.New("nothing came")

// outcome is that of an error; of ctx's end it is Skipped.
func outcome(ctx context.Context, err error) Outcome {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, errLate):
		return Late
	case ctx.Err() != nil:
		return Skipped
	default:
		return Cut
	}
}

// stalling reads a body, and gives up where nothing comes for the time.
type stalling struct {
	body   io.Reader
	timer  *time.Timer
	time   time.Duration // that starts anew with what comes; 0: it does not
	mu     sync.Mutex
	silent bool
}

// patient has close called when body is silent for the time.
func patient(body io.Reader, d time.Duration, closer func()) *stalling {
	s := &stalling{body: body, time: d}
	s.timer = time.AfterFunc(d, func() {
		s.mu.Lock()
		s.silent = true
		s.mu.Unlock()
		closer()
	})
	return s
}

// until has close called at the end of the time, whatever comes.
func until(body io.Reader, d time.Duration, closer func()) *stalling {
	s := patient(body, d, closer)
	s.time = 0
	return s
}

// Read implements io.Reader; the error of a silence is errLate.
func (s *stalling) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && s.silent && !errors.Is(err, io.EOF) {
		return n, errLate
	}
	if err == nil && s.time > 0 {
		s.timer.Reset(s.time)
	}
	return n, err
}

func (s *stalling) stop() { s.timer.Stop() }

func text(err error) string {
	if err == nil {
		return ""
	}
	const most = 200
	t := err.Error()
	return t[:min(len(t), most)]
}
