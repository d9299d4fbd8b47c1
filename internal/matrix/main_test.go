package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/report"
	"github.com/halleypush/halley/conformance/suite"
)

func sample() *suite.Report {
	res := func(id, transport string, v suite.Verdict, why string) *suite.Result {
		return &suite.Result{
			ID: id, Section: "handshake", Title: "a * of | <b>", Level: suite.MUST, Transport: transport, Outcome: v, Verdict: v,
			Notes: []suite.Note{{Kind: suite.NoteInfo, Text: "aside"}, {Kind: suite.NoteFail, Text: why}},
		}
	}
	return &suite.Report{
		Name: "Server 1", Profile: "cometd", Facts: &suite.Facts{Transports: []string{"long-polling"}},
		Summary: suite.Summary{Results: 3, Pass: 1, Fail: 2},
		Results: []*suite.Result{
			res("BX-HS-01", "long-polling", suite.Pass, ""),
			res("BX-HS-02", "long-polling", suite.Fail, "first\nsecond"), res("BX-HS-02", "websocket", suite.Fail, "other"),
		},
	}
}

func TestDocument(t *testing.T) {
	meant := sample()
	meant.Name, meant.Results[1].Known = "Meant", "it is meant so"
	require.Contains(t, string(document([]*suite.Report{meant})), "| known: it is meant so |")
	text := string(document([]*suite.Report{sample(), {Name: "Good", Facts: &suite.Facts{}}}))
	require.Contains(t, text, "| Server 1 | `cometd` | 3 | 1 | 0 | 2 |")
	require.Contains(t, text, "| Handshake | 1/3 | – |")
	require.Contains(t, text, `| BX-HS-02 MUST | fail | long-polling, websocket | a \* of \| &lt;b> | first |`)
	require.Contains(t, text, "**Good**: nothing.")
	require.Less(t, strings.Index(text, "## What was measured"), strings.Index(text, "## Where the specification"))
	require.NotContains(t, text, "<!-- measured -->")
}

// TestWrite writes the document and the page from reports that are there.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	require.ErrorContains(t, run(t.Context(), &bytes.Buffer{}, dir, "", true, nil), "no reports")
	require.NoError(t, report.WriteFile(filepath.Join(dir, "faye.json"), report.JSON, sample()))
	doc := filepath.Join(dir, "doc.md")
	require.NoError(t, run(t.Context(), &bytes.Buffer{}, dir, doc, true, nil))
	for name, want := range map[string]string{doc: "Server 1", filepath.Join(dir, "matrix.html"): "BX-HS-02"} {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Contains(t, string(text), want)
	}
}

// TestSubjects checks that what a run needs is there.
func TestSubjects(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range subjects() {
		_, ok := suite.FindProfile(s.profile)
		require.True(t, ok, s.profile)
		if s.fixture != "" {
			text, err := os.ReadFile(filepath.Join("..", "..", "conformance", "fixtures", s.fixture))
			require.NoError(t, err)
			_, err = suite.ParseFixture(text)
			require.NoError(t, err)
		}
		if s.known != "" {
			text, err := os.ReadFile(filepath.Join("..", "..", "conformance", "known", s.known))
			require.NoError(t, err)
			lines, err := suite.ParseKnown(bytes.NewReader(text))
			require.NoError(t, err)
			for _, k := range lines {
				require.Contains(t, string(notes), k.ID, "notes.md says why")
			}
		}
		require.False(t, seen[s.id()])
		seen[s.id()] = true
	}
}
