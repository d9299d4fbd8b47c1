package readme

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

var update = flag.Bool("update", false, "write the generated table of README.md")

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	require.NoError(t, err)
	return string(text)
}

func readme(t *testing.T) string {
	t.Helper()
	return read(t, "..", "..", "README.md")
}

// TestProgram finds the program of embed_test.go in the README, word for word.
func TestProgram(t *testing.T) {
	_, program, ok := strings.Cut(read(t, "embed_test.go"), "\nfunc main() {\n")
	require.True(t, ok)
	require.Contains(t, readme(t), "```go\nfunc main() {\n"+program+"```\n")
}

// TestPageIsTheSame finds the page of testdata in the README, word for word,
// and the one line of it that changes.
func TestPageIsTheSame(t *testing.T) {
	page := read(t, "testdata", "page.html")
	text := readme(t)
	require.Contains(t, text, "```html\n"+page+"```\n")
	change := regexp.MustCompile("(?m)^```diff\n-(.*)\n\\+(.*)\n```$").FindStringSubmatch(text)
	require.Len(t, change, 3)
	require.Contains(t, page, "\n"+change[2]+"\n", "the page has the new line")
	url := regexp.MustCompile(`"https?://[^"]*/cometd"`)
	require.Equal(t, url.ReplaceAllString(change[1], ""), url.ReplaceAllString(change[2], ""), "only the URL differs")
}

// TestCompatibility compares the table of the README with
// docs/COMPATIBILITY.md, which is made by running the clients; -update writes it.
func TestCompatibility(t *testing.T) {
	table := summary(t, read(t, "..", "..", "docs", "COMPATIBILITY.md"))
	testkit.Tables(t, filepath.Join("..", "..", "README.md"), *update, "run make docs", map[string]string{"compatibility": table})
}

// client is what was seen of one client, in versions that can do the same.
type client struct {
	name                 string
	versions, transports []string
	ack                  bool
	passed, tried        int
}

// joins tells whether other is one more version of the same, and adds it.
func (c *client) joins(other *client) bool {
	if c.name != other.name || c.ack != other.ack || !slices.Equal(c.transports, other.transports) {
		return false
	}
	c.versions = append(c.versions, other.versions...)
	c.passed += other.passed
	c.tried += other.tried
	return true
}

// summary counts the scenarios of each client.
func summary(t *testing.T, document string) string {
	t.Helper()
	var clients []*client
	var columns []string
	document, _, _ = strings.Cut(document, "\n## ") // what follows is not of clients
	for line := range strings.Lines(document) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--"):
		case columns == nil:
			columns = cells
			require.Equal(t, []string{"client", "version", "transport", "ack"}, columns[:4])
		default:
			require.Len(t, cells, len(columns), line)
			at := slices.IndexFunc(clients, func(c *client) bool { return c.name == cells[0] && c.versions[0] == cells[1] })
			if at < 0 {
				at = len(clients)
				clients = append(clients, &client{name: cells[0], versions: []string{cells[1]}})
			}
			clients[at].count(t, cells)
		}
	}
	require.NotEmpty(t, clients)
	text := "| client | versions | transports | acknowledged messages | scenarios passed |\n|---|---|---|---|---|\n"
	for i := 0; i < len(clients); {
		if i > 0 && clients[i-1].joins(clients[i]) {
			clients = slices.Delete(clients, i, i+1)
			continue
		}
		i++
	}
	for _, c := range clients {
		ack := "no"
		if c.ack {
			ack = "yes"
		}
		text += testkit.Row(c.name, strings.Join(c.versions, ", "), strings.Join(c.transports, ", "), ack, fmt.Sprintf("%d of %d", c.passed, c.tried))
	}
	return text
}

// count adds a row of the matrix. A blank cell or a number is a scenario that
// the client has no means for.
func (c *client) count(t *testing.T, cells []string) {
	t.Helper()
	passed, tried := 0, 0
	for _, cell := range cells[4:] {
		switch cell {
		case "✓":
			passed++
			tried++
		case "✗", "–":
			tried++
		default:
			require.Regexp(t, `^\d*$`, cell, "%v", cells)
		}
	}
	if tried == 0 {
		return
	}
	c.passed += passed
	c.tried += tried
	c.ack = c.ack || cells[3] == "yes"
	if !slices.Contains(c.transports, cells[2]) {
		c.transports = append(c.transports, cells[2])
	}
}

func TestSummary(t *testing.T) {
	head := "| client | version | transport | ack | a | b | c |\n|---|---|---|---|---|---|---|\n"
	want := "| client | versions | transports | acknowledged messages | scenarios passed |\n|---|---|---|---|---|\n"
	require.Equal(t, want+"| x | 1, 2 | ws, lp | yes | 6 of 9 |\n| x | 3 | ws | no | 0 of 1 |\n| y | 1 | lp | no | 1 of 1 |\n", summary(t, "text\n\n"+head+
		"| x | 1 | ws | no | ✓ | ✓ | 1 |\n| x | 1 | lp | yes | ✓ | ✗ | – |\n| x | 2 | ws | no | ✓ | ✗ |  |\n| x | 2 | lp | yes | ✓ | ✓ | 1 |\n"+
		"| x | 3 | ws | no | ✗ | 1 | 1 |\n| y | 1 | lp | yes | 2 | 2 | 2 |\n| y | 1 | lp | no | ✓ |  | 2 |\n"))
}
