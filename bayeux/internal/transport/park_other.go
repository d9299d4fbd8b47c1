//go:build !linux

package transport

// NewPlatformPoller returns no poller: on this platform a goroutine waits for
// each connection.
func NewPlatformPoller() (Poller, error) { return nil, nil } //nolint:nilnil // none is an answer
