package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a process has used.
type usage struct {
	cpu time.Duration
	rss int64
}

// sample reads a process's CPU time and resident memory; zero where there is
// no /proc.
func sample(pid int) usage {
	var u usage
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return u
	}
	// Fields 14 and 15 after the name in brackets: ticks of 10 ms.
	if _, rest, ok := strings.Cut(string(stat), ") "); ok {
		f := strings.Fields(rest)
		user, _ := strconv.ParseInt(f[11], 10, 64)
		system, _ := strconv.ParseInt(f[12], 10, 64)
		u.cpu = time.Duration(user+system) * 10 * time.Millisecond
		pages, _ := strconv.ParseInt(f[21], 10, 64)
		u.rss = pages * int64(os.Getpagesize())
	}
	return u
}

// scanAddresses finds the addresses in the server's log and then drains it.
func scanAddresses(r io.Reader, front, admin chan<- string) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var entry struct{ Message, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			continue
		}
		found := front
		switch entry.Message {
		case "listening":
		case "admin listening":
			found = admin
		default:
			continue
		}
		select {
		case found <- entry.Address:
		default:
		}
	}
}

func raiseDescriptors() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
}
