// Package conform is `halley conform`: it runs the conformance suite against
// any Bayeux server and writes the reports.
package conform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/clientcases"
	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/report"
	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/internal/cli/interrupt"
)

// Exit codes of the command.
const (
	ExitFailed      = 1 // the server fails
	ExitUnreachable = 2 // there is no server
	ExitUsage       = 3 // called wrongly
)

// Env is what the command needs of its surroundings.
type Env struct {
	Stdout, Stderr io.Writer
	Signals        <-chan os.Signal
	Terminal       bool // standard error is one, so that a line can be written over
}

// ExitError ends the program with a code. Err is nil if all has been said.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

// Command is the command line of `halley conform`.
type Command struct {
	URL  string   `arg:"" optional:"" name:"url" help:"Address of the server, such as http://localhost:8080/cometd. With --client: the driver."`
	Args []string `arg:"" optional:"" name:"argument" help:"With --client: arguments of the driver."`

	Client bool   `help:"Test a client: the command line that follows -- starts its driver."`
	Shared bool   `help:"With --client: start the driver once for all cases."`
	Host   string `help:"With --client: the name of this machine in addresses that the client gets, such as localhost."`

	List    bool     `help:"List the cases instead of running them."`
	Only    []string `placeholder:"GLOB" help:"Run only cases whose id matches, such as BX-HS-*."`
	Section []string `placeholder:"NAME" help:"Run only these sections."`
	Profile string   `default:"spec" help:"Whose rules count: spec, cometd, faye or salesforce."`
	Strict  bool     `help:"Let non-strict verdicts fail."`
	Known   string   `placeholder:"FILE" help:"Failures that are known; a line that is wrong fails the run."`
	Fixture string   `placeholder:"FILE" help:"What the server was set up with, as JSON."`
	Name    string   `help:"Name of the server in reports."`

	Transport     []string `placeholder:"NAME" help:"Use only these transports."`
	Header        []string `sep:"none" placeholder:"NAME:VALUE" help:"Add to each request."`
	Cookie        []string `sep:"none" placeholder:"NAME=VALUE" help:"Every client begins with it."`
	HandshakeExt  string   `placeholder:"JSON" help:"Merge into the ext of each handshake."`
	ChannelPrefix string   `placeholder:"/PREFIX" help:"Use only channels below."`
	Insecure      bool     `help:"Accept any certificate."`
	AppendType    bool     `help:"Append the type of meta messages to the address, such as /handshake."`

	Jobs         int     `default:"64" help:"Cases side by side."`
	Seed         uint64  `help:"Of channel names and order; 0 takes one at random."`
	TimeoutScale float64 `default:"1" help:"Multiply what a slow machine is allowed."`

	JSON    string   `name:"json" placeholder:"FILE" help:"Write the report, transcripts included, as JSON."`
	JUnit   string   `name:"junit" placeholder:"FILE" help:"Write it as JUnit XML."`
	HTML    string   `name:"html" placeholder:"FILE" help:"Write it as one page, each transcript a click away."`
	Compare []string `placeholder:"FILE" help:"JSON reports of other servers, more columns of the page; without a URL, only these."`
	Quiet   bool     `help:"No progress and no text report."`
}

// Help is shown below the flags.
func (Command) Help() string {
	return `Runs the conformance suite against a Bayeux server, whoever made it. Cases run side by side, on each transport that the ` +
		`server has. How long it holds connects and keeps silent sessions is learned first.

With --client a client is tested, by a server that does one thing after another to it. A driver puts the client under the command ` +
		`of the suite: docs/CONFORMANCE_CLIENTS.md describes its few lines of JSON.

Exit codes: 0 the server (or client) passes, 1 it fails, 2 it cannot be reached (or no client came), 3 called wrongly.

  halley conform http://localhost:8080/cometd
  halley conform --profile cometd --json report.json http://localhost:8080/cometd
  halley conform --list --section handshake
  halley conform --html matrix.html --compare one.json,two.json
  halley conform --client --shared -- node driver.mjs`
}

// Run runs the suite. It returns an *ExitError unless the server passes.
func (c *Command) Run(ctx context.Context, env Env) error {
	if c.List {
		return c.list(env.Stdout)
	}
	if err := c.fits(); err != nil {
		return &ExitError{ExitUsage, err}
	}
	others, err := c.compared()
	if err != nil {
		return &ExitError{ExitUsage, err}
	}
	if c.URL == "" && len(others) > 0 {
		return c.write(env.Stdout, others...)
	}
	ctx, stop := interrupt.Context(ctx, env.Signals)
	defer stop()
	var shown func(suite.Progress)
	if env.Terminal && !c.Quiet {
		shown = progress(env.Stderr)
	}
	test := c.server
	if c.Client {
		test = c.client
	}
	rep, err := test(ctx, env, shown)
	if shown != nil {
		_, _ = fmt.Fprint(env.Stderr, "\r\x1b[K")
	}
	if err != nil {
		return exit(err)
	}
	if err := c.write(env.Stdout, append([]*conformance.Report{rep}, others...)...); err != nil {
		return err
	}
	if !rep.Passed() {
		return &ExitError{Code: ExitFailed}
	}
	return nil
}

// server runs the suite against a server.
func (c *Command) server(ctx context.Context, _ Env, shown func(suite.Progress)) (*conformance.Report, error) {
	opts, err := c.options()
	if err != nil {
		return nil, &ExitError{ExitUsage, err}
	}
	opts.Progress = shown
	return conformance.Run(ctx, opts)
}

func exit(err error) error {
	if e, ok := errors.AsType[*ExitError](err); ok {
		return e
	}
	if _, ok := errors.AsType[*clientmode.StartError](err); ok {
		return &ExitError{ExitUnreachable, err}
	}
	if _, ok := errors.AsType[*conformance.UnreachableError](err); ok {
		return &ExitError{ExitUnreachable, err}
	}
	if _, ok := errors.AsType[*conformance.UsageError](err); ok {
		return &ExitError{ExitUsage, err}
	}
	return &ExitError{ExitFailed, err}
}

// progress writes a line over and over.
func progress(w io.Writer) func(suite.Progress) {
	return func(p suite.Progress) {
		_, _ = fmt.Fprintf(w, "\r\x1b[K%d of %d, %d failed; %s %s", p.Done, p.Total, p.Failed, p.Last.ID, p.Last.Transport)
	}
}

func (c *Command) list(w io.Writer) error {
	all := conformance.All()
	if c.Client {
		all = clientmode.Describe(clientcases.Sections())
	}
	sections, err := suite.Options{Only: c.Only, Sections: c.Section}.Select(all)
	if err != nil {
		return &ExitError{ExitUsage, err}
	}
	for _, s := range sections {
		_, _ = fmt.Fprintf(w, "%s (%s, %d cases)\n", s.Title, s.Name, len(s.Cases))
		for _, k := range s.Cases {
			_, _ = fmt.Fprintf(w, "  %-10s %-6s %s\n", k.ID, k.Level, k.Title)
		}
	}
	return nil
}

// options turns the command line into options of the suite.
func (c *Command) options() (conformance.Options, error) {
	o := conformance.Options{
		URL: c.URL, Name: c.Name, Transports: c.Transport, ChannelPrefix: c.ChannelPrefix, Insecure: c.Insecure, AppendType: c.AppendType, Only: c.Only,
		Sections: c.Section, Profile: c.Profile, Strict: c.Strict, Jobs: c.Jobs, Seed: c.Seed, TimeoutScale: c.TimeoutScale,
		HandshakeExt: json.RawMessage(c.HandshakeExt),
	}
	if c.URL == "" {
		return o, errors.New("which server? give its address, or --list")
	}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.ContainsAny(h, "\r\n") {
			return o, fmt.Errorf("header %q; want NAME:VALUE", h)
		}
		o.Header = append(o.Header, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	for _, k := range c.Cookie {
		name, value, ok := strings.Cut(k, "=")
		if !ok {
			return o, fmt.Errorf("cookie %q; want NAME=VALUE", k)
		}
		o.Cookies = append(o.Cookies, [2]string{name, value})
	}
	if c.Fixture != "" {
		text, err := os.ReadFile(c.Fixture)
		if err != nil {
			return o, err
		}
		if o.Fixture, err = suite.ParseFixture(text); err != nil {
			return o, fmt.Errorf("%s: %w", c.Fixture, err)
		}
	}
	var err error
	o.Known, err = c.known()
	return o, err
}

// known reads the known failures.
func (c *Command) known() ([]suite.Known, error) {
	if c.Known == "" {
		return nil, nil
	}
	f, err := os.Open(c.Known)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	known, err := suite.ParseKnown(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Known, err)
	}
	return known, nil
}

// compared reads the reports of other servers.
func (c *Command) compared() ([]*conformance.Report, error) {
	all := make([]*conformance.Report, 0, len(c.Compare))
	for _, name := range c.Compare {
		r, err := report.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// write writes the reports: text to standard output, others to their files.
// JSON is of the first, which is the one that was made now.
func (c *Command) write(stdout io.Writer, reports ...*conformance.Report) error {
	if !c.Quiet {
		if err := report.Text(stdout, reports...); err != nil {
			return err
		}
	}
	for _, out := range []struct {
		name    string
		write   report.Writer
		reports []*conformance.Report
	}{{c.JSON, report.JSON, reports[:1]}, {c.JUnit, report.JUnit, reports}, {c.HTML, report.HTML, reports}} {
		if out.name == "" {
			continue
		}
		if err := toFile(out.name, out.write, stdout, out.reports...); err != nil {
			return &ExitError{ExitUsage, err}
		}
	}
	return nil
}

// toFile writes reports to a file, or to standard output for "-".
func toFile(name string, write report.Writer, stdout io.Writer, reports ...*conformance.Report) error {
	if name == "-" {
		return write(stdout, reports...)
	}
	return report.WriteFile(name, write, reports...)
}
