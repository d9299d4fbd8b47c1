package main

import (
	"bufio"
	"encoding/json"
	"io"
	"syscall"

	"github.com/halleypush/halley/internal/procfs"
)

// sample reads what a process has used; zero where that cannot be told.
func sample(pid int) procfs.Process {
	p, _ := procfs.Read(pid)
	return p
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
