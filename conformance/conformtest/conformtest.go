// Package conformtest calls the conformance suite from a Go test of a server:
//
//	func TestBayeux(t *testing.T) {
//		s := httptest.NewServer(myServer())
//		defer s.Close()
//		conformtest.Test(t, s.URL+"/cometd", conformance.Options{Profile: "cometd"})
//	}
package conformtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/suite"
)

// Test runs the suite against the server at url, which replaces opts.URL, and
// makes a subtest of each case on each transport. Failures of the server fail
// their subtests, with the transcript; known ones, non-strict verdicts and
// what was skipped are logged. The report is returned for more.
func Test(t *testing.T, url string, opts conformance.Options) *conformance.Report {
	t.Helper()
	opts.URL = url
	rep, err := conformance.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range rep.Results {
		t.Run(res.ID+"/"+res.Transport, func(t *testing.T) { tell(t, res) })
	}
	for _, wrong := range rep.KnownErrors {
		t.Errorf("known failures, %s", wrong)
	}
	return rep
}

// tell turns a result into what its subtest says.
func tell(t *testing.T, res *conformance.Result) {
	t.Helper()
	t.Logf("%s: %s (%s %s)", res.Verdict, res.Title, res.Level, strings.Join(res.Rules, " "))
	for _, n := range res.Notes {
		t.Logf("%s: %s", n.Kind, n.Text)
	}
	switch {
	case res.Known != "":
		t.Logf("known: %s", res.Known)
	case res.Verdict == suite.Fail, res.Verdict == suite.Error:
		t.Errorf("%s\n%s", res.Verdict, Transcript(res))
	}
}

// Transcript writes the transcript of a result as text, for a log.
func Transcript(res *conformance.Result) string {
	var b strings.Builder
	for _, e := range res.Transcript.Events {
		_, _ = fmt.Fprintf(&b, "%9.1f ms  %d %-8s %s\n", e.AtMs, e.Conn, e.Kind, e.What)
		if text := e.Text + e.Base64; text != "" {
			b.WriteString("              " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n              ") + "\n")
		}
	}
	return b.String()
}
