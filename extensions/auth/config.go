package auth

import (
	"errors"
	"time"

	"github.com/rs/zerolog"
)

// Defaults of Config.
const (
	DefaultMaxTokenBytes      = 8 << 10
	DefaultRefreshesPerMinute = 12
	DefaultMaxRevocations     = 100000
)

// refreshBurst is how many refreshes may come at once.
const refreshBurst = 5

// Config configures the extension.
type Config struct {
	// Methods judge credentials, in this order: the first that has something to
	// say decides.
	Methods []Method
	// Places are where handshakes may have a token. Nil means DefaultPlaces.
	Places []Place
	// Anonymous accepts handshakes without credentials; their sessions have no
	// Subject. Credentials that are not good are refused all the same.
	Anonymous bool
	// MaxTokenBytes bounds a token. Zero means DefaultMaxTokenBytes.
	MaxTokenBytes int
	// Warning is how long before its token expires a client is told. Zero means
	// 30 seconds, or a tenth of the token's life if that is less; a negative
	// value never. It is half the life at most.
	Warning time.Duration
	// RefreshAnyUser lets a session go on with the token of another user, and an
	// anonymous one become somebody.
	RefreshAnyUser bool
	// RefreshesPerMinute bounds the refreshes of a session, those that fail too;
	// five may come at once. Zero means DefaultRefreshesPerMinute.
	RefreshesPerMinute int
	// MaxRevocations bounds how many revocations are remembered. Beyond it
	// Revoke refuses all that was issued until then, whosever it is. Zero means
	// DefaultMaxRevocations.
	MaxRevocations int
	// RevokeFor is how long a revocation is remembered: no shorter than a token
	// lives. Zero means DefaultMaxLifetime and twice DefaultLeeway, less for
	// ever.
	RevokeFor time.Duration
	// Logger gets why credentials were refused. Zero means nowhere.
	Logger zerolog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if len(c.Methods) == 0 {
		return c, errors.New("auth: no method of authentication")
	}
	if c.Places == nil {
		c.Places = DefaultPlaces()
	}
	for _, p := range c.Places {
		if err := p.check(); err != nil {
			return c, err
		}
	}
	for _, f := range []struct {
		field *int
		def   int
	}{{&c.MaxTokenBytes, DefaultMaxTokenBytes}, {&c.RefreshesPerMinute, DefaultRefreshesPerMinute}, {&c.MaxRevocations, DefaultMaxRevocations}} {
		if *f.field <= 0 {
			*f.field = f.def
		}
	}
	c.RevokeFor = orDefault(c.RevokeFor, DefaultMaxLifetime+2*DefaultLeeway)
	return c, nil
}

// Bounds of the default warning.
const (
	maxWarning  = 30 * time.Second
	warningPart = 10
)

// warnAt is when the holder of credentials is warned; zero: never.
func (c Config) warnAt(now, expires time.Time) time.Time {
	life := expires.Sub(now)
	if expires.IsZero() || c.Warning < 0 || life <= 0 {
		return time.Time{}
	}
	lead := c.Warning
	if lead == 0 {
		lead = min(maxWarning, life/warningPart)
	}
	return expires.Add(-min(lead, life/2))
}
