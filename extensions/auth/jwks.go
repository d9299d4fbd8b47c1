package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Defaults of JWKSConfig.
const (
	jwksRefresh  = 5 * time.Minute
	jwksMaxAge   = time.Hour
	jwksInterval = 10 * time.Second
	jwksTimeout  = 5 * time.Second
)

// JWKSConfig says where a set of public keys is fetched.
type JWKSConfig struct {
	// URL is https, or http to the loopback. Redirects are not followed.
	URL string
	// Refresh is how old a set may become before it is fetched anew, while the
	// old one is still used. Zero means 5 minutes.
	Refresh time.Duration
	// MaxAge is how long a set counts that cannot be fetched anew; then there
	// are no keys and all tokens are refused. Zero means an hour.
	MaxAge time.Duration
	// Interval is the least time between two fetches, however many tokens with
	// unknown keys come. Zero means 10 seconds.
	Interval time.Duration
	// Timeout bounds a fetch. Zero means 5 seconds.
	Timeout time.Duration
	// Client fetches. Nil means a client of its own.
	Client *http.Client
}

// urlKeys are keys behind a URL. One goroutine at a time fetches them.
type urlKeys struct {
	config JWKSConfig

	mu      sync.Mutex
	keys    []Key
	fetched time.Time     // when the keys were
	tried   time.Time     // when somebody tried to last
	err     error         // of that
	flight  chan struct{} // closed when the fetch under way ends; nil: none is
}

// JWKSURL is the KeySource of a set of public keys (RFC 7517) that is fetched
// with the first token, again from time to time, and when a token names a key
// that the set does not have. A new set replaces the old one whole.
func JWKSURL(c JWKSConfig) (KeySource, error) {
	if err := CheckURL(c.URL); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		field *time.Duration
		def   time.Duration
	}{{&c.Refresh, jwksRefresh}, {&c.MaxAge, jwksMaxAge}, {&c.Interval, jwksInterval}, {&c.Timeout, jwksTimeout}} {
		if *d.field <= 0 {
			*d.field = d.def
		}
	}
	c.Client = own(c.Client, 1)
	return &urlKeys{config: c}, nil
}

// CheckURL says why a service cannot be at a URL: it would be sent secrets, or
// keys would be fetched from it, in the open.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("want a URL such as https://login.example/keys")
	case u.User != nil:
		return errors.New("want a URL without user and password")
	case u.Fragment != "":
		return errors.New("want a URL without a fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("want https, except to this machine")
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// maxAnswerHeader bounds the header of an answer.
const maxAnswerHeader = 64 << 10

// own makes a client that follows no redirects of one that may be nil.
func own(c *http.Client, connections int) *http.Client {
	out := http.Client{}
	if c != nil {
		out = *c
	} else if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t = t.Clone()
		t.MaxResponseHeaderBytes, t.MaxIdleConnsPerHost = maxAnswerHeader, connections
		out.Transport = t
	}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &out
}

// Keys implements KeySource.
func (u *urlKeys) Keys(ctx context.Context, kid string) ([]Key, error) {
	keys, flight := u.look(ctx, kid, time.Now())
	if flight == nil {
		return keys, nil
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.freshLocked(time.Now()) {
		return u.keys, nil
	}
	if u.err != nil {
		return nil, u.err
	}
	return nil, errors.New("the set of keys is too old and cannot be fetched")
}

// look returns the keys, or a fetch that is to be waited for: there are none, or
// not the one that is asked for. A set that is merely old is used meanwhile.
func (u *urlKeys) look(ctx context.Context, kid string, now time.Time) (keys []Key, flight <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	fresh := u.freshLocked(now)
	needed := !fresh || !hasKey(u.keys, kid)
	if !needed && now.Sub(u.fetched) < u.config.Refresh {
		return u.keys, nil
	}
	if u.flight == nil && (u.tried.IsZero() || now.Sub(u.tried) >= u.config.Interval) {
		u.tried, u.flight = now, make(chan struct{})
		go u.fly(context.WithoutCancel(ctx), u.flight)
	}
	if needed && u.flight != nil {
		return nil, u.flight
	}
	if !fresh {
		closed := make(chan struct{})
		close(closed)
		return nil, closed // Keys says why there are none
	}
	return u.keys, nil
}

func (u *urlKeys) freshLocked(now time.Time) bool {
	return !u.fetched.IsZero() && now.Sub(u.fetched) < u.config.MaxAge
}

// fly fetches the set. It belongs to nobody's request, for others wait too.
func (u *urlKeys) fly(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, u.config.Timeout)
	defer cancel()
	keys, err := u.fetch(ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.flight, u.err = nil, err
	if err == nil {
		u.keys, u.fetched = keys, time.Now()
	}
	close(done)
}

func (u *urlKeys) fetch(ctx context.Context) ([]Key, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.config.URL, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := u.config.Client.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the set of keys: HTTP status %d", resp.StatusCode)
	}
	raw, err := readAnswer(resp, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("the set of keys: %w", err)
	}
	return parseSet(raw, false)
}

// withoutURL leaves out the URL, whose query may be a secret.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// readAnswer reads a body of JSON within the limit.
func readAnswer(resp *http.Response, limit int64) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind == "text/html" {
		return nil, errors.New("the answer is not JSON")
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, withoutURL(err)
	case int64(len(raw)) > limit:
		return nil, fmt.Errorf("the answer has more than %d bytes", limit)
	}
	return raw, nil
}
