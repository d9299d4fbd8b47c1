package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// LogEvery is how often the log tells of failed handshakes of one kind.
const LogEvery = time.Minute

// Reason is why a handshake failed. Logs and figures have these words and no
// text of the peer's.
type Reason string

// The reasons.
const (
	ReasonTimeout       Reason = "timeout"              // slower than HandshakeTimeout
	ReasonCrowded       Reason = "crowded"              // slow, and cut for others that waited
	ReasonClosed        Reason = "closed"               // the peer went away
	ReasonNotTLS        Reason = "not_tls"              // what came is no TLS
	ReasonVersion       Reason = "version_or_cipher"    // no version, cipher suite or protocol in common
	ReasonAlert         Reason = "client_alert"         // the peer refused us, our certificate perhaps
	ReasonNoCertificate Reason = "no_certificate"       // none of ours fits, or ACME has not got it yet
	ReasonClientMissing Reason = "client_cert_missing"  // a certificate is required and there was none
	ReasonClientExpired Reason = "client_cert_expired"  // expired or not yet valid
	ReasonClientCA      Reason = "client_cert_unknown"  // of an authority that tls-client-ca does not have
	ReasonClientRevoked Reason = "client_cert_revoked"  // in a list of tls-client-crl
	ReasonClientName    Reason = "client_cert_nameless" // without the name of tls-client-name
	ReasonClientOther   Reason = "client_cert_refused"  // not for clients, a wrong signature and the like
	ReasonOther         Reason = "other"                // anything else
)

// reason sorts the error of a handshake.
func reason(err error, cut bool) Reason {
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case cut:
		return ReasonCrowded
	case errors.Is(err, context.DeadlineExceeded), timeout(err):
		return ReasonTimeout
	case errors.Is(err, errNoCertificate):
		return ReasonNoCertificate
	case plain:
		return ReasonNotTLS
	}
	if r := clientReason(err); r != "" {
		return r
	}
	return otherReason(err)
}

func clientReason(err error) Reason {
	switch {
	case errors.Is(err, errRevoked):
		return ReasonClientRevoked
	case errors.Is(err, errNameless):
		return ReasonClientName
	}
	refused, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		return ""
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](refused.Err); ok {
		return ReasonClientCA
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](refused.Err); ok && invalid.Reason == x509.Expired {
		return ReasonClientExpired
	}
	return ReasonClientOther
}

// otherReason sorts the errors that have no type of their own by the library's
// text, which is not the peer's.
func otherReason(err error) Reason {
	text := err.Error()
	switch {
	case strings.Contains(text, "didn't provide a certificate"):
		return ReasonClientMissing
	case strings.HasPrefix(text, "remote error"):
		return ReasonAlert
	case strings.Contains(text, "unsupported version"), strings.Contains(text, "no cipher suite"),
		strings.Contains(text, "unsupported application protocols"), strings.Contains(text, "no ECDHE"):
		return ReasonVersion
	}
	network, ok := errors.AsType[*net.OpError](err)
	if ok && network.Op != "remote error" || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ReasonClosed
	}
	return ReasonOther
}

func timeout(err error) bool {
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout()
}

// tally counts handshakes and tells the log of those that fail, at most once in
// LogEvery for each reason.
type tally struct {
	log  zerolog.Logger
	done atomic.Uint64

	mu    sync.Mutex
	count map[Reason]uint64
	told  map[Reason]telling
}

// telling is what the log was last told of a reason.
type telling struct {
	at    time.Time
	count uint64
}

func newTally(log zerolog.Logger) *tally {
	return &tally{log: log, count: map[Reason]uint64{}, told: map[Reason]telling{}}
}

func (t *tally) failed(r Reason, peer net.Addr) {
	n, tell := t.add(r, time.Now())
	if !tell {
		return
	}
	level := zerolog.InfoLevel
	if r == ReasonClosed { // So do probes of load balancers.
		level = zerolog.DebugLevel
	}
	t.log.WithLevel(level).Str("reason", string(r)).Uint64("count", n).Stringer("last", peer).Msg("TLS handshakes failed")
}

// add counts, and returns how many the log has not been told of when it is time
// to tell.
func (t *tally) add(r Reason, now time.Time) (n uint64, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count[r]++
	last := t.told[r]
	if !last.at.IsZero() && now.Sub(last.at) < LogEvery {
		return 0, false
	}
	t.told[r] = telling{now, t.count[r]}
	return t.count[r] - last.count, true
}

// failures are the counts by reason.
func (t *tally) failures() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[string]uint64, len(t.count))
	for r, n := range t.count {
		all[string(r)] = n
	}
	return all
}
