package certs

import "time"

// Stats are the figures of a Keeper.
type Stats struct {
	// Expiry is when the certificates expire, by their first name.
	Expiry []Expiry
	// Reloads and ReloadsFailed count changes of files that were taken and that
	// could not be used.
	Reloads, ReloadsFailed uint64
	// Handshakes are those that succeeded, HandshakesFailed the others by Reason.
	Handshakes       uint64
	HandshakesFailed map[string]uint64
	// InProgress are the handshakes of this moment.
	InProgress int
	// ACME and ACMEFailed count orders.
	ACME, ACMEFailed uint64
}

// Expiry is when a certificate expires.
type Expiry struct {
	// Source is file or acme.
	Source, Name string
	At           time.Time
}

// Stats returns the figures of this moment.
func (k *Keeper) Stats() Stats {
	s := Stats{
		Reloads: k.reloaded.Load(), ReloadsFailed: k.failed.Load(),
		Handshakes: k.shaken.done.Load(), HandshakesFailed: k.shaken.failures(), InProgress: k.room.taken(),
	}
	for _, cert := range k.state.Load().pairs {
		s.Expiry = soonest(s.Expiry, Expiry{"file", title(cert.Leaf), cert.Leaf.NotAfter})
	}
	if k.acme == nil {
		return s
	}
	s.ACME, s.ACMEFailed = k.acme.done.Load(), k.acme.failed.Load()
	for _, domain := range k.config.ACME.Domains {
		if cert := k.acme.certificate(domain); cert != nil {
			s.Expiry = append(s.Expiry, Expiry{"acme", domain, cert.Leaf.NotAfter})
		}
	}
	return s
}

// soonest adds an expiry; of several with one name the first to come is told.
func soonest(all []Expiry, e Expiry) []Expiry {
	for i := range all {
		if all[i].Name == e.Name {
			if e.At.Before(all[i].At) {
				all[i] = e
			}
			return all
		}
	}
	return append(all, e)
}
