package probe

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// Config is what an endpoint needs.
type Config struct {
	// Token is what HeaderToken must have, MinToken to MaxToken bytes.
	Token string
	// Path is the path of the server, such as /cometd: the endpoint is at Path + Below.
	Path string
}

// Handler is the endpoint. Close ends what is in progress. All methods may be called from any goroutine.
type Handler struct {
	token  [sha256.Size]byte
	prefix string
	probes map[string]http.HandlerFunc

	wrong  *rate.Limiter
	begun  *rate.Limiter
	bytes  *rate.Limiter
	places chan struct{}

	// ended is closed by Close.
	ended chan struct{}
	once  sync.Once
}

// New makes an endpoint. The error names the field that is wrong.
func New(c Config) (*Handler, error) {
	if err := CheckToken(c.Token); err != nil {
		return nil, fmt.Errorf("probe: Token: %w", err)
	}
	if !strings.HasPrefix(c.Path, "/") {
		return nil, errors.New("probe: Path: want a path such as /cometd")
	}
	h := &Handler{
		token:  sha256.Sum256([]byte(c.Token)),
		prefix: strings.TrimSuffix(c.Path, "/") + Below,
		wrong:  rate.NewLimiter(WrongPerSecond, WrongBurst),
		begun:  rate.NewLimiter(PerSecond, Burst),
		bytes:  rate.NewLimiter(BytesPerSecond, BytesBurst),
		places: make(chan struct{}, MaxAtOnce),
		ended:  make(chan struct{}),
	}
	h.probes = map[string]http.HandlerFunc{
		PathEcho: h.echo, PathHold: h.hold, PathDrip: h.drip, PathBody: h.body, PathText: h.text, PathSocket: h.socket,
	}
	return h, nil
}

// CheckToken says what is wrong with a token.
func CheckToken(token string) error {
	if len(token) < MinToken || len(token) > MaxToken {
		return fmt.Errorf("want %d to %d bytes", MinToken, MaxToken)
	}
	for _, b := range []byte(token) {
		if b <= ' ' || b >= 0x7f {
			return errors.New("want visible ASCII without blanks, as a header can have it")
		}
	}
	return nil
}

// Over serves the endpoint, and by next all that is not below it.
func (h *Handler) Over(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, h.prefix) {
			next.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// ServeHTTP implements http.Handler for what is below the endpoint.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "must-revalidate,no-cache,no-store") // as answers of Bayeux have
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !h.knows(r.Header.Values(HeaderToken)) {
		if !h.wrong.Allow() {
			refuse(w, http.StatusTooManyRequests, "too many wrong tokens")
			return
		}
		refuse(w, http.StatusForbidden, "want the token of --doctor-token in the header "+HeaderToken)
		return
	}
	probe, ok := h.probes[strings.TrimPrefix(r.URL.Path, h.prefix)]
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "no such probe")
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "want GET")
		return
	case !h.begun.Allow():
		refuse(w, http.StatusTooManyRequests, "too many probes begun, bound "+fmt.Sprint(Burst))
		return
	}
	if !h.enter() {
		refuse(w, http.StatusServiceUnavailable, "too many probes in progress, bound "+fmt.Sprint(MaxAtOnce))
		return
	}
	defer h.leave()
	probe(w, r)
}

// knows compares in constant time, whatever the lengths.
func (h *Handler) knows(values []string) bool {
	if len(values) != 1 {
		return false
	}
	sum := sha256.Sum256([]byte(values[0]))
	return subtle.ConstantTimeCompare(sum[:], h.token[:]) == 1
}

// enter takes a place, if there is one and the endpoint is open.
func (h *Handler) enter() bool {
	select {
	case <-h.ended:
		return false
	case h.places <- struct{}{}:
		return true
	default:
		return false
	}
}

func (h *Handler) leave() { <-h.places }

// Close has all that is in progress end soon: holds are answered, drips and WebSockets are cut. It does not wait.
func (h *Handler) Close() {
	h.once.Do(func() { close(h.ended) })
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, "doctor:", text) //nolint:gosec // plain text, our own
}
