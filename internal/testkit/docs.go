package testkit

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Tables compares the generated parts of a document with what they should be,
// or writes them. A part stands between the lines "<!-- NAME -->" and
// "<!-- end -->"; each must be there once. how says what writes it again.
func Tables(t testing.TB, path string, write bool, how string, tables map[string]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for name, table := range tables {
		part := regexp.MustCompile(`(?s)<!-- ` + regexp.QuoteMeta(name) + ` -->\n.*?<!-- end -->`)
		found := part.FindAllString(got, -1)
		if len(found) != 1 {
			t.Fatalf("%s: part %q stands there %d times", path, name, len(found))
		}
		want := "<!-- " + name + " -->\n" + table + "<!-- end -->"
		if found[0] != want && !write {
			t.Errorf("%s: part %q is old, %s\n%s", path, name, how, difference(found[0], want))
		}
		got = part.ReplaceAllLiteralString(got, want)
	}
	if write {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// difference lists the lines that only one of two texts has.
func difference(old, now string) string {
	var out strings.Builder
	only := func(sign, a, b string) {
		has := map[string]bool{}
		for line := range strings.Lines(b) {
			has[line] = true
		}
		for line := range strings.Lines(a) {
			if !has[line] {
				_, _ = out.WriteString(sign + line)
			}
		}
	}
	only("-", old, now)
	only("+", now, old)
	return out.String()
}

// Row is a row of a table in Markdown.
func Row(cells ...string) string {
	safe := make([]string, 0, len(cells))
	for _, c := range cells {
		safe = append(safe, strings.ReplaceAll(c, "|", `\|`))
	}
	return "| " + strings.Join(safe, " | ") + " |\n"
}
