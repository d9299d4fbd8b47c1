//go:build interop

package interop

import (
	"os/exec"
	"syscall"
)

// endWithParent ends the process when the tests die without cleaning up.
func endWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
