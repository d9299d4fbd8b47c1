//go:build interop

package proxies

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the process a group of its own, and has it end when the tests die without cleaning up.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
