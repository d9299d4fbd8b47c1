//go:build linux || darwin

package serve

import "syscall"

// raiseDescriptors raises the soft limit of open files to the hard one and
// returns the limit in force.
func raiseDescriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if limit.Cur < limit.Max {
		raised := syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
			return raised.Cur
		}
	}
	return limit.Cur
}
