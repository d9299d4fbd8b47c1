package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sumsFile is what `sha256sum -c` reads.
const sumsFile = "SHA256SUMS"

// writeSums writes the checksums of all files in a folder.
func writeSums(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // written a moment ago
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(content), e.Name())
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), []byte(text.String()), 0o644) //nolint:gosec // for all to read
}

// compare fails unless two releases have the same files with the same bytes,
// and names those that differ.
func compare(one, other string) error {
	a, err := readSums(one)
	if err != nil {
		return err
	}
	b, err := readSums(other)
	if err != nil {
		return err
	}
	if len(a) == 0 {
		return errors.New("the release is empty")
	}
	var differ []error
	for name := range mergeKeys(a, b) {
		if a[name] != b[name] {
			differ = append(differ, fmt.Errorf("%s: %s the first time, %s the second", name, told(a[name]), told(b[name])))
		}
	}
	return errors.Join(differ...)
}

func told(sum string) string {
	if sum == "" {
		return "missing"
	}
	return sum
}

func mergeKeys(a, b map[string]string) map[string]bool {
	all := map[string]bool{}
	for name := range a {
		all[name] = true
	}
	for name := range b {
		all[name] = true
	}
	return all
}

// readSums returns the checksums by name.
func readSums(dir string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, sumsFile)) //nolint:gosec // written a moment ago
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			return nil, fmt.Errorf("%s: %q is no checksum", sumsFile, line)
		}
		all[name] = sum
	}
	return all, nil
}
