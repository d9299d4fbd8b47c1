package report

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/suite"
)

// node is what this test reads of a JSON schema.
type node struct {
	Ref        string          `json:"$ref"`
	Properties map[string]node `json:"properties"`
	Required   []string        `json:"required"`
	Items      *node           `json:"items"`
	Defs       map[string]node `json:"$defs"`
}

// TestSchemas compares the published schemas with the types, field by field.
func TestSchemas(t *testing.T) {
	for name, typ := range map[string]reflect.Type{
		"report.json": reflect.TypeFor[suite.Report](), "fixture.json": reflect.TypeFor[suite.Fixture](),
	} {
		text, err := os.ReadFile(filepath.Join("..", "schema", name))
		require.NoError(t, err)
		var root node
		require.NoError(t, json.Unmarshal(text, &root), name)
		compare(t, root, root, typ, name)
	}
}

func compare(t *testing.T, root, n node, typ reflect.Type, at string) {
	t.Helper()
	if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok {
		n = root.Defs[name]
	}
	switch typ.Kind() {
	case reflect.Pointer:
		compare(t, root, n, typ.Elem(), at)
	case reflect.Slice:
		if n.Items != nil {
			compare(t, root, *n.Items, typ.Elem(), at+"[]")
		}
	case reflect.Struct:
		if typ.String() == "time.Time" {
			return
		}
		fields(t, root, n, typ, at)
	default:
	}
}

func fields(t *testing.T, root, n node, typ reflect.Type, at string) {
	t.Helper()
	var names, required []string
	for f := range typ.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() {
			continue
		}
		names = append(names, name)
		if options != "omitempty" {
			required = append(required, name)
		}
		compare(t, root, n.Properties[name], f.Type, at+"."+name)
	}
	require.ElementsMatch(t, names, slices.Collect(maps.Keys(n.Properties)), "fields of %s", at)
	require.ElementsMatch(t, required, n.Required, "required fields of %s", at)
}

// TestFixtures reads the fixtures that come with the suite.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "fixtures", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		f, err := suite.ParseFixture(text)
		require.NoError(t, err, name)
		require.NotEmpty(t, f.Name, name)
	}
}
