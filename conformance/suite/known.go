package suite

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Known is a line of a file of known failures: a case that this server is
// known to fail, and why.
type Known struct {
	ID        string
	Transport string // empty: each on which the case runs
	Reason    string
	Line      int
}

// ParseKnown reads a file of known failures. Each line is the id of a case,
// perhaps a transport, and the reason, which must be there:
//
//	BX-HS-21              WIRE 16: handshake with other messages is refused
//	BX-WS-07 websocket    closes with 1008
//
// Empty lines and those that begin with # are passed over.
func ParseKnown(r io.Reader) ([]Known, error) {
	var all []Known
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		id, rest, _ := strings.Cut(text, " ")
		k := Known{ID: id, Reason: strings.TrimSpace(rest), Line: n}
		name, reason, _ := strings.Cut(k.Reason, " ")
		if on, err := ParseOn(name); err == nil {
			k.Transport, k.Reason = on.String(), strings.TrimSpace(reason)
		}
		if !strings.HasPrefix(id, "BX-") {
			return nil, fmt.Errorf("line %d: %q is no id of a case", n, id)
		}
		if k.Reason == "" {
			return nil, fmt.Errorf("line %d: %s has no reason", n, id)
		}
		all = append(all, k)
	}
	return all, lines.Err()
}

func (k Known) matches(res *Result) bool {
	return k.ID == res.ID && (k.Transport == "" || k.Transport == res.Transport)
}

// mark notes the reason at a result that is not what it should be.
func (o Options) mark(res *Result) {
	if res.Verdict != Fail && res.Verdict != NonStrict {
		return
	}
	for _, k := range o.Known {
		if k.matches(res) {
			res.Known = k.Reason
		}
	}
}

// stale finds the lines that are wrong: those that match nothing that was to
// be run, and those whose case passes now. Cases that were left out on
// purpose, skipped, or only inform say nothing of their line.
func stale(known []Known, results []*Result, everything bool) []string {
	var out []string
	for _, k := range known {
		seen := false
		for _, res := range results {
			if !k.matches(res) {
				continue
			}
			seen = true
			if res.Verdict == Pass {
				out = append(out, fmt.Sprintf("line %d: %s passes on %s, but is listed as a known failure", k.Line, k.ID, res.Transport))
			}
		}
		if !seen && everything {
			out = append(out, fmt.Sprintf("line %d: %s %smatches nothing", k.Line, k.ID, spaced(k.Transport)))
		}
	}
	return out
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return s + " "
}
