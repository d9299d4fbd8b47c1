package peers

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// maxCPU is the highest number of a processor that Linux's affinity masks of
// usual size have.
const maxCPU = 1023

// parseCPUs reads numbers separated by commas; empty is all processors, nil.
func parseCPUs(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var cpus []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxCPU {
			return nil, fmt.Errorf("option cpus=%q: want numbers from 0 to %d separated by commas", list, maxCPU)
		}
		cpus = append(cpus, n)
	}
	return cpus, nil
}

// StartOn starts a command that may use these processors only, from its first
// instruction on, as may what it starts itself; GOMAXPROCS in its environment
// says how many they are. No processors is any. It is there on Linux; elsewhere
// processors are an error.
func StartOn(c *exec.Cmd, cpus []int) error {
	if len(cpus) == 0 {
		return c.Start()
	}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	c.Env = append(c.Env, "GOMAXPROCS="+strconv.Itoa(len(cpus)))
	return startOn(c, cpus)
}
