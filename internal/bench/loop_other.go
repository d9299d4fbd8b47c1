//go:build !linux

package bench

import (
	"context"
	"time"
)

// newLoops returns none: each connection has a goroutine.
func newLoops(*engine, int) ([]loop, error) { return nil, nil }

// pause waits as exactly as the system can.
func pause(ctx context.Context, d time.Duration) { rest(ctx, d) }
