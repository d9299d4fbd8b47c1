package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Defaults and bounds of HookConfig.
const (
	hookTimeout     = 2 * time.Second
	hookConcurrency = 64
	maxHookAnswer   = 64 << 10
	maxHookCache    = 10000
	maxHookHeader   = 16 << 10
)

// HookConfig says which HTTP service is asked.
type HookConfig struct {
	// URL gets a POST with JSON: token, address, url without its query, secure,
	// headers, refresh. It is https, or http to the loopback. Redirects are not
	// followed.
	URL string
	// Headers are those of the client's request that are passed on. A
	// handshake with neither a token nor one of them is not asked about.
	Headers []string
	// Secret goes along as Authorization: Bearer, so that the service knows us;
	// empty: none.
	Secret string
	// Timeout bounds a question, the wait for its turn included. Zero means 2
	// seconds.
	Timeout time.Duration
	// Concurrency bounds the questions at a time. Zero means 64.
	Concurrency int
	// Cache is how long an answer that accepts counts for the same question.
	// Zero means that all are asked.
	Cache time.Duration
	// Client asks. Nil means a client of its own.
	Client *http.Client
}

// Hook is the Method that asks an HTTP service. The answer with status 200 is a
// JSON object: user; optionally groups, subscribe, publish and create (lists of
// texts, or one with blanks), claims (an object), ttl (seconds from now) or
// expires (seconds since 1970), id (names the token for revocations). With 401
// or 403 it refuses, with 204 it has nothing to say. All else, and no answer in
// time, means that nobody could judge, and refuses.
type Hook struct {
	config HookConfig
	turns  chan struct{}

	mu    sync.Mutex
	cache map[[sha256.Size]byte]cached
	times Latency
}

type cached struct {
	subject *bayeux.Subject
	until   time.Time
}

// Latency sums up how long questions took.
type Latency struct {
	Count uint64
	Sum   time.Duration
	// Failed are those of Count that had no answer that could be used.
	Failed uint64
}

// NewHook returns the method, or says what in the configuration is wrong.
func NewHook(c HookConfig) (*Hook, error) {
	if err := CheckURL(c.URL); err != nil {
		return nil, fmt.Errorf("auth: hook: %w", err)
	}
	if c.Timeout <= 0 {
		c.Timeout = hookTimeout
	}
	if c.Concurrency <= 0 {
		c.Concurrency = hookConcurrency
	}
	c.Client = own(c.Client, c.Concurrency)
	return &Hook{config: c, turns: make(chan struct{}, c.Concurrency), cache: map[[sha256.Size]byte]cached{}}, nil
}

// question is what the service gets.
type question struct {
	Token   string              `json:"token,omitempty"`
	Address string              `json:"address,omitempty"`
	URL     string              `json:"url,omitempty"`
	Secure  bool                `json:"secure"`
	Headers map[string][]string `json:"headers,omitempty"`
	Refresh bool                `json:"refresh,omitempty"`
}

func (h *Hook) question(c *Credentials) (q question, err error) {
	q = question{Token: c.Token, Refresh: c.Refresh}
	r := c.Request
	if r == nil {
		return q, nil
	}
	q.Address, q.Secure = addressOf(r), r.Secure
	q.URL, _, _ = strings.Cut(r.URL, "?")
	size := 0
	for _, name := range h.config.Headers {
		for _, v := range r.Header.Values(name) {
			if size += len(v); size > maxHookHeader {
				return q, invalid("the headers for the hook have more than %d bytes", maxHookHeader)
			}
			if q.Headers == nil {
				q.Headers = map[string][]string{}
			}
			key := http.CanonicalHeaderKey(name)
			q.Headers[key] = append(q.Headers[key], v)
		}
	}
	return q, nil
}

// addressOf is the client's address; empty where it has none, as on a Unix
// socket.
func addressOf(r *bayeux.Request) string {
	if r == nil || !r.Remote.IsValid() {
		return ""
	}
	return r.Remote.Addr().String()
}

// Authenticate implements Method.
func (h *Hook) Authenticate(ctx context.Context, c *Credentials) (*bayeux.Subject, error) {
	q, err := h.question(c)
	if err != nil {
		return nil, err
	}
	if q.Token == "" && (q.Headers == nil || q.Refresh) {
		return nil, nil //nolint:nilnil // nothing to ask about
	}
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	if h.config.Cache <= 0 {
		return h.ask(ctx, c, body)
	}
	key := sha256.Sum256(body)
	if s := h.known(key, time.Now()); s != nil {
		return s, nil
	}
	s, err := h.ask(ctx, c, body)
	if s != nil {
		h.keep(key, s, time.Now())
	}
	return s, err
}

// known returns a cached answer.
func (h *Hook) known(key [sha256.Size]byte, now time.Time) *bayeux.Subject {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c, ok := h.cache[key]; ok && now.Before(c.until) {
		return c.subject
	}
	return nil
}

func (h *Hook) keep(key [sha256.Size]byte, s *bayeux.Subject, now time.Time) {
	until := now.Add(h.config.Cache)
	if !s.Expires.IsZero() && s.Expires.Before(until) {
		until = s.Expires
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.cache) >= maxHookCache {
		for k, c := range h.cache {
			if !now.Before(c.until) {
				delete(h.cache, k)
			}
		}
	}
	if len(h.cache) < maxHookCache {
		h.cache[key] = cached{s, until}
	}
}

// ask asks the service, in its turn.
func (h *Hook) ask(ctx context.Context, c *Credentials, body []byte) (*bayeux.Subject, error) {
	ctx, cancel := context.WithTimeout(ctx, h.config.Timeout)
	defer cancel()
	start := time.Now()
	s, err := h.post(ctx, c, body, start)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.times.Count++
	h.times.Sum += time.Since(start)
	if err != nil && failureOf(err).Outcome == Unavailable {
		h.times.Failed++
	}
	return s, err
}

// Latency returns how long questions took so far.
func (h *Hook) Latency() Latency {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.times
}

func (h *Hook) post(ctx context.Context, c *Credentials, body []byte, now time.Time) (*bayeux.Subject, error) {
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-ctx.Done():
		return nil, Refuse(Unavailable, "hook: %d questions are under way", h.config.Concurrency)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if h.config.Secret != "" {
		r.Header.Set("Authorization", "Bearer "+h.config.Secret)
	}
	resp, err := h.config.Client.Do(r)
	if err != nil {
		return nil, Refuse(Unavailable, "hook: %v", withoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNoContent:
		return nil, nil //nolint:nilnil // it has nothing to say
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, invalid("hook: HTTP status %d", resp.StatusCode)
	default:
		return nil, Refuse(Unavailable, "hook: HTTP status %d", resp.StatusCode)
	}
	raw, err := readAnswer(resp, maxHookAnswer)
	if err != nil {
		return nil, Refuse(Unavailable, "hook: %v", err)
	}
	s, err := hookSubject(raw, now)
	if err != nil {
		return nil, Refuse(Unavailable, "hook: %v", err)
	}
	if s.Token == "" && c.Token != "" {
		s.Token = digest(c.Token)
	}
	return s, nil
}

// hookSubject reads an answer.
func hookSubject(raw []byte, now time.Time) (*bayeux.Subject, error) {
	answer, err := parseObject(raw, maxDepth)
	if err != nil {
		return nil, err
	}
	s := &bayeux.Subject{Claims: answer, Issued: now}
	names := ClaimNames{User: "user"}.withDefaults()
	if err := names.fill(s); err != nil {
		return nil, err
	}
	s.Claims = nil
	if claims, has := answer["claims"]; has {
		var ok bool
		if s.Claims, ok = claims.(map[string]any); !ok {
			return nil, errors.New("claims is no object")
		}
	}
	if id, has := answer["id"]; has {
		text, _ := id.(string)
		if !plain(text) {
			return nil, fmt.Errorf("id is no plain text of 1 to %d bytes", maxName)
		}
		s.Token = text
	}
	s.Expires, err = hookExpiry(answer, now)
	return s, err
}

func hookExpiry(answer map[string]any, now time.Time) (time.Time, error) {
	if raw, has := answer["expires"]; has {
		at, ok := numericDate(raw)
		if !ok || !at.After(now) {
			return time.Time{}, errors.New("expires is no time to come, in seconds since 1970")
		}
		return at, nil
	}
	raw, has := answer["ttl"]
	if !has {
		return time.Time{}, nil
	}
	ttl, ok := raw.(float64)
	if !ok || ttl <= 0 || ttl > lastDate {
		return time.Time{}, errors.New("ttl is no number of seconds above 0")
	}
	return now.Add(time.Duration(min(ttl, maxTTL.Seconds()) * float64(time.Second))), nil
}

// maxTTL is a hundred years: for ever.
const maxTTL = 100 * 365 * 24 * time.Hour
