// Package bench is `halley bench`: it puts load on any Bayeux server and
// measures. Package internal/bench does the work.
package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/cli/interrupt"
)

// Env is what the command needs of its surroundings.
type Env struct {
	// Stdout gets the report, Stderr what happens meanwhile.
	Stdout, Stderr io.Writer
	// Signals end the run. Nil for none.
	Signals <-chan os.Signal
	// Terminal tells that Stderr is one, so that a line can be written over.
	Terminal bool
}

// UsageError says that an argument is wrong; the program exits with 2.
type UsageError struct{ Err error }

// Error implements error.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// ErrBounds says that the run did not keep its bounds; the report has said
// which.
var ErrBounds = errors.New("the run did not keep its bounds")

// maxSteps bounds --max-steps.
const maxSteps = 1000

// Command is the command line of `halley bench`.
type Command struct {
	URL string `arg:"" name:"url" help:"Address of the server, such as http://localhost:8080/cometd."`

	Mode             string `enum:"fanout,idle,churn,acks" default:"fanout" help:"fanout, idle, churn or acks."`
	Wire             string `enum:"bayeux,centrifuge" default:"bayeux" help:"What is spoken: bayeux, or centrifuge (WebSocket and JSON) to compare with it."`
	Transport        string `enum:"websocket,long-polling,callback-polling" default:"websocket" help:"websocket, long-polling or callback-polling."`
	PublishTransport string `enum:",websocket,long-polling,callback-polling" default:"" help:"Transport of the publishers. Default: that of the clients."`

	Clients       int     `default:"100" help:"Clients that subscribe, or that come and go."`
	Rooms         int     `default:"1" help:"Groups of channels with the same members."`
	Channels      int     `default:"1" help:"Channels of each room."`
	Subscriptions int     `default:"1" help:"Rooms that each client is in."`
	Publishers    int     `default:"1" help:"Sessions that publish. They share the channels out among them."`
	Rate          float64 `placeholder:"N" help:"Messages published a second, by all publishers."`
	Deliveries    float64 `placeholder:"N" help:"Deliveries a second, instead of --rate. Default: 1000."`
	Size          int     `default:"100" help:"Bytes of the data of a message, at least 49."`
	Batch         int     `default:"1" help:"Messages that leave together."`
	Window        int     `default:"1" help:"With --mode acks over WebSocket: messages of a publisher that await their acknowledgement."`
	Ack           bool    `help:"Ask for acknowledged messages."`

	ConnectRate float64       `placeholder:"N" help:"New sessions a second. Default: as fast as it goes."`
	Warmup      time.Duration `default:"2s" help:"Load that is not measured, before the load that is."`
	Duration    time.Duration `default:"10s" help:"Load that is measured."`
	Settle      time.Duration `default:"500ms" help:"Pause between the last connect and the first message."`
	Timeout     time.Duration `default:"30s" help:"How long a connection may take; all together ten times that."`
	P99         time.Duration `name:"p99" default:"1s" help:"Bound of the latency that 99 % of the deliveries keep."`

	FindMax bool    `help:"Find the highest rate that keeps the bounds: double, then halve the difference."`
	MaxRate float64 `placeholder:"N" help:"With --find-max: the highest rate to try, in messages a second."`

	MaxSteps int `default:"24" help:"With --find-max: the most runs to make."`

	PID      int    `name:"pid" placeholder:"PID" help:"Process of the server, to sample its CPU, memory, threads and descriptors (Linux)."`
	Insecure bool   `help:"Do not verify the server's certificate."`
	CA       string `name:"ca" placeholder:"FILE" help:"Certificates (PEM) to trust instead of the system's."`
	Portable bool   `help:"Use a goroutine for each connection where epoll would do."`
	JSON     string `name:"json" placeholder:"FILE" help:"Write all figures as JSON; - for standard output."`
	HTML     string `name:"html" placeholder:"FILE" help:"Write a page with charts."`
}

// Help is shown below the flags.
func (Command) Help() string {
	return `Messages are published on a schedule, whatever the server does, and latency counts from the moment a message was due: ` +
		`a server that stalls is not asked less. Every delivery is counted: missing ones, those that come twice and those out of ` +
		`order. A run is good when 99.9 % arrive, at 96 % of the offered rate at least, p99 is within --p99, and no session is lost.

Modes: fanout publishes to clients that have subscribed; idle connects, subscribes and holds still; churn makes sessions and ends ` +
		`them, over WebSocket with a connection each; acks publishes to nobody and waits for acknowledgements.

A run in which the generator used more than 85 % of its cores says so, and does not count in --find-max. Exits with 0 when the ` +
		`bounds were kept, else with 1; with 2 when called wrongly.

  halley bench http://localhost:8080/cometd --clients 1000 --deliveries 20000
  halley bench http://localhost:8080/cometd --clients 1000 --rooms 100 --publishers 10 --find-max --html report.html`
}

// Config is what the flags ask for; the error names the flag.
func (c *Command) Config() (bench.Config, error) {
	cfg := bench.Config{
		URL: c.URL, Mode: c.Mode, Wire: c.Wire, Transport: c.Transport, PublishTransport: c.PublishTransport,
		Clients: c.Clients, Rooms: c.Rooms, Channels: c.Channels, Subscriptions: c.Subscriptions, Publishers: c.Publishers,
		Rate: c.Rate, Deliveries: c.Deliveries, Size: c.Size, Batch: c.Batch, Window: c.Window, Ack: c.Ack,
		ConnectRate: c.ConnectRate, Warmup: c.Warmup, Duration: c.Duration, Settle: c.Settle, Timeout: c.Timeout,
		P99: c.P99, PID: c.PID, Portable: c.Portable,
	}
	if c.MaxSteps < 1 || c.MaxSteps > maxSteps {
		return cfg, fmt.Errorf("--max-steps: want 1 to %d, not %d", maxSteps, c.MaxSteps)
	}
	if c.Rate != 0 && c.Deliveries != 0 {
		return cfg, errors.New("--rate and --deliveries exclude each other")
	}
	if c.Rate == 0 && c.Deliveries == 0 {
		cfg.Deliveries = 1000
	}
	if c.Insecure {
		cfg.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for by its name
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return cfg, fmt.Errorf("--ca: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return cfg, fmt.Errorf("--ca: %s has no certificate", c.CA)
		}
		cfg.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return cfg, cfg.Check()
}

// Run measures and reports. A *UsageError says that an argument is wrong,
// ErrBounds that the bounds were not kept.
func (c *Command) Run(ctx context.Context, env Env) error {
	cfg, err := c.Config()
	if err != nil {
		return &UsageError{Err: err}
	}
	ctx, stop := interrupt.Context(ctx, env.Signals)
	defer stop()
	// Goroutines that wait in the kernel hold no processor that others need.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + 2))
	v := &view{to: env.Stderr, over: env.Terminal}
	cfg.Progress = v.sample
	var res *bench.Result
	if c.FindMax {
		res, err = bench.Find{Limit: c.MaxRate, Steps: c.MaxSteps, Progress: v.step}.Max(ctx, cfg)
	} else {
		res, err = bench.Run(ctx, cfg)
	}
	v.end()
	if err != nil && !errors.Is(err, bench.ErrNoRate) {
		return err
	}
	if written := c.write(res, env.Stdout); written != nil {
		return written
	}
	if err == nil && !res.OK {
		err = ErrBounds
	}
	return err
}

// write writes the reports.
func (c *Command) write(res *bench.Result, stdout io.Writer) error {
	if c.JSON == "-" {
		if err := res.WriteJSON(stdout); err != nil {
			return err
		}
	} else if err := res.WriteText(stdout); err != nil {
		return err
	}
	for name, to := range map[string]func(io.Writer) error{c.JSON: res.WriteJSON, c.HTML: res.WriteHTML} {
		if name == "" || name == "-" {
			continue
		}
		f, err := os.Create(name) //nolint:gosec // the user names it
		if err != nil {
			return err
		}
		if err := errors.Join(to(f), f.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
