package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/halleypush/halley/conformance/suite"
)

// WriteFile writes reports to a file in a form; what was there is replaced.
func WriteFile(name string, form Writer, reports ...*suite.Report) (err error) {
	f, err := os.Create(name) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return form(f, reports...)
}

// ReadFile reads a report that JSON wrote. Errors name the file.
func ReadFile(name string) (*suite.Report, error) {
	f, err := os.Open(name) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, err
	}
	r, err := Read(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// ReadFolder reads NAME.json for each of the names, in their order. Those that
// are not there are left out; that none is there is an error.
func ReadFolder(folder string, names []string) ([]*suite.Report, error) {
	var all []*suite.Report
	for _, name := range names {
		r, err := ReadFile(filepath.Join(folder, name+".json"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no reports in %s", folder)
	}
	return all, nil
}
