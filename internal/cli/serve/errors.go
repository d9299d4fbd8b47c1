package serve

import (
	"fmt"
	"slices"
	"strings"
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
	return usagef(source, "%s %q is unknown; the nearest is %q", kind, name, nearest(name, known))
}

// nearest returns the known name with the least edit distance from name,
// letter case aside; the first of equals.
func nearest(name string, known []string) string {
	best, bestDistance := "", -1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); bestDistance < 0 || d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance of bytes, of at most the first 64.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// oneOf returns an error text if text is not one of the choices.
func oneOf(text string, choices ...string) error {
	if slices.Contains(choices, text) {
		return nil
	}
	return fmt.Errorf("want %s; the nearest is %q", strings.Join(choices, " or "), nearest(text, choices))
}
