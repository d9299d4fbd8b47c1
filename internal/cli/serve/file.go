package serve

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile bounds a configuration file, maxNesting its maps.
const (
	maxFile    = 1 << 20
	maxNesting = 4
)

// entry is one setting of a file.
type entry struct {
	values []string
	source string
}

// fileSettings are the settings of a file by flag name, and those of its maps
// options, limits, extensions, channels and auth by theirs.
type fileSettings struct {
	flags, options, limits, extensions, channels, auth map[string]entry
	permissions                                        *ruleList // nil: none
}

// readAll reads no more of a file than it may have.
func readAll(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}

// fileReader walks the syntax tree of a file; errors name file and line.
type fileReader struct {
	name string
	out  fileSettings
}

// parseFile reads YAML. It never panics, whatever the text.
func parseFile(path string, text []byte) (fileSettings, error) {
	r := fileReader{name: filepath.Base(path)}
	r.out = fileSettings{flags: map[string]entry{}, options: map[string]entry{}, limits: map[string]entry{}, extensions: map[string]entry{}, channels: map[string]entry{}, auth: map[string]entry{}}
	err := r.read(text, func(body ast.Node) error { return r.each(body, "the file", r.topLevel) })
	return r.out, err
}

// read calls visit with each document of the text that is not empty.
func (r *fileReader) read(text []byte, visit func(body ast.Node) error) (err error) {
	if len(text) > maxFile {
		return usagef(r.name, "more than %d bytes", maxFile)
	}
	defer func() {
		// The parser is not ours: what it cannot read is an error of the file.
		if p := recover(); p != nil {
			r.out, err = fileSettings{}, usagef(r.name, "not YAML: %v", p)
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return usagef(r.name, "%s", firstLines(err.Error()))
	}
	for _, doc := range file.Docs {
		switch doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
			continue
		}
		if err := visit(doc.Body); err != nil {
			return err
		}
	}
	return nil
}

// firstLines keeps the parser's position and reason, not the quoted text: a
// file may hold secrets and errors go to logs.
func firstLines(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// each calls visit with each key and value of a map.
func (r *fileReader) each(node ast.Node, what string, visit func(key, source string, value ast.Node) error) error {
	var values []*ast.MappingValueNode
	switch m := node.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		return usagef(r.line(node), "%s: want keys with values", what)
	}
	for _, v := range values {
		key, ok := scalar(v.Key)
		if !ok {
			return usagef(r.line(v), "%s: want plain keys", what)
		}
		if err := visit(key, r.line(v.Key), v.Value); err != nil {
			return err
		}
	}
	return nil
}

func (r *fileReader) line(node ast.Node) string {
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return r.name
	}
	return fmt.Sprintf("%s:%d", r.name, node.GetToken().Position.Line)
}

func (r *fileReader) topLevel(key, source string, value ast.Node) error {
	switch key {
	case "options":
		return r.section(value, source, "options", "", 0, r.out.options)
	case "limits":
		return r.section(value, source, "limits", "", 0, r.out.limits)
	case "extensions":
		return r.section(value, source, "extensions", "", 0, r.out.extensions)
	case "channels":
		return r.section(value, source, "channels", "", 0, r.out.channels)
	case "auth":
		return r.section(value, source, "auth", "", 0, r.out.auth)
	case "permissions":
		if _, name := scalar(value); !name {
			return r.permissions(value, source)
		}
	}
	for _, f := range flagTable() {
		if f.name == key || f.name == kebab(key) {
			return r.flag(f, key, source, value)
		}
	}
	return unknown(source, "key", key, flagNames())
}

func (r *fileReader) flag(f setting, key, source string, value ast.Node) error {
	_, twice := r.out.flags[f.name]
	if twice || f.name == "permissions" && r.out.permissions != nil {
		return usagef(source, "key %q stands twice", f.name)
	}
	if text, ok := scalar(value); ok {
		r.out.flags[f.name] = entry{[]string{text}, source}
		return nil
	}
	seq, ok := value.(*ast.SequenceNode)
	if !ok || f.sep == "" {
		return usagef(source, "key %q: want %s", key, wantShape(f))
	}
	values, wrong := scalars(seq)
	if wrong != nil {
		return usagef(r.line(wrong), "key %q: want %s", key, wantShape(f))
	}
	r.out.flags[f.name] = entry{values, source}
	return nil
}

func wantShape(f setting) string {
	if f.sep == "" {
		return "one value"
	}
	return "a value or a list of values"
}

// section reads a map of names; maps in it are prefixes, so that
// "ws: {timeout: 1}" is "ws.timeout: 1".
func (r *fileReader) section(node ast.Node, source, what, prefix string, depth int, out map[string]entry) error {
	if _, empty := node.(*ast.NullNode); empty {
		return nil
	}
	if depth > maxNesting {
		return usagef(source, "%s: maps are nested too deep", what)
	}
	return r.each(node, what, func(key, source string, value ast.Node) error {
		name := prefix + key
		if text, ok := scalar(value); ok {
			if _, twice := out[name]; twice {
				return usagef(source, "%q stands twice in %s", name, what)
			}
			out[name] = entry{[]string{text}, source}
			return nil
		}
		switch v := value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			return r.section(v, source, what, name+".", depth+1, out)
		case *ast.SequenceNode:
			return r.joined(v, source, what, name, out)
		default:
			return usagef(source, "%s: %q wants a value", what, name)
		}
	})
}

// joined reads a list as the value of an option: allowedTransports has one.
func (r *fileReader) joined(seq *ast.SequenceNode, source, what, name string, out map[string]entry) error {
	texts, wrong := scalars(seq)
	if wrong != nil {
		return usagef(r.line(wrong), "%s: %q wants a value or a list of values", what, name)
	}
	if _, twice := out[name]; twice {
		return usagef(source, "%q stands twice in %s", name, what)
	}
	out[name] = entry{[]string{strings.Join(texts, ",")}, source}
	return nil
}

// scalar returns the text of a value as it stands in the file.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
		if tk := n.GetToken(); tk != nil {
			return strings.TrimSpace(tk.Value), true
		}
	}
	return "", false
}

// scalars returns the texts of a list, or the first of its values that is none.
func scalars(list *ast.SequenceNode) (texts []string, wrong ast.Node) {
	texts = make([]string, 0, len(list.Values))
	for _, item := range list.Values {
		text, ok := scalar(item)
		if !ok {
			return nil, item
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// kebab turns trustedProxies into trusted-proxies.
func kebab(key string) string {
	var b strings.Builder
	for _, c := range key {
		if unicode.IsUpper(c) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
