// Package report writes the report of a run. A new form is a Writer of its
// own and a line in Writers.
package report

import (
	"encoding/json"
	"io"

	"github.com/halleypush/halley/conformance/suite"
)

// Writer writes the reports of one or many servers in one form.
type Writer func(w io.Writer, reports ...*suite.Report) error

// Writers returns the forms by their names.
func Writers() map[string]Writer {
	return map[string]Writer{"text": Text, "json": JSON, "junit": JUnit, "html": HTML}
}

// JSON writes a report as conformance/schema/report.json describes it; several
// reports, one after the other.
func JSON(w io.Writer, reports ...*suite.Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	for _, r := range reports {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// Read reads a report that JSON wrote.
func Read(r io.Reader) (*suite.Report, error) {
	out := &suite.Report{}
	return out, json.NewDecoder(r).Decode(out)
}
