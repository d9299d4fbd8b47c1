//go:build unix

package main

import "syscall"

// setUmask returns the one before.
func setUmask(mask int) int { return syscall.Umask(mask) }
