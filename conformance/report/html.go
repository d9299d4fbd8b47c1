package report

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

//go:embed matrix.html
var page string

// matrix is what the page shows.
type matrix struct {
	Servers  []server
	Sections []section
	Made     string
	// Data holds the results with their transcripts, one string for each server:
	// JSON, compressed by gzip, in base64. The page unpacks one when a cell of it
	// is opened.
	Data []string
}

type server struct {
	*suite.Report

	Passed bool
	Took   string
}

type section struct {
	Name string
	Rows []row
}

// row is a case; it has a cell for each server.
type row struct {
	ID, Title, Level, Spec, Rules string
	Cells                         []cell
}

// cell is what became of a case on a server: the worst of its transports.
type cell struct {
	Worst string
	Marks []mark
}

// mark is what became of it on one transport.
type mark struct {
	At                        int // index in the server's results
	Transport, Short, Verdict string
	Known                     bool
	Why                       string
}

// HTML writes one page that needs nothing else: a table of all cases and
// servers, each with its transcript one click away, and a form for paper. Many
// servers stand side by side.
func HTML(w io.Writer, reports ...*suite.Report) error {
	t, err := template.New("matrix").Parse(page)
	if err != nil {
		return err
	}
	m, err := newMatrix(reports)
	if err != nil {
		return err
	}
	return t.Execute(w, m)
}

func newMatrix(reports []*suite.Report) (*matrix, error) {
	m := &matrix{}
	var last time.Time
	rows := map[string]*row{}
	var order []*suite.Result
	for i, r := range reports {
		m.Servers = append(m.Servers, server{r, r.Passed(), (time.Duration(r.DurationMs) * time.Millisecond).Round(time.Second).String()})
		if r.Started.After(last) {
			last = r.Started
		}
		data, err := pack(r)
		if err != nil {
			return nil, err
		}
		m.Data = append(m.Data, data)
		for at, res := range r.Results {
			line := rows[res.ID]
			if line == nil {
				line = &row{
					ID: res.ID, Title: res.Title, Level: string(res.Level), Spec: res.Spec,
					Rules: strings.Join(res.Rules, " "), Cells: make([]cell, len(reports)),
				}
				rows[res.ID] = line
				order = append(order, res)
			}
			line.Cells[i].add(at, res)
		}
	}
	m.Made = last.Format(time.DateOnly)
	m.Sections = inSections(order, rows)
	return m, nil
}

// inSections groups the rows in the order in which they were first seen.
func inSections(order []*suite.Result, rows map[string]*row) []section {
	var out []section
	at := map[string]int{}
	for _, res := range order {
		i, ok := at[res.Section]
		if !ok {
			i = len(out)
			at[res.Section] = i
			out = append(out, section{Name: res.Section})
		}
		out[i].Rows = append(out[i].Rows, *rows[res.ID])
	}
	return out
}

func (c *cell) add(at int, res *suite.Result) {
	m := mark{At: at, Transport: res.Transport, Short: shortName(res.Transport), Verdict: string(res.Verdict), Known: res.Known != "", Why: res.Known}
	for _, n := range res.Notes {
		m.Why = cmp.Or(m.Why, string(n.Kind)+": "+n.Text)
	}
	c.Marks = append(c.Marks, m)
	if c.Worst == "" || weight(m.Verdict) > weight(c.Worst) {
		c.Worst = m.Verdict
	}
}

// weight orders verdicts by how much a reader should look at them.
func weight(verdict string) int {
	return slices.Index([]string{"skipped", "info", "pass", "non-strict", "fail", "error"}, verdict)
}

func shortName(transport string) string {
	switch transport {
	case "long-polling":
		return "LP"
	case "callback-polling":
		return "CP"
	case "websocket":
		return "WS"
	case "eventsource":
		return "ES"
	case "http2":
		return "H2"
	default:
		return transport
	}
}

func pack(r *suite.Report) (string, error) {
	var out bytes.Buffer
	text := base64.NewEncoder(base64.StdEncoding, &out)
	zip, err := gzip.NewWriterLevel(text, gzip.BestCompression)
	if err != nil {
		return "", err
	}
	if err := json.NewEncoder(zip).Encode(r.Results); err != nil {
		return "", err
	}
	if err := zip.Close(); err != nil {
		return "", err
	}
	if err := text.Close(); err != nil {
		return "", err
	}
	return out.String(), nil
}
