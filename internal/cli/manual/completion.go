package manual

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Completion is the command line of `halley completion`.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown below the flags.
func (Completion) Help() string {
	return `Prints a script that completes commands, flags and their values. It calls nothing, so it is as quick as the shell.

  source <(halley completion bash)
  halley completion bash >/usr/share/bash-completion/completions/halley
  halley completion zsh >/usr/local/share/zsh/site-functions/_halley
  halley completion fish >~/.config/fish/completions/halley.fish`
}

// Run writes the script.
func (c *Completion) Run(app *kong.Kong, stdout io.Writer) error {
	p := read(app.Model)
	script := bash(p)
	switch c.Shell {
	case "zsh":
		script = zsh(p)
	case "fish":
		script = fish(p)
	}
	_, err := io.WriteString(stdout, script)
	return err
}

// writer collects lines.
type writer struct{ strings.Builder }

func (w *writer) linef(format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}

// quote makes one word of a POSIX shell; fish reads it alike but for
// backslashes, which it must have doubled.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// sentence is the first sentence of a help text, for a list on a screen.
func sentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}
