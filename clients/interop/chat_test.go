//go:build interop

package interop

import (
	"context"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	halley "github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/peers/chat"
)

// chatOptions let no connect end for its time, which would add to the transcript. They are CometD's and Halley's.
func chatOptions() map[string]string {
	return map[string]string{"timeout": "300000", "maxInterval": "600000"}
}

// decided is a difference that was decided: who received CometD's message, received ours instead.
type decided struct {
	row          string // of WIRE 16
	theirs, ours string
}

// decisions are all differences that there are: each is seen in every transcript.
func decisions() []decided {
	return []decided{{
		row:    "fields of a client's publish ([R-PB-6])",
		theirs: `{"advice":{"interval":0},"channel":"/chat/tea","data":{"chat":"marked","user":"bob"},"error":"none","tag":[1,"x"]}`,
		ours:   `{"channel":"/chat/tea","data":{"chat":"marked","user":"bob"},"tag":[1,"x"]}`,
	}}
}

// judge returns the differences that were not decided, and the decisions without a difference.
func judge(all []difference, decisions []decided) (rest []difference, unused []decided) {
	met := map[decided]bool{}
	for _, d := range all {
		theirs, ours := d.theirs, d.ours
		for _, line := range d.theirs {
			name, message, _ := strings.Cut(line, " < ")
			for _, decision := range decisions {
				instead := name + " < " + decision.ours
				if message == decision.theirs && slices.Contains(ours, instead) {
					theirs, ours = without(theirs, []string{line}), without(ours, []string{instead})
					met[decision] = true
				}
			}
		}
		if len(theirs)+len(ours) > 0 {
			rest = append(rest, difference{d.step, theirs, ours})
		}
	}
	for _, decision := range decisions {
		if !met[decision] {
			unused = append(unused, decision)
		}
	}
	return rest, unused
}

// startChat serves the chat in this process and returns the address.
func startChat(t *testing.T) string {
	t.Helper()
	policy := bayeux.NewAuthorizers(nil)
	srv, err := halley.New(halley.Config{Policy: policy, Options: chatOptions()})
	require.NoError(t, err)
	require.NoError(t, chat.Install(srv, policy))
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		web.Close()
	})
	return web.URL + "/cometd"
}

// TestChatTranscripts has CometD's clients talk in the chat of docs/FIXTURES.md, and compares the transcripts with those
// of CometD 8, which `make transcripts` records: what differs was decided.
func TestChatTranscripts(t *testing.T) {
	for _, c := range casts() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			theirs, err := os.ReadFile(c.golden())
			require.NoError(t, err, "run `make transcripts`")
			same(t, string(theirs), c.hold(t, startChat(t)))
		})
	}
}

// same fails for what differs and was not decided.
func same(t *testing.T, theirs, ours string) {
	t.Helper()
	rest, unused := judge(compare(theirs, ours), decisions())
	for _, d := range rest {
		assert.Fail(t, "not decided", "%s", d)
	}
	assert.Empty(t, unused, "decided, but it does not differ")
}

// What is compared is compared.
func TestJudge(t *testing.T) {
	theirs := "# 1\nann < x\nann < y\n# 2\nbob < z\n# connects\n"
	one := []decided{{row: "a", theirs: "z", ours: "w"}}
	for name, c := range map[string]struct {
		ours    string
		decided []decided
		rest    string
		unused  int
	}{
		"the same":                 {theirs, nil, "", 0},
		"a decision too many":      {theirs, one, "", 1},
		"a decision":               {"# 1\nann < x\nann < y\n# 2\nbob < w\n# connects\n", one, "", 0},
		"not to the same":          {"# 1\nann < x\nann < y\n# 2\nann < w\n# connects\n", one, "# 2\ntheirs bob < z\nours   ann < w", 1},
		"one line is missing":      {"# 1\nann < x\n# 2\nbob < z\n# connects\n", nil, "# 1\ntheirs ann < y", 0},
		"one line is there twice":  {"# 1\nann < x\nann < x\nann < y\n# 2\nbob < z\n# connects\n", nil, "# 1\nours   ann < x", 0},
		"a step is missing":        {"# 1\nann < x\nann < y\n# connects\n", nil, "# 2\ntheirs bob < z", 0},
		"another connect":          {theirs + "ann > c\n", nil, "# connects\nours   ann > c", 0},
		"a step that is ours only": {theirs + "# 4\nann > c\n", nil, "# 4\nours   ann > c", 0},
	} {
		rest, unused := judge(compare(theirs, c.ours), c.decided)
		var lines []string
		for _, d := range rest {
			lines = append(lines, d.String())
		}
		require.Equal(t, c.rest, strings.Join(lines, "\n"), name)
		require.Len(t, unused, c.unused, name)
	}
}
