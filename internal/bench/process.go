package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
)

// saidMost bounds what an error repeats of a process's output.
const saidMost = 500

// Process runs the command bench of a program and returns its Result in JSON, be
// the run good or not: that the bounds of a load were not kept is told by the exit
// code. start starts the process; nil for (*exec.Cmd).Start.
func Process(ctx context.Context, program string, args []string, start func(*exec.Cmd) error) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	args = append(append([]string{"bench"}, args...), "--json", "-")
	c := exec.CommandContext(ctx, program, args...) //nolint:gosec // the caller names the program
	c.Stdout, c.Stderr = &stdout, &stderr
	if start == nil {
		start = (*exec.Cmd).Start
	}
	err := start(c)
	if err == nil {
		err = c.Wait()
	}
	if json.Valid(stdout.Bytes()) && ctx.Err() == nil {
		return stdout.Bytes(), nil
	}
	said := stderr.String()
	return nil, fmt.Errorf("the generator: %w: %s", errors.Join(ctx.Err(), err), said[max(0, len(said)-saidMost):])
}
