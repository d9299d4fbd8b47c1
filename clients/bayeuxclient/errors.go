package bayeuxclient

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Errors of the client's own. A refusal by the server is a *bayeux.Error, an
// HTTP response other than 200 an *HTTPError; errors.As finds both.
var (
	// ErrNotStarted says that Start was not called yet.
	ErrNotStarted = errors.New("bayeuxclient: not started")
	// ErrStarted says that Start was called before; it works once.
	ErrStarted = errors.New("bayeuxclient: already started")
	// ErrClosed says that Close or Disconnect was called.
	ErrClosed = errors.New("bayeuxclient: closed")
	// ErrTimeout says that a reply, or the connection to send by, did not come
	// within the MaxNetworkDelay.
	ErrTimeout = errors.New("bayeuxclient: no reply in time")
	// ErrNoReply says that the response held no reply to the message.
	ErrNoReply = errors.New("bayeuxclient: response without the reply")
	// ErrConnectionLost says that the WebSocket broke before the reply came.
	ErrConnectionLost = errors.New("bayeuxclient: connection lost")
	// ErrTooLarge says that a response was larger than MaxMessageBytes.
	ErrTooLarge = errors.New("bayeuxclient: response larger than the limit")
	// ErrStalled says that callbacks did not keep up for StallTimeout.
	ErrStalled = errors.New("bayeuxclient: callbacks stalled")
	// ErrServerEnded says that the server ended the session and wants no other.
	ErrServerEnded = errors.New("bayeuxclient: session ended by the server")
	// ErrNoTransport says that the server has none of the client's transports.
	ErrNoTransport = errors.New("bayeuxclient: no transport in common with the server")
	// ErrCallFailed says that the remote side of Request failed.
	ErrCallFailed = errors.New("bayeuxclient: remote call failed")

	// errRecheck interrupts a held connect to see whether the session lives.
	errRecheck = errors.New("bayeuxclient: session in doubt")
)

// HTTPError is an HTTP response that is not 200.
type HTTPError struct {
	// Status is the code.
	Status int
	// RetryAfter is the header's value where it was given in seconds; else 0.
	RetryAfter time.Duration
}

// Error implements error.
func (e *HTTPError) Error() string {
	return fmt.Sprintf("bayeuxclient: HTTP status %d %s", e.Status, http.StatusText(e.Status))
}

func httpError(r *http.Response) *HTTPError {
	e := &HTTPError{Status: r.StatusCode}
	if n, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = time.Duration(min(n, int(maxAdvised/time.Second))) * time.Second
	}
	return e
}

// replyError returns the error that a reply states, nil when it is successful.
func replyError(m *bayeux.Message) error {
	if m.OK() {
		return nil
	}
	e := bayeux.ParseError(m.Error)
	if e.Text == "" && e.Args == "" {
		e.Text = "refused"
	}
	e.Advice = parseAdvice(m.Advice)
	e.Ext = m.Ext
	return e
}

// unknownSession tells whether err is the server's 402 ([R-ERR-1]).
func unknownSession(err error) bool {
	e, ok := errors.AsType[*bayeux.Error](err)
	return ok && e.Code == bayeux.ErrSessionUnknown.Code
}
