package importwebxml

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Command is the command line of `halley import`.
type Command struct {
	File   string `arg:"" placeholder:"WEB.XML" help:"Deployment descriptor of a CometD application; - for standard input."`
	Output string `short:"o" placeholder:"FILE" help:"File to write. Default standard output."`
	Strict bool   `help:"Exit with 3 when something could not be carried over."`
}

// Help is shown below the flags.
func (Command) Help() string {
	return `Prints a halley.yaml for halley serve --config. What could not be carried over stands in it as a comment, and on standard ` +
		`error, with what to do about it.

Exit codes: 0 written, perhaps with warnings; 1 the file cannot be read or written; 2 nothing was understood: not XML, no deployment ` +
		`descriptor, no CometD servlet in it; 3 written, with warnings, and --strict was given.`
}

// Env is what the command needs of its surroundings.
type Env struct {
	Stdin io.Reader
	// Stdout gets the file, Stderr the warnings.
	Stdout, Stderr io.Writer
}

// Error is an error with an exit code of its own.
type Error struct {
	reason string
	code   int
}

// Exit codes beside 0 and 1.
const (
	ExitNothing = 2 // nothing was understood
	ExitStrict  = 3 // written, with warnings, and --strict was given
)

// Error returns the reason.
func (e *Error) Error() string { return e.reason }

// ExitCode returns the exit code of the program.
func (e *Error) ExitCode() int { return e.code }

func nothing(format string, args ...any) *Error {
	return &Error{fmt.Sprintf(format, args...), ExitNothing}
}

// Run imports the file. An *Error has the exit code; any other error is 1.
func (c *Command) Run(env Env) error {
	text, name, err := c.read(env.Stdin)
	if err != nil {
		return err
	}
	out, err := convert(name, text)
	if err != nil {
		return err
	}
	for _, w := range out.warnings {
		_, _ = fmt.Fprintf(env.Stderr, "%s: warning: %s\n", out.at(w), w.text)
	}
	for _, r := range out.remarks {
		_, _ = fmt.Fprintf(env.Stderr, "%s: note: %s\n", out.at(r), r.text)
	}
	if err := c.write(env.Stdout, out.yaml()); err != nil {
		return err
	}
	if c.Strict && len(out.warnings) > 0 {
		return &Error{fmt.Sprintf("%d things were not carried over", len(out.warnings)), ExitStrict}
	}
	return nil
}

// read returns the text and a short name of the file.
func (c *Command) read(stdin io.Reader) (text []byte, name string, err error) {
	if c.File == "-" {
		text, err = io.ReadAll(io.LimitReader(stdin, maxFile+1))
		return text, "standard input", err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }()
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	return text, filepath.Base(c.File), err
}

func (c *Command) write(stdout io.Writer, text string) error {
	if c.Output == "" || c.Output == "-" {
		_, err := io.WriteString(stdout, text)
		return err
	}
	if from, err := os.Stat(c.File); err == nil {
		if to, err := os.Stat(c.Output); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("%s is the file that is read; choose another for -o", c.Output)
		}
	}
	return os.WriteFile(c.Output, []byte(text), 0o644) //nolint:gosec // a configuration without secrets, which the server's user reads
}
