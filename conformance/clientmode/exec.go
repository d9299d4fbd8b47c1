package clientmode

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

// Bounds of a driver.
const (
	maxLine     = 4 << 20          // of its output
	aboutWithin = 30 * time.Second // for its first line
	endWithin   = 2 * time.Second  // after the end of its input, before it is killed
)

// Program is a driver: a program that runs the application of the package
// comment, by lines of JSON. Its first line says what it drives, see About.
// Then it reads a Job with "cmd":"start", its times in milliseconds, and writes
// Events as they come. The end of its input ends it.
type Program struct {
	Args []string // the command line
	Dir  string   // where it is started; empty for the working directory
	// Shared starts it once for all cases, side by side: it reads many jobs,
	// writes "client" into each event, and ends one at "cmd":"stop". Otherwise
	// it is started for each case.
	Shared bool
	Stderr io.Writer // takes what it says; nil for nothing
}

// StartError says that there is no client to test.
type StartError struct {
	Client string
	Err    error
}

func (e *StartError) Error() string {
	return fmt.Sprintf("no Bayeux client from %s: %v", e.Client, e.Err)
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// About is the first line of a driver.
type About struct {
	Kind    string            `json:"kind"`   // "about"
	Client  string            `json:"client"` // the name for reports
	Version string            `json:"version"`
	Cannot  map[string]string `json:"cannot"` // see Client.Cannot
}

// command is a line that a driver reads.
type command struct {
	Cmd          string `json:"cmd"`
	Client       string `json:"client"`
	URL          string `json:"url,omitempty"`
	Transport    string `json:"transport,omitempty"`
	Ack          bool   `json:"ack,omitempty"`
	NetworkDelay int64  `json:"networkDelay,omitempty"`
	Backoff      int64  `json:"backoff,omitempty"`
	MaxBackoff   int64  `json:"maxBackoff,omitempty"`
}

func startLine(j Job) command {
	return command{
		Cmd: "start", Client: j.Client, URL: j.URL, Transport: j.Transport, Ack: j.Ack,
		NetworkDelay: j.NetworkDelay.Milliseconds(), Backoff: j.Backoff.Milliseconds(), MaxBackoff: j.MaxBackoff.Milliseconds(),
	}
}

// Open starts the program once, to learn what it drives, and returns the
// client. Closed ends it. The error is a *StartError or a *suite.UsageError.
func (p Program) Open(ctx context.Context) (c Client, about About, closed func(), err error) {
	if len(p.Args) == 0 {
		return c, about, nil, &suite.UsageError{Reason: "the driver has no command"}
	}
	first, err := p.start(ctx)
	if err != nil {
		return c, about, nil, &StartError{p.Args[0], err}
	}
	about = first.about
	c.Cannot = maps.Clone(about.Cannot)
	if p.Shared {
		c.Start = first.job
		return c, about, first.end, nil
	}
	first.end()
	c.Start = func(ctx context.Context, job Job, tell func(Event)) (func(), error) {
		own, err := p.start(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := own.job(ctx, job, tell); err != nil {
			own.end()
			return nil, err
		}
		return own.end, nil
	}
	return c, about, func() {}, nil
}

// process is a running driver.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	about About
	said  chan struct{} // closed with its first line, or at its end
	over  chan struct{}

	write sync.Mutex // guards in
	mu    sync.Mutex // guards the next
	jobs  map[string]func(Event)
	why   error
}

func (p Program) start(ctx context.Context) (*process, error) {
	run := &process{
		cmd:  exec.CommandContext(context.WithoutCancel(ctx), p.Args[0], p.Args[1:]...), //nolint:gosec // the caller's program
		said: make(chan struct{}), over: make(chan struct{}), jobs: map[string]func(Event){},
	}
	run.cmd.Dir, run.cmd.Stderr, run.cmd.WaitDelay = p.Dir, p.Stderr, endWithin
	out, err := run.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if run.in, err = run.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := run.cmd.Start(); err != nil {
		return nil, err
	}
	go run.read(out)
	timer := time.NewTimer(aboutWithin)
	defer timer.Stop()
	select {
	case <-run.said:
	case <-timer.C:
		err = fmt.Errorf("the driver says nothing within %v; want a first line of the kind about", aboutWithin)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil {
		err = run.reason()
	}
	if err != nil {
		run.end()
		return nil, err
	}
	return run, nil
}

// read takes the lines of the driver until it ends.
func (r *process) read(out io.Reader) {
	defer close(r.over)
	said := sync.OnceFunc(func() { close(r.said) })
	defer said()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for n := 0; lines.Scan(); n++ {
		err := r.line(lines.Bytes(), n == 0)
		if err != nil {
			r.fail(err)
			said()
			break
		}
		said()
	}
	if err := lines.Err(); err != nil {
		r.fail(fmt.Errorf("output of the driver: %w", err))
	}
	_, _ = io.Copy(io.Discard, out)
	if err := r.cmd.Wait(); err != nil {
		r.fail(fmt.Errorf("the driver has ended: %w", err))
	}
	r.fail(errors.New("the driver has ended"))
}

func (r *process) line(text []byte, first bool) error {
	if first {
		if err := json.Unmarshal(text, &r.about); err != nil || r.about.Kind != "about" {
			return fmt.Errorf(`the first line of the driver is %.200q; want {"kind":"about","client":…,"version":…}`, text)
		}
		return nil
	}
	var e struct {
		Event
		Client string `json:"client"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("a line of the driver is %.200q, no event: %w", text, err)
	}
	r.mu.Lock()
	tell := r.jobs[e.Client]
	if tell == nil && e.Client == "" && len(r.jobs) == 1 {
		for _, tell = range r.jobs { //nolint:revive // the only one
		}
	}
	r.mu.Unlock()
	if tell != nil {
		tell(e.Event)
	}
	return nil
}

// fail notes the first reason for the end.
func (r *process) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == nil {
		r.why = err
	}
}

func (r *process) reason() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

// job gives the driver a job, and returns what ends it.
func (r *process) job(_ context.Context, job Job, tell func(Event)) (stop func(), err error) {
	r.mu.Lock()
	r.jobs[job.Client] = tell
	r.mu.Unlock()
	if err := errors.Join(r.reason(), r.send(startLine(job))); err != nil {
		return nil, err
	}
	return func() {
		r.mu.Lock()
		delete(r.jobs, job.Client)
		r.mu.Unlock()
		_ = r.send(command{Cmd: "stop", Client: job.Client})
	}, nil
}

func (r *process) send(c command) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	r.write.Lock()
	defer r.write.Unlock()
	_, err = r.in.Write(append(text, '\n'))
	return err
}

// end ends the driver: by the end of its input, and if that is not enough it
// is killed.
func (r *process) end() {
	r.write.Lock()
	_ = r.in.Close()
	r.write.Unlock()
	timer := time.NewTimer(endWithin)
	defer timer.Stop()
	select {
	case <-r.over:
	case <-timer.C:
		_ = r.cmd.Process.Kill()
		<-r.over
	}
}
