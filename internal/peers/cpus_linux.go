package peers

import (
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// startOn starts a command from a thread that is bound to the processors, which
// the process inherits: no program such as taskset is needed, and no thread of
// the process runs elsewhere before.
func startOn(c *exec.Cmd, cpus []int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, bound unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the processors of a thread: %w", err)
	}
	for _, n := range cpus {
		if !before.IsSet(n) {
			return fmt.Errorf("processor %d is not there, or not for this process", n)
		}
		bound.Set(n)
	}
	if err := unix.SchedSetaffinity(0, &bound); err != nil {
		return fmt.Errorf("bind to the processors %v: %w", cpus, err)
	}
	// If it failed, this thread would stay bound, which costs speed and no more.
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return c.Start()
}
