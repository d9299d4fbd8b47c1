//go:build !linux

package rawio

// Announce does nothing: all calls are ordinary ones.
func Announce() {}
