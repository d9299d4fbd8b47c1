// Package health is `halley health`: one question to the admin listener, for
// supervisors that can only run a program, such as those of containers.
package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 4 << 10

// Command is the command line of `halley health`.
type Command struct {
	URL     string        `arg:"" optional:"" name:"url" default:"http://127.0.0.1:9090/readyz" help:"What to ask: a path of the admin listener. Default http://127.0.0.1:9090/readyz."`
	Timeout time.Duration `default:"3s" placeholder:"TIME" help:"How long the answer may take."`
}

// Help is shown below the flags.
func (Command) Help() string {
	return `Exits with 0 and prints the answer when a server with --admin-listen says that it takes clients; with 1 while it ` +
		`stops, or when it does not answer.

  halley health
  halley health http://127.0.0.1:9090/healthz`
}

// Run asks. Any other answer than 200 is an error that has it.
func (c *Command) Run(ctx context.Context, stdout io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no answer within %v", c.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return err
	}
	// A proxy of the environment has no part in a question to this machine.
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("%s: %w", c.URL, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %w", c.URL, err)
	}
	answer := strings.TrimSpace(string(text))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", c.URL, errors.New(strings.TrimSpace(res.Status+" "+answer)))
	}
	_, err = fmt.Fprintln(stdout, answer)
	return err
}
