package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/clientcases"
	"github.com/halleypush/halley/conformance/report"
	"github.com/halleypush/halley/conformance/suite"
)

func sample() *suite.Report {
	res := func(id, transport string, v, out suite.Verdict, notes ...suite.Note) *suite.Result {
		return &suite.Result{ID: id, Section: "basics", Transport: transport, Outcome: out, Verdict: v, Notes: notes}
	}
	return &suite.Report{
		Name: "Client 1", Profile: "cometd", Mode: suite.ModeClient, Facts: &suite.Facts{}, Summary: suite.Summary{Results: 8, Pass: 3, Fail: 1},
		Results: []*suite.Result{
			res("BX-C-BA-01", "long-polling", suite.Pass, suite.Pass), res("BX-C-BA-01", "websocket", suite.Fail, suite.Fail),
			res("BX-C-BA-02", "long-polling", suite.Pass, suite.Pass), res("BX-C-BA-02", "websocket", suite.Pass, suite.Pass),
			res("BX-C-BA-03", "long-polling", suite.NonStrict, suite.Fail), res("BX-C-BA-04", "long-polling", suite.Skipped, suite.Skipped),
			res("BX-C-BA-05", "long-polling", suite.Info, suite.Pass, suite.Note{Kind: suite.NoteInfo, Text: "5 | times"}),
			res("BX-C-BA-06", "long-polling", suite.Info, suite.Fail), res("BX-C-BA-07", "any", suite.Error, suite.Error),
		},
	}
}

func TestCell(t *testing.T) {
	for id, want := range map[string]string{
		"BX-C-BA-01": "pass LP, **fail** WS", "BX-C-BA-02": "pass", "BX-C-BA-03": "*weak*", "BX-C-BA-04": "–", "BX-C-BA-05": `5 \| times`,
		"BX-C-BA-06": "*no*", "BX-C-BA-07": "**error**", "BX-C-BA-99": "–",
	} {
		require.Equal(t, want, cell(sample(), id), id)
	}
}

// TestWrite writes the document and the page from reports that are there.
func TestWrite(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	dir := t.TempDir()
	require.ErrorContains(t, run(t.Context(), &bytes.Buffer{}, dir, "", true, nil), "no reports")
	require.NoError(t, report.WriteFile(filepath.Join(dir, "faye.json"), report.JSON, sample()))
	doc := filepath.Join(dir, "doc.md")
	require.NoError(t, run(t.Context(), &bytes.Buffer{}, dir, doc, true, nil))
	text, err := os.ReadFile(doc)
	require.NoError(t, err)
	require.Contains(t, string(text), "| Client 1 | 8 | 3 | 0 | 1 |")
	require.Contains(t, string(text), "createInterface")
	require.NotContains(t, string(text), "<!-- measured -->")
	require.FileExists(t, filepath.Join(dir, "matrix.html"))
}

// TestDocument compares docs/CONFORMANCE_CLIENTS.md with what it is made of:
// the notes, the example and the list of cases.
func TestDocument(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	text, err := os.ReadFile("docs/CONFORMANCE_CLIENTS.md")
	require.NoError(t, err)
	for part := range strings.SplitSeq(string(notes), "\n<!-- ") {
		_, words, ok := strings.Cut(part, " -->\n")
		if !ok {
			words = part
		}
		require.Contains(t, string(text), words, "run `make conformance-clients`")
	}
	code, err := os.ReadFile(example)
	require.NoError(t, err)
	require.Contains(t, string(text), string(code))
	for _, s := range clientcases.Sections() {
		for _, c := range s.Cases {
			require.Contains(t, string(text), "| "+c.ID+" | "+string(c.Level)+" | "+escape(c.Title)+" |", "run `make conformance-clients`")
		}
	}
}

// TestSubjects checks that the drivers are where they are looked for.
func TestSubjects(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	own := 0
	for _, s := range subjects("out") {
		require.NotEmpty(t, s.driver.Args, s.key)
		if s.own {
			own++
			require.DirExists(t, s.build)
			continue
		}
		require.DirExists(t, s.driver.Dir, s.key)
	}
	require.Equal(t, 1, own)
}
