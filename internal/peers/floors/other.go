//go:build !linux

package floors

import "errors"

// Floor is there on Linux only.
type Floor struct{}

// Listen returns an error.
func Listen(Config) (*Floor, error) { return nil, errors.New("the floors need Linux") }

// URL returns nothing.
func (*Floor) URL() string { return "" }

// Stop does nothing.
func (*Floor) Stop() {}

// Run returns at once.
func (*Floor) Run() error { return nil }
