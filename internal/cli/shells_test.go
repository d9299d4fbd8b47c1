//go:build interop

package cli

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds what a shell may take for all of its lines.
const patience = 2 * time.Minute

// TestShellsComplete types into each shell on a terminal, with the tabulator
// key, and reads what it ran.
func TestShellsComplete(t *testing.T) {
	for _, tt := range []struct{ shell, command, prepare, load string }{
		{"bash", "bash --norc --noprofile -i", "PS1='rea''dy> '", "source "},
		{"zsh", "zsh -f -i", "autoload -Uz compinit; compinit -u -D; PS1='rea''dy> '", "source "},
		{"fish", "fish --no-config -i", "function fish_prompt; echo -n 'rea''dy> '; end", "source "},
	} {
		t.Run(tt.shell, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "completion")
			require.NoError(t, os.WriteFile(path, []byte(script(t, "completion", tt.shell)), 0o600))
			program := "#!/bin/sh\necho \"ran: $*.\"\n"
			require.NoError(t, os.WriteFile(filepath.Join(dir, "halley"), []byte(program), 0o700))

			term := open(t, tt.command, dir)
			term.line(tt.prepare)
			term.wait("ready> ")
			term.line(tt.load + path)
			term.wait("ready> ")
			for typed, want := range map[string]string{
				"halley ser\t--log-le\tdebug":      "ran: serve --log-level debug.",
				"halley serve --log-level de\t--x": "ran: serve --log-level debug --x.",
				"halley serve --log-level=de\t--x": "ran: serve --log-level=debug --x.",
				"halley serve --set relay\ttrue":   "ran: serve --set relayReplyFields=true.",
				"halley compl\tzs\t":               "ran: completion zsh.",
			} {
				if tt.shell != "bash" { // The others write the equals sign where the value may follow one.
					want = strings.ReplaceAll(want, "--log-level debug.", "--log-level=debug.")
				}
				if tt.shell == "fish" {
					want = strings.ReplaceAll(want, "--log-level=debug.", "--log-level debug.")
				}
				term.line(typed)
				term.wait(want)
				term.wait("ready> ")
			}
		})
	}
}

// typist is at a shell on a terminal of its own.
type typist struct {
	t    *testing.T
	in   io.Writer
	out  io.Reader
	seen bytes.Buffer
}

func open(t *testing.T, command, dir string) *typist {
	t.Helper()
	proc := exec.CommandContext(t.Context(), "script", "-qefc", command, "/dev/null")
	proc.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=dumb", "LANG=C.UTF-8")
	in, err := proc.StdinPipe()
	require.NoError(t, err)
	out, err := proc.StdoutPipe()
	require.NoError(t, err)
	proc.Stderr = proc.Stdout
	require.NoError(t, proc.Start())
	// A word that never comes ends the reading, not the test's time.
	late := time.AfterFunc(patience, func() { _ = proc.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		_ = in.Close()
		_ = proc.Process.Kill()
		_ = proc.Wait()
	})
	return &typist{t: t, in: in, out: out}
}

func (s *typist) line(text string) {
	s.t.Helper()
	_, err := io.WriteString(s.in, text+"\r")
	require.NoError(s.t, err)
}

// wait reads until the text is there, and forgets all before its end.
func (s *typist) wait(text string) {
	s.t.Helper()
	for part := make([]byte, 4<<10); ; {
		if _, rest, ok := bytes.Cut(s.seen.Bytes(), []byte(text)); ok {
			rest = bytes.Clone(rest)
			s.seen.Reset()
			s.seen.Write(rest)
			return
		}
		n, err := s.out.Read(part)
		require.NoError(s.t, err, "no %q in %q", text, s.seen.String())
		s.seen.Write(part[:n])
	}
}

// TestManualPage is read by two formatters, which complain of nothing.
func TestManualPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "halley.1")
	require.NoError(t, os.WriteFile(path, []byte(script(t, "man")), 0o600))
	out, err := exec.CommandContext(t.Context(), "groff", "-man", "-ww", "-Tutf8", "-z", path).CombinedOutput()
	require.NoError(t, err)
	require.Empty(t, string(out))
	out, _ = exec.CommandContext(t.Context(), "mandoc", "-Tlint", path).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		// The day is that of the commit, which a test's own build does not know.
		require.Contains(t, line, `missing date, using "": TH`)
	}
}
