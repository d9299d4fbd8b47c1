package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/internal/certs"
)

// openTLS reads the certificates; nil when TLS is off.
func (s *Settings) openTLS(log zerolog.Logger) (*certs.Keeper, error) {
	if !s.TLS.Certs.Enabled() {
		return nil, nil //nolint:nilnil // no TLS is not an error
	}
	k, err := certs.Open(s.TLS.Certs, log.With().Str("component", "tls").Logger())
	if err != nil {
		return nil, usagef("", "%s", oneLine(err))
	}
	return k, nil
}

// checkTLS says what openTLS would refuse, and warns of what will be wrong soon.
func (s *Settings) checkTLS(w io.Writer) error {
	if !s.TLS.Certs.Enabled() {
		return nil
	}
	warnings, err := certs.Check(s.TLS.Certs, time.Now())
	if err != nil {
		return usagef("", "%s", oneLine(err))
	}
	var wrong []string
	for _, warning := range warnings {
		if warning.Expired {
			wrong = append(wrong, warning.String())
		} else if w != nil {
			_, _ = fmt.Fprintln(w, "warning:", warning)
		}
	}
	if len(wrong) > 0 {
		return usagef("", "%s", strings.Join(wrong, "; "))
	}
	return nil
}

// oneLine writes joined errors on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// overTLS does what is done for requests over TLS alone: browsers are told to
// stay with it, and a client's certificate names the principal.
func (s *Settings) overTLS(h http.Handler) http.Handler {
	if s.TLS.HSTS == 0 && s.TLS.Certs.ClientCA == "" {
		return h
	}
	hsts := "max-age=" + strconv.FormatInt(int64(s.TLS.HSTS/time.Second), 10)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			h.ServeHTTP(w, r)
			return
		}
		if s.TLS.HSTS > 0 {
			w.Header().Set("Strict-Transport-Security", hsts)
		}
		if len(r.TLS.VerifiedChains) > 0 {
			name := s.TLS.Certs.ClientName.Of(r.TLS.PeerCertificates[0])
			r = r.WithContext(bayeux.WithPrincipal(r.Context(), name))
		}
		h.ServeHTTP(w, r)
	})
}

// plainServer makes a server of --http-redirect or --acme-http-listen.
func (d *daemon) plainServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readHeaderTimeout,
		WriteTimeout:      readHeaderTimeout,
		IdleTimeout:       readHeaderTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          httpLog(d.log),
	}
}

// redirect sends reads to https, on the port of the listener that speaks it.
// What is written is refused: it went over the wire in the clear, and a client
// that was sent on would not notice.
func redirect(port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.Trim(host, "[]")
		if net.ParseIP(host) == nil && !isHost(strings.ToLower(host)) {
			answer(w, http.StatusBadRequest, "want a Host")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			answer(w, http.StatusForbidden, "use https")
			return
		}
		to := net.JoinHostPort(host, port)
		if port == "443" {
			to = strings.TrimSuffix(to, ":443")
		}
		http.Redirect(w, r, "https://"+to+r.URL.RequestURI(), http.StatusPermanentRedirect) //nolint:gosec // to the host that was asked
	})
}

// securePort is that of the first listener with TLS.
func securePort(open []bound) string {
	for _, l := range open {
		if tcp, ok := l.Addr().(*net.TCPAddr); ok && !l.Plain {
			return strconv.Itoa(tcp.Port)
		}
	}
	return "443"
}

// startPlain serves the listeners without TLS that serve for TLS.
func (d *daemon) startPlain(open listeners) {
	nothing := http.NotFoundHandler()
	for _, one := range []struct {
		listeners []net.Listener
		rest      http.Handler
		message   string
	}{
		{open.redirect, redirect(securePort(open.front)), "redirecting to https"},
		{open.challenges, nothing, "answering ACME challenges"},
	} {
		if len(one.listeners) == 0 {
			continue
		}
		srv := d.plainServer(d.certs.Challenges(one.rest))
		d.plain = append(d.plain, srv)
		for _, l := range one.listeners {
			go func() { d.failed <- srv.Serve(l) }()
			d.log.Info().Stringer("address", l.Addr()).Msg(one.message)
		}
	}
}

// openPlain opens the addresses of the settings that are plain for TLS's sake.
// One address may be both.
func (o opener) openPlain(ctx context.Context, s *Settings, open *listeners) (err error) {
	if a := s.TLS.Redirect; a != (Address{}) {
		if open.redirect, err = o.open(ctx, a); err != nil {
			return fmt.Errorf("http-redirect %s: %w", a, err)
		}
	}
	if a := s.TLS.Challenges; a != (Address{}) && a != s.TLS.Redirect {
		if open.challenges, err = o.open(ctx, a); err != nil {
			return fmt.Errorf("acme-http-listen %s: %w", a, err)
		}
	}
	return nil
}

func (d *daemon) closePlain() error {
	errs := make([]error, 0, len(d.plain))
	for _, srv := range d.plain {
		errs = append(errs, srv.Close())
	}
	return errors.Join(errs...)
}

// tlsSamples names the figures of transport security.
func tlsSamples(s certs.Stats) []Sample {
	all := []Sample{
		counter("tls_handshakes_total", "TLS handshakes that succeeded.", s.Handshakes),
		gauge("tls_handshakes_in_progress", "TLS handshakes of this moment.", float64(s.InProgress)),
	}
	all = append(all, each("tls_handshake_failures_total", "TLS handshakes that failed, by reason.", "reason", s.HandshakesFailed)...)
	for _, c := range s.Expiry {
		one := gauge("tls_certificate_expiry_seconds", "When a certificate expires, in seconds since 1970, by source (file or acme) and first name.", float64(c.At.Unix()))
		one.Labels = []label{{"source", c.Source}, {"name", c.Name}}
		all = append(all, one)
	}
	all = append(all, each("tls_reloads_total", "Certificate files that changed or were read on SIGHUP, by result: ok, failed.", "result", map[string]uint64{"ok": s.Reloads, "failed": s.ReloadsFailed})...)
	return append(all, each("acme_orders_total", "ACME orders, by result: ok, failed.", "result", map[string]uint64{"ok": s.ACME, "failed": s.ACMEFailed})...)
}
