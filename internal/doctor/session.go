package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// message is one of Bayeux, as far as the doctor speaks it.
type message struct {
	Channel      string          `json:"channel"`
	ID           string          `json:"id,omitempty"`
	ClientID     string          `json:"clientId,omitempty"`
	Version      string          `json:"version,omitempty"`
	Minimum      string          `json:"minimumVersion,omitempty"`
	Types        []string        `json:"supportedConnectionTypes,omitempty"`
	Type         string          `json:"connectionType,omitempty"`
	Subscription string          `json:"subscription,omitempty"`
	Data         string          `json:"data,omitempty"`
	Ext          json.RawMessage `json:"ext,omitempty"`
	Advice       *advice         `json:"advice,omitempty"`
	Successful   *bool           `json:"successful,omitempty"`
	Error        string          `json:"error,omitempty"`
}

// advice is that of a message; times are milliseconds.
type advice struct {
	Timeout   *int64 `json:"timeout,omitempty"`
	Interval  *int64 `json:"interval,omitempty"`
	Reconnect string `json:"reconnect,omitempty"`
}

func (m message) ok() bool { return m.Successful != nil && *m.Successful }

// Names of Bayeux.
const (
	metaHandshake  = "/meta/handshake"
	metaConnect    = "/meta/connect"
	metaSubscribe  = "/meta/subscribe"
	metaDisconnect = "/meta/disconnect"
	longPolling    = "long-polling"
	webSocket      = "websocket"
)

// carrier sends messages and returns the reply to the first of them.
type carrier interface {
	ask(ctx context.Context, within time.Duration, messages ...message) (message, error)
}

// session is one of Bayeux.
type session struct {
	carrier
	kind string
	id   string
	n    int
}

// errRefused says that the server answered, and not with what was hoped for.
var errRefused = errors.New("refused")

func (s *session) next(m message) message {
	s.n++
	m.ID, m.ClientID = strconv.Itoa(s.n), s.id
	return m
}

// handshake begins the session and connects it, without a hold; each may take
// so long.
func (s *session) handshake(ctx context.Context, ext json.RawMessage, within time.Duration) error {
	shaken, err := s.ask(ctx, within, s.next(message{
		Channel: metaHandshake, Version: "1.0", Minimum: "1.0", Types: []string{webSocket, longPolling}, Ext: ext,
	}))
	if err != nil {
		return err
	}
	if !shaken.ok() || shaken.ClientID == "" {
		return fmt.Errorf("%w: %s", errRefused, shaken.Error)
	}
	s.id = shaken.ClientID
	return s.connect(ctx, 0, within)
}

// connect asks to be held for a time.
func (s *session) connect(ctx context.Context, hold, patience time.Duration) error {
	ms := hold.Milliseconds()
	reply, err := s.ask(ctx, hold+patience, s.next(message{Channel: metaConnect, Type: s.kind, Advice: &advice{Timeout: &ms}}))
	if err == nil && !reply.ok() {
		err = fmt.Errorf("%w: %s", errRefused, reply.Error)
	}
	return err
}

// leave ends the session; where that fails the server ends it itself.
func (s *session) leave(ctx context.Context) {
	if s.id != "" {
		_, _ = s.ask(ctx, quickly, s.next(message{Channel: metaDisconnect}))
	}
}

// held connects for a time and says how that went.
func (s *session) held(ctx context.Context, hold, patience time.Duration) Try {
	begun := time.Now()
	err := s.connect(ctx, hold, patience)
	took := time.Since(begun)
	t := Try{Asked: seconds(hold), Took: seconds(took), Outcome: outcome(ctx, err), Error: text(err)}
	status := new(statusError)
	switch {
	case errors.As(err, &status):
		t.Outcome, t.Status = Refused, status.status
	case errors.Is(err, errRefused):
		t.Outcome = Refused
	case err == nil && took < hold*9/10:
		t.Outcome = Early
	}
	return t
}

// statusError says that an answer was none of Bayeux.
type statusError struct{ status int }

// Error implements error.
func (e *statusError) Error() string { return fmt.Sprintf("HTTP status %d", e.status) }

// poll carries messages by long-polling, with the cookies that were set.
type poll struct {
	*line
	cookies []*http.Cookie
	// last is the answer of the last request, less its body; got are its
	// messages, and size their bytes.
	last  *http.Response
	begun time.Time
	took  time.Duration
	got   []message
	size  int64
}

func (m *meter) poll() (*poll, *session) {
	p := &poll{line: m.open()}
	return p, &session{carrier: p, kind: longPolling}
}

// maxBacklog bounds an answer of a server.
const maxBacklog = 4 << 20

// ask implements carrier.
func (p *poll) ask(ctx context.Context, within time.Duration, messages ...message) (message, error) {
	p.got, p.size = nil, 0
	body, err := json.Marshal(messages)
	if err != nil {
		return message{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.m.base.String(), bytes.NewReader(body))
	if err != nil {
		return message{}, err
	}
	req.GetBody = nil // it must not be sent twice behind our back
	req.Header.Set("Content-Type", "application/json;charset=UTF-8")
	for _, c := range p.cookies {
		req.AddCookie(c)
	}
	s, begun, err := p.do(req, within)
	p.begun = begun
	if err != nil {
		return message{}, err
	}
	defer s.close()
	p.last = s.Response
	p.keep(s.Cookies())
	in := patient(s.Body, p.m.Plan.Patience, s.cancel)
	defer in.stop()
	answer, err := io.ReadAll(io.LimitReader(in, maxBacklog))
	p.took, p.size = time.Since(begun), int64(len(answer))
	switch {
	case err != nil:
		return message{}, err
	case s.StatusCode != http.StatusOK:
		return message{}, &statusError{s.StatusCode}
	case json.Unmarshal(answer, &p.got) != nil:
		return message{}, fmt.Errorf("%w: no Bayeux: %.60q", io.ErrUnexpectedEOF, answer)
	}
	return reply(p.got, messages[0])
}

// keep takes cookies, the newest of a name.
func (p *poll) keep(set []*http.Cookie) {
	for _, c := range set {
		p.cookies = slices.DeleteFunc(p.cookies, func(old *http.Cookie) bool { return old.Name == c.Name })
		p.cookies = append(p.cookies, c)
	}
}

// reply is that to a message.
func reply(got []message, to message) (message, error) {
	for _, m := range got {
		if m.Channel == to.Channel && m.ID == to.ID && m.Successful != nil {
			return m, nil
		}
	}
	return message{}, fmt.Errorf("%w: no reply to %s", errRefused, to.Channel)
}

// unknown tells whether a server does not know the session that it has made.
func unknown(err error) bool {
	return errors.Is(err, errRefused) && (strings.Contains(err.Error(), "402") || strings.Contains(strings.ToLower(err.Error()), "unknown"))
}
