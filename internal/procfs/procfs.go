// Package procfs reads what processes used from /proc, which Linux has. There is
// nothing to be told elsewhere.
package procfs

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// root is where the kernel tells of processes.
const root = "/proc"

// tick is the kernel's unit of CPU time in /proc.
const tick = 10 * time.Millisecond

// Process is what a process used until a moment, from /proc; zero where there
// is none.
type Process struct {
	UserCPU, SystemCPU time.Duration
	// RSS is the resident memory in bytes.
	RSS     int64
	Threads int
	// Descriptors are open files; 0 where they may not be counted.
	Descriptors int
}

// CPU is user and system time together.
func (p Process) CPU() time.Duration { return p.UserCPU + p.SystemCPU }

// Read reads what a process used. ok is false where it cannot be told.
func Read(pid int) (p Process, ok bool) { return read(root, strconv.Itoa(pid)) }

// Self is Read of this process.
func Self() (p Process, ok bool) { return read(root, "self") }

func read(root, pid string) (p Process, ok bool) {
	stat, err := os.ReadFile(root + "/" + pid + "/stat") //nolint:gosec // the kernel's
	if err != nil {
		return p, false
	}
	// The name in brackets may have spaces: fields count from its end.
	text := string(stat)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(f) < 22 {
		return p, false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(f[i], 10, 64)
		return n
	}
	p.UserCPU, p.SystemCPU = time.Duration(number(11))*tick, time.Duration(number(12))*tick
	p.Threads = int(number(17))
	p.RSS = number(21) * int64(os.Getpagesize())
	if dir, err := os.Open(root + "/" + pid + "/fd"); err == nil { //nolint:gosec // the kernel's
		names, _ := dir.Readdirnames(-1)
		p.Descriptors = len(names)
		_ = dir.Close()
	}
	return p, true
}

// MachineCPU is the CPU time that all processes used. ok is false where it
// cannot be told.
func MachineCPU() (used time.Duration, ok bool) { return machineCPU(root) }

func machineCPU(root string) (time.Duration, bool) {
	stat, err := os.ReadFile(root + "/stat") //nolint:gosec // the kernel's
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	f := strings.Fields(line)
	if len(f) < 8 || f[0] != "cpu" {
		return 0, false
	}
	var busy int64
	for i, text := range f[1:8] {
		if i == 3 || i == 4 { // idle, and waiting for disks
			continue
		}
		n, _ := strconv.ParseInt(text, 10, 64)
		busy += n
	}
	return time.Duration(busy) * tick, true
}
