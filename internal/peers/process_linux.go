package peers

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the process when this one dies without
// cleaning up.
func endWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
