//go:build !unix

package rawio

import "errors"

// Supported tells that Recv and Send work here.
const Supported = false

// Recv does not work here.
func Recv(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }

// Ready does not work here.
func Ready(uintptr) bool { return false }

// Send does not work here.
func Send(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }
