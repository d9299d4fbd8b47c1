package peers

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the process when this one dies without
// cleaning up. What counts is the thread that starts it: a goroutine that is
// locked to its thread must not start peers that outlive it.
func endWithParent(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
