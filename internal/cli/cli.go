// Package cli is the command line of the program: it parses the arguments and
// calls the room of the command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/halleypush/halley/internal/cli/bench"
	"github.com/halleypush/halley/internal/cli/conform"
	"github.com/halleypush/halley/internal/cli/doctor"
	"github.com/halleypush/halley/internal/cli/explain"
	"github.com/halleypush/halley/internal/cli/health"
	"github.com/halleypush/halley/internal/cli/importwebxml"
	"github.com/halleypush/halley/internal/cli/manual"
	"github.com/halleypush/halley/internal/cli/pubsub"
	"github.com/halleypush/halley/internal/cli/serve"
	"github.com/halleypush/halley/internal/cli/version"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Program is what the program needs of its surroundings.
type Program struct {
	Args           []string
	Lookup         func(name string) (string, bool)
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Signals        <-chan os.Signal
}

// Server is the command that lives long. It is parsed alone, for what describes
// the flags of the others would stay in its memory: half a megabyte.
type Server struct {
	Serve serve.Command `cmd:"" help:"Serve Bayeux clients."`
}

// commands are the commands of the program.
type commands struct {
	Server
	Sub               pubsub.Sub           `cmd:"" help:"Subscribe to channels and print their messages as JSON lines."`
	Pub               pubsub.Pub           `cmd:"" help:"Publish a message, or JSON lines from standard input."`
	Conform           conform.Command      `cmd:"" help:"Test any Bayeux server against the protocol."`
	Bench             bench.Command        `cmd:"" help:"Put load on any Bayeux server and measure."`
	Doctor            doctor.Command       `cmd:"" help:"Tell what lies between here and a server, and which setting to change."`
	Import            importwebxml.Command `cmd:"" help:"Turn a CometD web.xml into a halley.yaml."`
	ExplainPermission explain.Command      `cmd:"" help:"Tell whether permissions allow something, and which rule says so."`
	Health            health.Command       `cmd:"" help:"Ask a running server whether it takes clients."`
	Version           version.Command      `cmd:"" help:"Print version, commit and platform."`

	Completion manual.Completion `cmd:"" help:"Print a script that completes commands and flags."`
	Man        manual.Man        `cmd:"" help:"Print the manual page."`
}

// about describes the program; the exit codes follow.
const about = `A Bayeux server for CometD clients, and the tools around it.

  halley serve                                     serves http://localhost:8080/cometd
  halley sub http://localhost:8080/cometd '/**'    prints what is published
  halley pub http://localhost:8080/cometd /a '{}'  publishes`

// exitCodes are all codes that the program exits with.
func exitCodes() []manual.ExitCode {
	return []manual.ExitCode{
		{Code: exitOK, Meaning: "done"},
		{Code: exitFailure, Meaning: "failed"},
		{Code: exitUsage, Meaning: "called or configured wrongly"},
		{Command: "bench", Code: exitOK, Meaning: "the run kept its bounds"},
		{Command: "bench", Code: exitFailure, Meaning: "it did not, or could not be made"},
		{Command: "bench", Code: exitUsage, Meaning: "called wrongly"},
		{Command: "conform", Code: exitOK, Meaning: "the server (or client) passes"},
		{Command: "conform", Code: conform.ExitFailed, Meaning: "the server (or client) fails"},
		{Command: "conform", Code: conform.ExitUnreachable, Meaning: "there is no server (or no client came)"},
		{Command: "conform", Code: conform.ExitUsage, Meaning: "called wrongly"},
		{Command: "doctor", Code: exitOK, Meaning: "nothing was found that harms"},
		{Command: "doctor", Code: exitFailure, Meaning: "something was found"},
		{Command: "doctor", Code: doctor.ExitUsage, Meaning: "called wrongly"},
		{Command: "doctor", Code: doctor.ExitUnexamined, Meaning: "the server could not be examined"},
		{Command: "explain-permission", Code: exitOK, Meaning: "it is allowed"},
		{Command: "explain-permission", Code: exitFailure, Meaning: "it is refused"},
		{Command: "explain-permission", Code: exitUsage, Meaning: "called or configured wrongly"},
		{Command: "import", Code: exitOK, Meaning: "written, perhaps with warnings"},
		{Command: "import", Code: exitFailure, Meaning: "the file cannot be read or written"},
		{Command: "import", Code: importwebxml.ExitNothing, Meaning: "nothing was understood"},
		{Command: "import", Code: importwebxml.ExitStrict, Meaning: "written, with warnings, and --strict was given"},
	}
}

func description() string {
	texts := make([]string, 0, 3)
	for _, c := range exitCodes() {
		if c.Command == "" {
			texts = append(texts, fmt.Sprintf("%d %s", c.Code, c.Meaning))
		}
	}
	return about + "\n\nExit codes: " + strings.Join(texts, ", ") + "; bench, conform, doctor, explain-permission and import have their own."
}

// grammar is what arguments are parsed by.
func grammar(args []string) any {
	if len(args) > 0 && args[0] == "serve" {
		return &Server{}
	}
	return &commands{}
}

func newParser(of any, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(of, append(options, kong.Name("halley"), kong.Description(description()))...)
}

// Run parses the arguments, runs the command and returns the exit code.
func (p Program) Run(ctx context.Context) int {
	left := -1 // what kong wants to exit with, after --help
	parser, err := newParser(grammar(p.Args),
		kong.Writers(p.Stdout, p.Stderr), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { left = code }),
		kong.Bind(manual.Facts{About: about, ExitCodes: exitCodes()}), kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(p.Stdout, (*io.Writer)(nil)),
		kong.Bind(serve.Env{Lookup: p.Lookup, Stdout: p.Stdout, Stderr: p.Stderr, Signals: p.Signals}),
		kong.Bind(doctor.Env{Lookup: p.Lookup, Stdout: p.Stdout, Stderr: p.Stderr, Signals: p.Signals}),
		kong.Bind(explain.Env{Lookup: p.Lookup, Stdout: p.Stdout}),
		kong.Bind(pubsub.Env{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Signals: p.Signals}),
		kong.Bind(importwebxml.Env{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr}),
		kong.Bind(bench.Env{Stdout: p.Stdout, Stderr: p.Stderr, Signals: p.Signals, Terminal: terminal(p.Stderr)}),
		kong.Bind(conform.Env{Stdout: p.Stdout, Stderr: p.Stderr, Signals: p.Signals, Terminal: terminal(p.Stderr)}))
	if err != nil {
		return p.report(err)
	}
	chosen, err := parser.Parse(p.Args)
	switch {
	case left >= 0:
		return left
	case err != nil && len(p.Args) > 0 && p.Args[0] == "conform":
		return p.report(&conform.ExitError{Code: conform.ExitUsage, Err: err})
	case err != nil:
		return p.report(&serve.UsageError{Reason: err.Error() + " (halley --help lists commands and flags)"})
	default:
		return p.report(chosen.Run())
	}
}

// report prints an error and returns the exit code.
func (p Program) report(err error) int {
	if err == nil {
		return exitOK
	}
	if exit, ok := errors.AsType[*conform.ExitError](err); ok {
		if exit.Err != nil {
			_, _ = fmt.Fprintln(p.Stderr, "halley conform:", exit.Err)
		}
		return exit.Code
	}
	if errors.Is(err, explain.ErrRefused) || errors.Is(err, doctor.ErrFound) {
		return exitFailure // it was said on standard output
	}
	_, _ = fmt.Fprintln(p.Stderr, "halley:", err)
	if exit, ok := errors.AsType[*doctor.ExitError](err); ok {
		return exit.Code
	}
	if own, ok := errors.AsType[*importwebxml.Error](err); ok {
		return own.ExitCode()
	}
	_, settings := errors.AsType[*serve.UsageError](err)
	_, arguments := errors.AsType[*pubsub.UsageError](err)
	_, load := errors.AsType[*bench.UsageError](err)
	if settings || arguments || load {
		return exitUsage
	}
	return exitFailure
}

// terminal tells whether a writer is one.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
