// Package interrupt ends what commands do at a signal.
package interrupt

import (
	"context"
	"os"
)

// Context returns a context that ends with the first signal; nil signals never
// come. stop ends it, and the watching.
func Context(ctx context.Context, signals <-chan os.Signal) (ended context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with the context
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
