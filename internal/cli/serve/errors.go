package serve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/halleypush/halley/bayeux/server"
)

// UsageError says that the program was called or configured wrongly.
type UsageError struct {
	// Source is where the wrong setting stands: a flag, a variable of the
	// environment, or file and line. Empty for a conflict of several.
	Source string
	// Reason names the setting, what is wrong and the mend.
	Reason string
}

// Error returns source and reason.
func (e *UsageError) Error() string {
	if e.Source == "" {
		return e.Reason
	}
	return e.Source + ": " + e.Reason
}

func usagef(source, format string, args ...any) *UsageError {
	return &UsageError{Source: source, Reason: fmt.Sprintf(format, args...)}
}

// unknown describes a name that does not exist, with the nearest that does.
func unknown(source, kind, name string, known []string) *UsageError {
	return usagef(source, "%s %q is unknown; the nearest is %q", kind, name, server.NearestName(name, known))
}

// oneOf returns an error text if text is not one of the choices.
func oneOf(text string, choices ...string) error {
	if slices.Contains(choices, text) {
		return nil
	}
	return fmt.Errorf("want %s; the nearest is %q", strings.Join(choices, " or "), server.NearestName(text, choices))
}
