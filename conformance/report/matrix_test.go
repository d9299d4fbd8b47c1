package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/suite"
)

// hostile is what a server may send, and a page or an XML file must survive.
const hostile = "</script><script>alert(1)</script> \x00\x1b]0;x\a <b>&amp; \ufffe"

// sample is a report with each verdict.
func sample(name string) *suite.Report {
	result := func(id, section, transport string, v suite.Verdict, notes ...suite.Note) *suite.Result {
		return &suite.Result{
			ID: id, Section: section, Title: "a title with <b> of " + id, Level: suite.MUST, Rules: []string{"R-X-1"}, Transport: transport,
			Outcome: v, Verdict: v, Notes: notes, DurationMs: 12.3456,
			Transcript: suite.Transcript{Dropped: 2, Events: []suite.Event{
				{AtMs: 1.5, Conn: 1, Kind: "sent", Text: "[" + hostile + "]"}, {AtMs: 2.5, Conn: 1, Kind: "received", Base64: "AAEC", Cut: 9},
			}},
		}
	}
	known := result("BX-A-03", "one", "websocket", suite.Fail, suite.Note{Kind: suite.NoteFail, Text: "wrong"})
	known.Known = "WIRE 16"
	return &suite.Report{
		Format: suite.ReportFormat, Name: name, Profile: "cometd", Started: time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC), DurationMs: 61_000,
		Facts:   &suite.Facts{Transports: []string{"long-polling", "websocket"}},
		Summary: suite.Summary{Cases: 5, Results: 6, Pass: 1, Fail: 2, Known: 1, Unknown: 1, Skipped: 1, Error: 1, NonStrict: 1},
		Results: []*suite.Result{
			result("BX-A-01", "one", "long-polling", suite.Pass),
			result("BX-A-01", "one", "websocket", suite.Fail, suite.Note{Kind: suite.NoteFail, Text: hostile}),
			result("BX-A-02", "one", "long-polling", suite.Skipped, suite.Note{Kind: suite.NoteSkip, Text: "needs ack"}),
			known,
			result("BX-B-01", "two", "long-polling", suite.Error, suite.Note{Kind: suite.NoteError, Text: "broke"}),
			result("BX-B-02", "two", "long-polling", suite.NonStrict, suite.Note{Kind: suite.NoteNonStrict, Text: "loose"}),
		},
	}
}

func TestJUnit(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, JUnit(&out, sample("one "+hostile), sample("two")))
	var got junitSuites
	require.NoError(t, xml.Unmarshal(out.Bytes(), &got))
	require.Equal(t, []int{12, 2, 2, 2}, []int{got.Tests, got.Failures, got.Errors, got.Skipped})
	require.Len(t, got.Suites, 4, "a suite for each server and section")
	require.Equal(t, "two one", got.Suites[2].Name)
	cases := got.Suites[2].Cases
	require.Len(t, cases, 4)
	require.Nil(t, cases[0].Failure)
	require.Contains(t, cases[1].Failure.Text, "alert(1)")
	require.Contains(t, cases[1].Failure.Text, "9 bytes more")
	require.Contains(t, cases[1].Failure.Text, "2 more events were not kept")
	require.Equal(t, "skip: needs ack", cases[2].Skipped.Message)
	require.Nil(t, cases[3].Failure, "a known failure is none")
	require.Contains(t, cases[3].Out, "known: WIRE 16")
	require.NotContains(t, out.String(), "\x00")
	require.NotContains(t, out.String(), "\x1b")
}

func TestHTML(t *testing.T) {
	one, two := sample("one"), sample("two <i>")
	two.Results = two.Results[:1]
	var out bytes.Buffer
	require.NoError(t, HTML(&out, one, two))
	text := out.String()
	for _, r := range one.Results {
		require.Contains(t, text, r.ID)
	}
	require.Equal(t, 7, strings.Count(text, `<button type="button" class="mark `))
	require.Contains(t, text, `class="mark fail known"`)
	require.NotContains(t, text, "<script>alert", "what a server sends is no part of the page")
	require.NotContains(t, text, "<i>")
	require.Equal(t, 1, strings.Count(text, "<script"))
	require.NotRegexp(t, `(?:src|href)=`, text, "the page needs nothing else")

	list := regexp.MustCompile(`const packed = (\[[^\]]*\]);`).FindStringSubmatch(text)
	require.NotNil(t, list)
	var packed []string
	require.NoError(t, json.Unmarshal([]byte(list[1]), &packed))
	require.Len(t, packed, 2)
	raw, err := base64.StdEncoding.DecodeString(packed[0])
	require.NoError(t, err)
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	require.NoError(t, err)
	plain, err := io.ReadAll(zip)
	require.NoError(t, err)
	var results []*suite.Result
	require.NoError(t, json.Unmarshal(plain, &results))
	require.Len(t, results, len(one.Results))
	require.Equal(t, one.Results[1].Notes[0].Text, results[1].Notes[0].Text)
}

func TestHTMLCells(t *testing.T) {
	m, err := newMatrix([]*suite.Report{sample("one"), {Name: "empty", Facts: &suite.Facts{}}})
	require.NoError(t, err)
	require.Equal(t, "2026-11-25", m.Made)
	require.Len(t, m.Sections, 2)
	first := m.Sections[0].Rows[0]
	require.Equal(t, "BX-A-01", first.ID)
	require.Equal(t, "fail", first.Cells[0].Worst, "the worst of the transports")
	require.Len(t, first.Cells[0].Marks, 2)
	require.Empty(t, first.Cells[1].Marks)
}
