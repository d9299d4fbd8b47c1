//go:build !linux

package main

import (
	"errors"
	"syscall"
)

// stall needs options of Linux.
func stall(string, string, syscall.RawConn) error { return errors.New("make slow needs Linux") }
