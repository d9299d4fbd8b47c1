package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// MaxPairs bounds the certificates by file: each handshake may look at all.
const MaxPairs = 100

// Config says which certificates there are. Without Pairs and without domains
// in ACME there is no TLS.
type Config struct {
	// Pairs are certificates by file. Where names tell nothing, the first
	// serves.
	Pairs []Pair
	// ClientCA is a file of authorities whose certificates clients may show;
	// empty for none. ClientCRL is a file of their revocation lists.
	ClientCA, ClientCRL string
	// ClientAuth is AuthNone if empty.
	ClientAuth Auth
	// ClientName is the name that a client's certificate must have, NameDN if
	// empty.
	ClientName Name
	// MinVersion is TLS 1.2 if zero.
	MinVersion uint16
	// ACME gets certificates for Domains, none if there are none.
	ACME ACME
}

// Enabled tells whether there is TLS.
func (c Config) Enabled() bool { return len(c.Pairs) > 0 || len(c.ACME.Domains) > 0 }

// Warning is something that an operator should mend in time.
type Warning struct {
	// What is the setting, Name the certificate, Text what is wrong.
	What, Name, Text string
	// Expired tells that it is too late.
	Expired bool
}

func (w Warning) String() string { return fmt.Sprintf("%s: %q %s", w.What, w.Name, w.Text) }

// state is what handshakes are made with; immutable.
type state struct {
	pairs   []*tls.Certificate
	clients *clients
	config  *tls.Config
}

// Keeper keeps certificates and serves them. It is safe for concurrent use.
type Keeper struct {
	config Config
	log    zerolog.Logger
	outer  *tls.Config // gives each handshake the present state
	state  atomic.Pointer[state]
	acme   *manager // nil without domains
	shaken *tally
	room   *room

	reloading sync.Mutex
	seen      fingerprint // of the files as they were last read

	reloaded, failed atomic.Uint64
}

// Open reads all certificates. Where ACME has none yet, they are got in Run.
func Open(c Config, log zerolog.Logger) (*Keeper, error) {
	k := &Keeper{config: c, log: log, shaken: newTally(log), room: newRoom(MaxHandshakes)}
	k.seen = look(c.files())
	first, errs := k.next(&state{})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	k.state.Store(first)
	if len(c.ACME.Domains) > 0 {
		var err error
		if k.acme, err = openManager(c.ACME, log); err != nil {
			return nil, err
		}
	}
	k.outer = k.newConfig(first.clients)
	k.outer.GetConfigForClient = k.present
	return k, nil
}

// Check reads what Open would, changes nothing, and reports what is wrong or
// will soon be.
func Check(c Config, now time.Time) ([]Warning, error) {
	k := &Keeper{config: c}
	s, errs := k.next(&state{})
	if len(c.ACME.Domains) > 0 {
		errs = append(errs, c.ACME.check())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return k.warnings(s, now), nil
}

// files are all that is read, for telling whether they have changed.
func (c Config) files() []string {
	all := make([]string, 0, 2*len(c.Pairs)+2)
	for _, p := range c.Pairs {
		all = append(all, p.Cert, p.Key)
	}
	for _, f := range []string{c.ClientCA, c.ClientCRL} {
		if f != "" {
			all = append(all, f)
		}
	}
	return all
}

// next reads the files. What cannot be read stays as it is in old.
func (k *Keeper) next(old *state) (*state, []error) {
	s := &state{pairs: slices.Clone(old.pairs), clients: old.clients}
	var errs []error
	for i, p := range k.config.Pairs {
		cert, err := loadPair(p)
		if err == nil && old.config != nil {
			err = notOlder(old.pairs[i], cert, time.Now())
		}
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("tls-cert and tls-key: %w", err))
		case old.config == nil:
			s.pairs = append(s.pairs, cert)
		default:
			s.pairs[i] = cert
		}
	}
	if k.config.ClientCA != "" {
		c, err := loadClients(k.config)
		if err != nil {
			errs = append(errs, fmt.Errorf("tls-client-ca: %w", err))
		} else {
			s.clients = c
		}
	}
	s.config = k.newConfig(s.clients)
	return s, errs
}

// notOlder refuses an expired certificate in the place of a good one.
func notOlder(old, cert *tls.Certificate, now time.Time) error {
	if now.After(cert.Leaf.NotAfter) && now.Before(old.Leaf.NotAfter) {
		return fmt.Errorf("the new certificate for %q expired at %s", title(cert.Leaf), cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// newConfig makes the settings of a handshake. Cipher suites and curves are
// those of the standard library, which also changes the keys of session tickets.
func (k *Keeper) newConfig(c *clients) *tls.Config {
	config := &tls.Config{
		MinVersion:     max(k.config.MinVersion, tls.VersionTLS12),
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: k.certificate,
	}
	if c == nil {
		return config
	}
	config.ClientCAs, config.VerifyConnection = c.roots, c.verify
	switch k.config.ClientAuth {
	case AuthNone:
	case AuthRequest:
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case AuthRequire:
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

// present gives a handshake the settings of this moment.
func (k *Keeper) present(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if s, ok := hello.Conn.(*seat); ok {
		s.speaks()
	}
	if k.acme != nil && isChallenge(hello) {
		return k.acme.tls.config(hello.ServerName)
	}
	return k.state.Load().config, nil
}

var errNoCertificate = errors.New("no certificate yet")

// certificate chooses by what the client can use and asks for: files come
// before ACME, and the first is for whoever asks for something else.
func (k *Keeper) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	all := k.state.Load().pairs
	for _, cert := range all {
		if hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	if k.acme != nil {
		if cert := k.acme.certificate(hello.ServerName); cert != nil && (len(all) == 0 || hello.SupportsCertificate(cert) == nil) {
			return cert, nil
		}
	}
	if len(all) > 0 {
		return all[0], nil
	}
	return nil, errNoCertificate
}

// Reload reads the files again. Each pair, and the authorities with their
// lists, changes as a whole or stays as it was; the error names what stayed.
func (k *Keeper) Reload() error {
	k.reloading.Lock()
	defer k.reloading.Unlock()
	k.seen = look(k.config.files())
	s, errs := k.next(k.state.Load())
	k.state.Store(s)
	k.warn(s)
	if err := errors.Join(errs...); err != nil {
		k.failed.Add(1)
		return err
	}
	k.reloaded.Add(1)
	return nil
}

// Run looks after the certificates until ctx ends: it reads files that have
// changed, warns of what expires, and has ACME renew.
func (k *Keeper) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	if k.acme != nil {
		group.Go(func() { k.acme.run(ctx) })
	}
	k.warn(k.state.Load())
	polls, warnings := time.NewTicker(PollEvery), time.NewTicker(WarnEvery)
	defer polls.Stop()
	defer warnings.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-warnings.C:
			k.warn(k.state.Load())
		case <-polls.C:
			k.poll()
		}
	}
}

func (k *Keeper) poll() {
	k.reloading.Lock()
	same := k.seen.equal(look(k.config.files()))
	k.reloading.Unlock()
	if same {
		return
	}
	if err := k.Reload(); err != nil {
		k.log.Error().Err(err).Msg("certificates have changed and cannot be used; the old ones stay")
		return
	}
	k.log.Info().Msg("certificates have changed and were read")
}

func (k *Keeper) warn(s *state) {
	for _, w := range k.warnings(s, time.Now()) {
		level := zerolog.WarnLevel
		if w.Expired {
			level = zerolog.ErrorLevel
		}
		k.log.WithLevel(level).Str("setting", w.What).Str("name", w.Name).Str("problem", w.Text).Msg("a certificate needs care")
	}
}

func (k *Keeper) warnings(s *state, now time.Time) []Warning {
	var all []Warning
	for _, cert := range s.pairs {
		if text, expired := warning(cert.Leaf, now); text != "" {
			all = append(all, Warning{What: "tls-cert", Name: title(cert.Leaf), Text: text, Expired: expired})
		}
	}
	if s.clients != nil {
		all = append(all, s.clients.warnings(now)...)
	}
	if k.acme != nil {
		all = append(all, k.acme.warnings(now)...)
	}
	return all
}
