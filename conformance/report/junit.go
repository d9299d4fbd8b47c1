package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/halleypush/halley/conformance/suite"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string    `xml:"classname,attr"`
	Name    string    `xml:"name,attr"`
	Time    string    `xml:"time,attr"`
	Failure *junitOut `xml:"failure,omitempty"`
	Error   *junitOut `xml:"error,omitempty"`
	Skipped *junitOut `xml:"skipped,omitempty"`
	Out     string    `xml:"system-out,omitempty"`
}

type junitOut struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes reports as JUnit XML, for the displays of build servers: a
// suite for each server and section, a test for each case and transport. A
// known failure, and what only informs, passes with a remark. What XML cannot
// hold is replaced.
func JUnit(w io.Writer, reports ...*suite.Report) error {
	all := junitSuites{Name: "Bayeux conformance"}
	var took float64
	for _, r := range reports {
		took += r.DurationMs
		for _, s := range junitSections(r) {
			all.Suites = append(all.Suites, s)
			all.Tests += s.Tests
			all.Failures += s.Failures
			all.Errors += s.Errors
			all.Skipped += s.Skipped
		}
	}
	all.Time = seconds(took)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", " ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func junitSections(r *suite.Report) []junitSuite {
	var out []junitSuite
	for _, res := range r.Results {
		name := clean(r.Name + " " + res.Section)
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, junitSuite{Name: name, Timestamp: r.Started.Format("2006-01-02T15:04:05")})
		}
		s := &out[len(out)-1]
		c := junitCase{
			Class: clean(r.Name) + "." + res.Section, Name: clean(fmt.Sprintf("%s %s: %s", res.ID, res.Transport, res.Title)), Time: seconds(res.DurationMs),
		}
		s.Tests++
		text := clean(notes(res))
		switch {
		case res.Verdict == suite.Fail && res.Known == "":
			s.Failures++
			c.Failure = &junitOut{clean(string(res.Level) + " " + strings.Join(res.Rules, " ")), text + clean(plain(res.Transcript))}
		case res.Verdict == suite.Error:
			s.Errors++
			c.Error = &junitOut{"the suite or the network broke", text + clean(plain(res.Transcript))}
		case res.Verdict == suite.Skipped:
			s.Skipped++
			c.Skipped = &junitOut{Message: strings.TrimSpace(text)}
		case res.Known != "":
			c.Out = clean("known: "+res.Known) + "\n" + text
		default:
			c.Out = text
		}
		s.Cases = append(s.Cases, c)
	}
	return out
}

func seconds(ms float64) string { return fmt.Sprintf("%.3f", ms/1000) }

// notes are the remarks of a result, a line each.
func notes(res *suite.Result) string {
	var b strings.Builder
	for _, n := range res.Notes {
		_, _ = fmt.Fprintf(&b, "%s: %s\n", n.Kind, n.Text)
	}
	return b.String()
}

// plain is a transcript as text.
func plain(t suite.Transcript) string {
	var b strings.Builder
	for _, e := range t.Events {
		_, _ = fmt.Fprintf(&b, "%9.1f ms", e.AtMs)
		if e.Conn > 0 {
			_, _ = fmt.Fprintf(&b, " #%d", e.Conn)
		}
		_, _ = fmt.Fprintf(&b, " %s %s\n", e.Kind, e.What)
		for line := range strings.SplitSeq(strings.TrimRight(e.Text+e.Base64, "\r\n"), "\n") {
			if line != "" {
				b.WriteString("              " + strings.TrimRight(line, "\r") + "\n")
			}
		}
		if e.Cut > 0 {
			_, _ = fmt.Fprintf(&b, "              … %d bytes more\n", e.Cut)
		}
	}
	if t.Dropped > 0 {
		_, _ = fmt.Fprintf(&b, "%d more events were not kept\n", t.Dropped)
	}
	return b.String()
}

// clean replaces what XML 1.0 has no way to hold.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r >= 0x20 && r <= 0xd7ff, r >= 0xe000 && r <= 0xfffd, r >= 0x10000:
			return r
		default:
			return '\ufffd'
		}
	}, s)
}
