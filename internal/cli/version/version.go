// Package version is `halley version`.
package version

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"
)

// Build describes how the program was built. Commit is empty and Time zero
// where the build did not know of them.
type Build struct {
	// Version is that of the module: a tag, or made of the commit and its time.
	Version string
	Commit  string
	Time    time.Time // of the commit
	// Modified tells that there were changes beyond the commit.
	Modified bool
	// Go is the version of the compiler.
	Go string
}

// Read returns the build of this program.
func Read() Build {
	info, _ := debug.ReadBuildInfo()
	return from(info)
}

// from reads what the compiler has noted; info may be nil.
func from(info *debug.BuildInfo) Build {
	if info == nil {
		info = &debug.BuildInfo{}
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	at, err := time.Parse(time.RFC3339, settings["vcs.time"])
	if err != nil {
		at = time.Time{}
	}
	return Build{
		Version:  cmp.Or(info.Main.Version, "(devel)"),
		Commit:   settings["vcs.revision"],
		Time:     at,
		Modified: settings["vcs.modified"] == "true",
		Go:       cmp.Or(info.GoVersion, runtime.Version()),
	}
}

// Command is the command line of `halley version`.
type Command struct{}

// Run writes one line: version, commit and time of the commit, Go's version
// and the platform.
func (Command) Run(stdout io.Writer) error {
	_, err := fmt.Fprintln(stdout, Read().line())
	return err
}

func (b Build) line() string {
	text := "halley " + b.Version
	if b.Commit != "" {
		text += " commit " + b.Commit[:min(len(b.Commit), 12)]
		if b.Modified {
			text += "+changes"
		}
		text += " " + b.Time.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s %s %s/%s", text, b.Go, runtime.GOOS, runtime.GOARCH)
}
