package migration_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

var update = flag.Bool("update", false, "write the Go of docs/MIGRATION.md")

const (
	top      = "../../"
	document = "docs/MIGRATION.md"
	home     = "internal/migration"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.FromSlash(top), filepath.FromSlash(name)))
	require.NoError(t, err)
	return string(text)
}

// code is the test code of a folder: declarations by name, T.M for methods.
type code struct {
	decls map[string]string
	file  map[string]string // where each stands
	order []string
	uses  map[string][]string // identifiers in each
}

func load(t *testing.T, dir string) code {
	t.Helper()
	c := code{decls: map[string]string{}, file: map[string]string{}, uses: map[string][]string{}}
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(top+dir), "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		name := path.Join(dir, filepath.Base(file))
		c.loadFile(t, name, read(t, name))
	}
	return c
}

func (c *code) loadFile(t *testing.T, name, text string) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, text, parser.ParseComments)
	require.NoError(t, err)
	for _, d := range f.Decls {
		key, start := "", d.Pos()
		switch d := d.(type) {
		case *ast.FuncDecl:
			if key = d.Name.Name; d.Recv != nil {
				key = receiver(d.Recv.List[0].Type) + "." + key
			}
			if d.Doc != nil {
				start = d.Doc.Pos()
			}
		case *ast.GenDecl:
			if spec, ok := d.Specs[0].(*ast.TypeSpec); ok {
				key = spec.Name.Name
			}
			if d.Doc != nil {
				start = d.Doc.Pos()
			}
		}
		if key == "" {
			continue
		}
		c.decls[key] = text[set.Position(start).Offset:set.Position(d.End()).Offset]
		c.file[key] = name
		c.order = append(c.order, key)
		ast.Inspect(d, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				c.uses[key] = append(c.uses[key], id.Name)
			}
			return true
		})
	}
}

func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

// withMethods returns the declaration and, of a type, its methods.
func (c *code) withMethods(name string) []string {
	keys := []string{name}
	for _, k := range c.order {
		if strings.HasPrefix(k, name+".") {
			keys = append(keys, k)
		}
	}
	return keys
}

// reach returns the text of an Example and of all of its package that it uses.
func (c *code) reach(name string) string {
	var text strings.Builder
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		for _, k := range c.withMethods(name) {
			if seen[k] || c.decls[k] == "" {
				continue
			}
			seen[k] = true
			text.WriteString(c.decls[k] + "\n")
			for _, used := range c.uses[k] {
				visit(used)
			}
		}
	}
	visit(name)
	return text.String()
}

// scaffold are lines of Examples that say nothing about the matter.
func scaffold() []string {
	return []string{
		"srv, stop := started()\n",
		"defer stop()\n",
		"ctx := context.Background()\n",
		"if err != nil {\n\tfmt.Println(err)\n\treturn\n}\n",
		"defer func() { _ = srv.Shutdown(context.Background()) }()\n",
	}
}

// body is what stands between the braces of an Example, without scaffold.
func body(t *testing.T, decl string) string {
	t.Helper()
	_, text, ok := strings.Cut(decl, "() {\n")
	require.True(t, ok)
	text = strings.TrimSuffix(text, "}")
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimPrefix(line, "\t"))
	}
	text = "\n" + out.String()
	for _, s := range scaffold() {
		text = strings.ReplaceAll(text, "\n"+s, "\n")
	}
	return strings.TrimLeft(regexp.MustCompile(`\n{3,}`).ReplaceAllString(text, "\n\n"), "\n")
}

// snippet is the Go between "<!-- go FOLDER NAME … -->" and "<!-- end -->": the
// declarations of these names, types with their methods, and the bodies of
// Examples.
func snippet(t *testing.T, dir string, names []string) string {
	t.Helper()
	c := load(t, dir)
	var parts []string
	links := ""
	for _, name := range names {
		require.Contains(t, c.decls, name, "%s has no such declaration", dir)
		if strings.HasPrefix(name, "Example") {
			parts = append(parts, body(t, c.decls[name]))
			links += "\n[" + name + "](../" + c.file[name] + ")\n"
			continue
		}
		for _, key := range c.withMethods(name) {
			parts = append(parts, c.decls[key]+"\n")
		}
	}
	return "```go\n" + strings.Join(parts, "\n") + "```\n" + links
}

var marker = regexp.MustCompile(`(?m)^<!-- (go (\S+) (.+)) -->$`)

// TestSnippets compares the Go of the document with the Examples; -update
// writes it. There is no other Go in the document.
func TestSnippets(t *testing.T) {
	text := read(t, document)
	tables := map[string]string{}
	for _, m := range marker.FindAllStringSubmatch(text, -1) {
		tables[m[1]] = snippet(t, m[2], strings.Fields(m[3]))
	}
	require.NotEmpty(t, tables)
	testkit.Tables(t, filepath.FromSlash(top+document), *update, "run make docs", tables)
	require.Equal(t, len(tables), strings.Count(text, "```go\n"), "Go that no Example has")
}

// row is a row of a table whose last column is Example.
type row struct {
	line, ours, examples string
}

func rows(t *testing.T, text string) (all []row) {
	t.Helper()
	in := false
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		last := strings.TrimSpace(cells[len(cells)-1])
		switch {
		case !strings.HasPrefix(line, "|"):
			in = false
		case last == "Example":
			in = true
			require.Len(t, cells, 3, line)
		case in && !strings.HasPrefix(line, "|--"):
			require.Len(t, cells, 3, line)
			all = append(all, row{strings.TrimSpace(line), cells[1], last})
		}
	}
	return all
}

var (
	span = regexp.MustCompile("`([^`]+)`")
	link = regexp.MustCompile(`\[(Example\w*)\]\(\.\./([^)]+)\)`)
)

// TestRows checks each row of the tables: its Examples exist, where it says, and
// each piece of Go in it stands in their code. A row without an Example says
// that there is nothing.
func TestRows(t *testing.T) {
	all := rows(t, read(t, document))
	require.Greater(t, len(all), 100)
	loaded := map[string]code{}
	for _, r := range all {
		links := link.FindAllStringSubmatch(r.examples, -1)
		if len(links) == 0 {
			assert.Equal(t, "–", r.examples, r.line)
			assert.Regexp(t, `^(not there|not needed)`, strings.TrimSpace(r.ours), r.line)
			continue
		}
		var source strings.Builder
		for _, l := range links {
			name, file := l[1], l[2]
			c, ok := loaded[path.Dir(file)]
			if !ok {
				c = load(t, path.Dir(file))
				loaded[path.Dir(file)] = c
			}
			if assert.Equal(t, c.file[name], file, "%s: no such Example there", r.line) {
				source.WriteString(c.reach(name))
			}
		}
		for _, s := range span.FindAllStringSubmatch(r.ours, -1) {
			assert.True(t, quoted(source.String(), s[1]), "%s\n%q does not stand in the Example", r.line, s[1])
		}
	}
}

// quoted tells whether the parts of a quotation, between …, stand in the source
// in that order.
func quoted(source, quotation string) bool {
	source = strings.Join(strings.Fields(source), " ")
	for part := range strings.SplitSeq(quotation, "…") {
		_, rest, ok := strings.Cut(source, strings.Join(strings.Fields(part), " "))
		if !ok {
			return false
		}
		source = rest
	}
	return true
}

func TestQuoted(t *testing.T) {
	source := "\tsrv.Listen(\"/a\",\n\t\tf)\n"
	for quotation, want := range map[string]bool{
		`srv.Listen("/a", f)`: true, `srv.Listen(…, f)`: true, `f)…srv`: false, `srv.Publish`: false, `Listen(…)`: true,
	} {
		require.Equal(t, want, quoted(source, quotation), quotation)
	}
}

// TestNoOrphans: each Example of this package is in the document.
func TestNoOrphans(t *testing.T) {
	text := read(t, document)
	c := load(t, home)
	examples := slices.DeleteFunc(slices.Clone(c.order), func(name string) bool { return !strings.HasPrefix(name, "Example") })
	require.NotEmpty(t, examples)
	for _, name := range examples {
		require.Positive(t, strings.Count(text, "["+name+"](../"+c.file[name]+")"), "%s is not in the document", name)
	}
}
