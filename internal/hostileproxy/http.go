package hostileproxy

import (
	"context"
	"errors"
	"net/netip"
)

// HTTP is a reverse proxy for HTTP/1.1 and what upgrades from it, which does to its clients what Rules says. Without rules
// it passes on each piece at once, upgraded connections byte for byte, and adds X-Forwarded-For and Via. It speaks plain TCP.
// All methods may be called from any goroutine.
type HTTP struct{}

// NewHTTP starts a proxy on a free port of 127.0.0.1, in front of one or more targets ("host:port"). Close stops it.
func NewHTTP(targets ...string) (*HTTP, error) { return nil, errors.New("not yet") }

// Addr is the address ("127.0.0.1:port") where the proxy listens.
func (p *HTTP) Addr() string { return "" }

// Set makes r the rules for all clients that have none of their own.
func (p *HTTP) Set(r Rules) {}

// SetFor makes r the rules for clients of the address, whatever Set says. At most 4,096 addresses can have rules of their
// own; those beyond keep the rules of all.
func (p *HTTP) SetFor(client netip.Addr, r Rules) {}

// ClearFor puts clients of the address under the rules of all again.
func (p *HTTP) ClearFor(client netip.Addr) {}

// SetTargets changes where requests go from now on. Connections to servers that are in use are left alone.
func (p *HTTP) SetTargets(targets ...string) {}

// CutAll ends all connections of now, and returns how many. New ones are welcome at once.
func (p *HTTP) CutAll(how End) int { return 0 }

// Counts returns the counts so far of all clients.
func (p *HTTP) Counts() Counts { return Counts{} }

// CountsFor returns the counts of one client address, from the time it first came. Of the first 4,096 addresses, that is.
func (p *HTTP) CountsFor(client netip.Addr) Counts { return Counts{} }

// Exchanges returns the latest requests and tunnels that are over, at most 4,096, in the order of their ends.
func (p *HTTP) Exchanges() []Exchange { return nil }

// Wait returns nil as soon as the condition holds for the counts of all, or the error of ctx.
func (p *HTTP) Wait(ctx context.Context, condition func(Counts) bool) error { return ctx.Err() }

// Close ends the proxy and its connections, and waits for its goroutines. It may be called more than once.
func (p *HTTP) Close() error { return nil }
