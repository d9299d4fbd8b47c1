package serve

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/permissions"
)

// TestPermissionsDocument serves the rules of each example of
// docs/PERMISSIONS.md, and checks each row of the table behind it.
func TestPermissionsDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "PERMISSIONS.md"))
	require.NoError(t, err)
	examples, rows := 0, 0
	for i, part := range strings.Split(string(text), "```yaml\n") {
		yaml, rest, ok := strings.Cut(part, "```\n")
		if i == 0 || !ok {
			continue
		}
		if yaml[0] == ' ' { // within a list
			yaml, _, ok = strings.Cut(part, "   ```\n")
			require.True(t, ok)
			yaml = regexp.MustCompile(`(?m)^   `).ReplaceAllString(yaml, "")
		}
		s, err := parse(t, "--config", file(t, yaml)).Load(lookup())
		require.NoError(t, err, yaml)
		require.Empty(t, s.permitted.rules.Warnings(), yaml)
		examples++
		rest, _, _ = strings.Cut(rest, "\n## ")
		for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \| ([^|]+) \| (allowed|refused) by (rule \d+|none) \|$`).FindAllStringSubmatch(rest, -1) {
			rows++
			checkRow(t, s.permitted.rules, m)
		}
	}
	require.Equal(t, 7, examples)
	require.Equal(t, 56, rows)
	require.Len(t, regexp.MustCompile(`(?m)^\| .* (allowed|refused) by`).FindAllString(string(text), -1), rows, "rows that no test reads")
}

// TestPermissionsProgram: the Go of the document is that of an Example.
func TestPermissionsProgram(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "PERMISSIONS.md"))
	require.NoError(t, err)
	source, err := os.ReadFile(filepath.Join("..", "..", "..", "extensions", "permissions", "example_test.go"))
	require.NoError(t, err)
	_, program, ok := strings.Cut(string(text), "```go\n")
	require.True(t, ok)
	program, _, ok = strings.Cut(program, "```")
	require.True(t, ok)
	require.Contains(t, strings.ReplaceAll(string(source), "\n\t", "\n"), program)
}

func checkRow(t *testing.T, rules *permissions.Rules, m []string) {
	t.Helper()
	var s *bayeux.Subject
	if m[1] != "anonymous" {
		s = &bayeux.Subject{Claims: map[string]any{}}
		for item := range strings.FieldsSeq(m[1]) {
			kind, name, _ := strings.Cut(item, ":")
			switch kind {
			case "user":
				s.User = name
			case "group":
				s.Groups = append(s.Groups, name)
			case "claim":
				claim, value, ok := strings.Cut(name, "=")
				require.True(t, ok, item)
				s.Claims[claim] = value
			default:
				require.Fail(t, item)
			}
		}
	}
	op, channel, _ := strings.Cut(strings.TrimSpace(m[2]), " ")
	x, err := rules.Explain(s, bayeux.Operation(op), channel)
	require.NoError(t, err, m[0])
	require.Equal(t, m[3] == "allowed", x.Allowed, m[0])
	require.Equal(t, m[4] != "none", strings.HasPrefix(x.Why, m[4]), "%s: %s", m[0], x.Why)
	if m[4] == "none" {
		require.Equal(t, -1, x.Rule, m[0])
	}
}
