package serve

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/auth"
)

// extensions makes all extensions, that of authentication first: others see
// only handshakes that it lets pass.
func (s *Settings) extensions(log zerolog.Logger) []bayeux.Extension {
	all := s.Extensions.build()
	if !s.Auth.on() {
		return all
	}
	guard, err := s.Auth.build(log)
	if err != nil { // the settings were good when they were loaded
		log.Error().Err(err).Msg("authentication cannot be set up as configured")
	}
	if guard == nil {
		return append([]bayeux.Extension{closed()}, all...)
	}
	return append([]bayeux.Extension{guard}, all...)
}

// closed refuses all handshakes.
func closed() bayeux.Extension {
	return bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.Channel == "/meta/handshake" {
			return &bayeux.Error{Code: http.StatusUnauthorized, Text: "token_unavailable"}
		}
		return nil
	}}
}

// build makes the extension; an error with it says what cannot be read now.
func (a Auth) build(log zerolog.Logger) (*auth.Extension, error) {
	keys, bad := a.keys()
	c := a.Config
	c.Logger = log
	if len(keys) > 0 {
		j := a.JWT
		j.Keys, j.Opaque = keys, a.Hook.URL != ""
		method, err := auth.NewJWT(j)
		if err != nil {
			return nil, err
		}
		c.Methods, c.RevokeFor = append(c.Methods, method), revokeFor(j)
	}
	if a.Hook.URL != "" {
		h := a.Hook
		var err error
		if h.Secret, err = readSecret(a.HookSecretFile); err != nil {
			return nil, err
		}
		method, err := auth.NewHook(h)
		if err != nil {
			return nil, err
		}
		c.Methods = append(c.Methods, method)
	}
	if a.Proxy.User != "" {
		c.Methods = append(c.Methods, a.Proxy)
	}
	if a.Certificate != "" {
		c.Methods = append(c.Methods, auth.Certificate{CommonName: a.Certificate == certificateName})
	}
	guard, err := auth.New(c)
	return guard, errors.Join(bad, err)
}

// attachAuth shows the extension the server, where there is one.
func attachAuth(c server.Config, s *server.Server) (*auth.Extension, error) {
	for _, x := range c.Extensions {
		if guard, ok := x.(*auth.Extension); ok {
			_, err := guard.Attach(s)
			return guard, err
		}
	}
	return nil, nil //nolint:nilnil // nobody is authenticated
}

// authSamples names the extension's figures.
func authSamples(s auth.Stats) []Sample {
	all := each("auth_handshakes_total", "Handshakes by what became of their credentials.", "outcome", s.Handshakes)
	all = append(all, each("auth_refreshes_total", "Refreshes by what became of their token.", "outcome", s.Refreshes)...)
	all = append(all, each("auth_sessions_ended_total", "Sessions that were ended: expired, revoked.", "why", s.Ended)...)
	return append(all,
		counter("auth_warnings_total", "Clients that were told that their token expires soon.", s.Warned),
		counter("auth_subscriptions_ended_total", "Subscriptions that a narrower token has ended.", s.Narrowed),
		gauge("auth_revocations", "Revocations that are remembered.", float64(s.Revocations)),
		counter("auth_revocations_full_total", "Revocations that there was no room for: all that was issued before is refused.", s.Full),
		counter("auth_hook_requests_total", "Questions to the HTTP hook.", s.Hook.Count),
		counter("auth_hook_failures_total", "Those without an answer that could be used.", s.Hook.Failed),
		Sample{Name: "auth_hook_seconds_total", Help: "How long they took together.", Counter: true, Value: s.Hook.Sum.Seconds()},
	)
}

// maxRevoke bounds the body of POST /auth/revoke.
const maxRevoke = 4 << 10

// revocation is that body.
type revocation struct {
	User    string `json:"user"`
	Session string `json:"session"`
	Token   string `json:"token"`
}

// revoker serves POST /auth/revoke. Without a secret it is for the loopback
// only, and never for pages: their requests have an Origin.
type revoker struct {
	guard    *auth.Extension
	secret   string
	loopback bool
}

// ServeHTTP implements http.Handler.
func (r revoker) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if status, why := r.refuse(q); status != 0 {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		answer(w, status, why)
		return
	}
	var body revocation
	d := json.NewDecoder(http.MaxBytesReader(w, q.Body, maxRevoke))
	d.DisallowUnknownFields()
	err := d.Decode(&body)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		answer(w, http.StatusRequestEntityTooLarge, "want a body of a few bytes")
		return
	}
	if err != nil {
		answer(w, http.StatusBadRequest, `want {"user": "…"}, {"session": "…"} or {"token": "…"}`)
		return
	}
	ended, err := r.guard.Revoke(q.Context(), auth.Target(body))
	if errors.Is(err, auth.ErrTarget) {
		answer(w, http.StatusBadRequest, `want one of user, session and token`)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(map[string]any{"ended": ended, "full": err != nil})
}

// refuse says why a request is not for it; 0: it is.
func (r revoker) refuse(q *http.Request) (status int, why string) {
	kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	switch {
	case r.secret == "" && !r.loopback:
		return http.StatusForbidden, "the admin listener is open to other machines: set auth.admin.tokenFile"
	case r.secret != "" && !bears(q, r.secret):
		return http.StatusUnauthorized, "want the token of auth.admin.tokenFile as Authorization: Bearer"
	case len(q.Header.Values("Origin")) > 0:
		return http.StatusForbidden, "not for pages"
	case err != nil || kind != "application/json":
		return http.StatusUnsupportedMediaType, "want application/json"
	}
	return 0, ""
}

// bears compares in a time that says nothing of the secret.
func bears(q *http.Request, secret string) bool {
	scheme, token, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(secret))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// serveRevoke adds it to the admin listener.
func (d *daemon) serveRevoke(mux *http.ServeMux) {
	e, ok := d.engine.(engine)
	if !ok || e.guard == nil {
		return
	}
	secret, err := readSecret(d.settings.Auth.AdminTokenFile)
	if err != nil { // it could be read when the settings were loaded
		d.log.Error().Err(err).Msg("no revocations by the admin listener")
		return
	}
	mux.Handle("POST /auth/revoke", revoker{e.guard, secret, d.settings.AdminListen.loopback()})
}

// revokeFor is how long a revocation has to be remembered: as long as a token
// may live that was issued when it came.
func revokeFor(j auth.JWTConfig) time.Duration {
	if j.MaxLifetime < 0 || j.AllowNoExpiry {
		return -1
	}
	leeway := cmp.Or(j.Leeway, auth.DefaultLeeway)
	return cmp.Or(j.MaxLifetime, auth.DefaultMaxLifetime) + 2*max(0, leeway)
}
