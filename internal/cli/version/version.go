// Package version is `halley version`.
package version

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// Command is the command line of `halley version`.
type Command struct{}

// Run writes one line: version, commit and time of the commit, Go's version
// and the platform.
func (Command) Run(stdout io.Writer) error {
	info, _ := debug.ReadBuildInfo()
	_, err := fmt.Fprintln(stdout, line(info))
	return err
}

// line describes a build; info may be nil.
func line(info *debug.BuildInfo) string {
	if info == nil {
		info = &debug.BuildInfo{}
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	text := "halley " + cmp.Or(info.Main.Version, "(devel)")
	if commit := settings["vcs.revision"]; commit != "" {
		text += " commit " + commit[:min(len(commit), 12)]
		if settings["vcs.modified"] == "true" {
			text += "+changes"
		}
		text += " " + settings["vcs.time"]
	}
	return fmt.Sprintf("%s %s %s/%s", text, cmp.Or(info.GoVersion, runtime.Version()), runtime.GOOS, runtime.GOARCH)
}
