package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/rs/zerolog"
)

// LetsEncrypt is the directory of Let's Encrypt.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// MaxDomains bounds the certificates by ACME.
const MaxDomains = 100

// Times of an order. A directory that refuses is asked again after firstRetry,
// then three times as late each time, which stays below the five failures an
// hour that Let's Encrypt allows.
const (
	orderTimeout = 5 * time.Minute
	firstRetry   = time.Minute
	lastRetry    = 6 * time.Hour
)

// longText bounds what a directory's reason may add to the log.
const longText = 1000

// ACME says how to get certificates from an authority that speaks RFC 8555.
// Each domain has a certificate of its own.
type ACME struct {
	// Domains are names of hosts, at most MaxDomains.
	Domains []string
	// Cache is the folder that keeps account and certificates; one process
	// writes to it.
	Cache string
	// Email is whom the authority may write to; empty for nobody.
	Email string
	// Directory is the URL of the authority's directory, LetsEncrypt if empty.
	Directory string
	// Roots is a file of authorities that the directory's own certificate is
	// checked against; empty for those of the system.
	Roots string
	// AcceptTerms says that the operator accepts the authority's terms.
	AcceptTerms bool
	// HTTP says that Challenges is served on port 80 of the domains, so that
	// http-01 can be used beside tls-alpn-01.
	HTTP bool
}

// manager gets certificates and keeps them fresh.
type manager struct {
	config ACME
	log    zerolog.Logger
	cache  cache
	client acmez.Client
	tls    *tlsSolver
	http   *httpSolver
	all    []*managed // by the order of the domains

	done, failed atomic.Uint64
}

// managed is the certificate of a domain.
type managed struct {
	domain string
	cert   atomic.Pointer[tls.Certificate] // nil: none yet
	// For run alone: when to order the next time, and how long to wait after
	// the next failure.
	due   time.Time
	retry time.Duration
}

// openManager reads the cache.
func openManager(c ACME, log zerolog.Logger) (*manager, error) {
	if c.Directory == "" {
		c.Directory = LetsEncrypt
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	m := &manager{config: c, log: log, tls: newTLSSolver(), http: newHTTPSolver()}
	if m.cache, err = openCache(c.Cache, c.Directory); err != nil {
		return nil, fmt.Errorf("acme-cache: %w", err)
	}
	m.client = acmez.Client{
		Client:           &acme.Client{Directory: c.Directory, HTTPClient: client, UserAgent: "Halley"},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeTLSALPN01: m.tls},
	}
	if c.HTTP {
		m.client.ChallengeSolvers[acme.ChallengeTypeHTTP01] = m.http
	}
	for _, domain := range c.Domains {
		one := &managed{domain: domain, retry: firstRetry}
		m.all = append(m.all, one)
		cert, err := m.cache.certificate(domain)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			log.Warn().Err(err).Str("domain", domain).Msg("the cached certificate cannot be used; a new one will be ordered")
		default:
			one.take(cert)
		}
	}
	return m, nil
}

// check does what can be done without a network and without changes.
func (c ACME) check() error {
	if _, err := c.client(); err != nil {
		return err
	}
	if err := checkCache(c.Cache); err != nil {
		return fmt.Errorf("acme-cache: %w", err)
	}
	return nil
}

// client makes the HTTP client for the directory.
func (c ACME) client() (*http.Client, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: HandshakeTimeout, ResponseHeaderTimeout: time.Minute,
	}
	if c.Roots != "" {
		text, err := os.ReadFile(c.Roots)
		if err != nil {
			return nil, fmt.Errorf("acme-ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("acme-ca: %s: no certificate in PEM", c.Roots)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: transport, Timeout: 2 * time.Minute}, nil
}

// take serves a certificate from now on.
func (m *managed) take(cert *tls.Certificate) {
	m.cert.Store(cert)
	m.due, m.retry = renewal(cert.Leaf), firstRetry
}

// renewal is when a certificate is to be replaced: after two thirds of its
// life, after half of a life of days, a little earlier by chance so that a
// fleet does not come at once.
func renewal(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	after := life * 2 / 3
	if life < 10*24*time.Hour {
		after = life / 2
	}
	return leaf.NotBefore.Add(after - mathrand.N(max(life/50, 1))) //nolint:gosec // no secret
}

// certificate returns that of a domain, of the first if no name is asked for,
// nil if there is none.
func (m *manager) certificate(domain string) *tls.Certificate {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	for _, one := range m.all {
		if one.domain == domain || domain == "" {
			return one.cert.Load()
		}
	}
	return nil
}

// run orders certificates, one after the other, until ctx ends.
func (m *manager) run(ctx context.Context) {
	defer m.client.HTTPClient.CloseIdleConnections()
	for {
		next := m.all[0]
		for _, one := range m.all[1:] {
			if one.due.Before(next.due) {
				next = one
			}
		}
		timer := time.NewTimer(time.Until(next.due))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		m.renew(ctx, next)
	}
}

func (m *manager) renew(ctx context.Context, one *managed) {
	cert, err := m.order(ctx, one)
	if err == nil {
		m.done.Add(1)
		one.take(cert)
		m.log.Info().Str("domain", one.domain).Time("expires", cert.Leaf.NotAfter).Msg("ACME certificate issued")
		return
	}
	if ctx.Err() != nil {
		return
	}
	m.failed.Add(1)
	wait := one.retry
	one.due, one.retry = time.Now().Add(wait), min(3*wait, lastRetry)
	reason := err.Error()
	line := m.log.Error().Str("domain", one.domain).Str("reason", reason[:min(len(reason), longText)]).Stringer("again", wait)
	if old := one.cert.Load(); old != nil {
		line.Time("expires", old.Leaf.NotAfter).Msg("ACME order failed; the old certificate stays")
		return
	}
	line.Msg("ACME order failed; there is no certificate yet")
}

// order gets a certificate and keeps it in the cache.
func (m *manager) order(ctx context.Context, one *managed) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	account, err := m.account(ctx)
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	chains, err := m.client.ObtainCertificateForSANs(ctx, account, key, []string{one.domain})
	if err != nil {
		return nil, err
	}
	if len(chains) == 0 {
		return nil, errors.New("the directory issued nothing")
	}
	text, err := encode(key, chains[0].ChainPEM)
	if err != nil {
		return nil, err
	}
	cert, err := decode(text, one.domain)
	if err != nil {
		return nil, err
	}
	if err := m.cache.write(certificateFile(one.domain), text); err != nil {
		m.log.Error().Err(err).Str("domain", one.domain).Msg("the certificate is served but could not be kept in acme-cache")
	}
	return cert, nil
}

// account makes the account, or finds it by its key.
func (m *manager) account(ctx context.Context) (acme.Account, error) {
	key, err := m.cache.accountKey()
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{PrivateKey: key, TermsOfServiceAgreed: m.config.AcceptTerms}
	if m.config.Email != "" {
		account.Contact = []string{"mailto:" + m.config.Email}
	}
	return m.client.NewAccount(ctx, account)
}

func (m *manager) warnings(now time.Time) []Warning {
	var all []Warning
	for _, one := range m.all {
		cert := one.cert.Load()
		if cert == nil {
			continue
		}
		// It is renewed well before; only what is late is worth a word.
		life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
		if left := cert.Leaf.NotAfter.Sub(now); left < life/6 {
			text, expired := warning(cert.Leaf, now)
			if text == "" {
				text = "expires at " + cert.Leaf.NotAfter.UTC().Format(time.RFC3339) + ", in " + span(left)
			}
			all = append(all, Warning{What: "acme-domain", Name: one.domain, Text: text, Expired: expired})
		}
	}
	return all
}

// Challenges answers http-01 challenges and passes other requests on.
func (k *Keeper) Challenges(rest http.Handler) http.Handler {
	if k.acme == nil {
		return rest
	}
	return k.acme.http.handler(rest)
}

// tlsSolver has the certificates of tls-alpn-01 challenges by domain.
type tlsSolver struct {
	mu  sync.Mutex
	all map[string]*tls.Certificate
}

const acmeProtocol = acmez.ACMETLS1Protocol

func newTLSSolver() *tlsSolver { return &tlsSolver{all: map[string]*tls.Certificate{}} }

// isChallenge tells whether an authority asks for a challenge's certificate.
func isChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmeProtocol
}

// Present implements acmez.Solver.
func (s *tlsSolver) Present(_ context.Context, c acme.Challenge) error {
	cert, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[c.Identifier.Value] = cert
	return nil
}

// CleanUp implements acmez.Solver.
func (s *tlsSolver) CleanUp(_ context.Context, c acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c.Identifier.Value)
	return nil
}

func (s *tlsSolver) config(domain string) (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cert, ok := s.all[strings.ToLower(domain)]
	if !ok {
		return nil, errNoCertificate
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{acmeProtocol}, MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}, nil
}

// httpSolver has the answers of http-01 challenges by path.
type httpSolver struct {
	mu  sync.Mutex
	all map[string]string
}

func newHTTPSolver() *httpSolver { return &httpSolver{all: map[string]string{}} }

// Present implements acmez.Solver.
func (s *httpSolver) Present(_ context.Context, c acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[c.HTTP01ResourcePath()] = c.KeyAuthorization
	return nil
}

// CleanUp implements acmez.Solver.
func (s *httpSolver) CleanUp(_ context.Context, c acme.Challenge) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c.HTTP01ResourcePath())
	return nil
}

func (s *httpSolver) handler(rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		text, ok := s.all[r.URL.Path]
		s.mu.Unlock()
		if !ok {
			rest.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write([]byte(text))
	})
}
