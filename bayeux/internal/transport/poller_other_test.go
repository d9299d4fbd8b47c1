//go:build !linux

package transport

import "testing"

func newSystemPoller(testing.TB) Poller { return newMemoryPoller() }
