package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// software is something that a program holds and did not grow here.
type software struct {
	title string
	// dir has its licence.
	dir string
}

// notices is the NOTICE file of a program: our own, and the licences of all
// that is linked or embedded.
func (r *release) notices(ctx context.Context, info *debug.BuildInfo) ([]byte, error) {
	own, err := r.file("NOTICE", "NOTICE")
	if err != nil {
		return nil, err
	}
	all, err := r.linked(ctx, info)
	if err != nil {
		return nil, err
	}
	text := bytes.NewBuffer(own.text)
	text.WriteString("\nThis program holds the following software of others.\n")
	for _, s := range all {
		licences, err := readLicences(s.dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.title, err)
		}
		fmt.Fprintf(text, "\n%s\n%s\n\n%s", strings.Repeat("=", 78), s.title, licences)
	}
	return text.Bytes(), nil
}

// linked lists Go's own library, the modules of a program, and the CometD
// client of the demo page.
func (r *release) linked(ctx context.Context, info *debug.BuildInfo) ([]software, error) {
	root, err := r.output(ctx, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	version, err := r.clientVersion()
	if err != nil {
		return nil, err
	}
	all := []software{
		{"The standard library of Go " + strings.TrimPrefix(info.GoVersion, "go"), strings.TrimSpace(root)},
		{"cometd " + version + ", the client of the demo page (https://www.npmjs.com/package/cometd)", filepath.Join(r.dir, filepath.FromSlash(clientFolder))},
	}
	args := []string{"list", "-m", "-f", "{{.Path}}\t{{.Version}}\t{{.Dir}}"}
	for _, m := range info.Deps {
		if m.Replace != nil {
			return nil, fmt.Errorf("%s is replaced: a release has no such thing", m.Path)
		}
		args = append(args, m.Path)
	}
	listed, err := r.output(ctx, "go", args...)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(listed) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 || f[2] == "" {
			return nil, fmt.Errorf("go list: %q has no folder", line)
		}
		all = append(all, software{f[0] + " " + f[1], f[2]})
	}
	if len(all) != len(info.Deps)+2 {
		return nil, fmt.Errorf("%d modules are linked, %d were found", len(info.Deps), len(all)-2)
	}
	return all, nil
}

// readLicences joins the files of a folder that licences are in.
func readLicences(dir string) ([]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	name := regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([-._].*)?$`)
	var texts [][]byte
	for _, e := range entries {
		if !e.Type().IsRegular() || !name.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // found a moment ago
		if err != nil {
			return nil, err
		}
		texts = append(texts, append(bytes.TrimSpace(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))), '\n'))
	}
	if !slices.ContainsFunc(texts, func(t []byte) bool { return len(t) > 200 }) {
		return nil, fmt.Errorf("no licence in %s", filepath.Base(dir))
	}
	return bytes.Join(texts, []byte("\n")), nil
}
