package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// read returns a list: rules.txt holds the rules that the code must keep,
// later.txt those of features to come, which may be named early,
// exceptions.txt those that no code can keep, each with its reason.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

// tags finds rules in square brackets: one, or several separated by commas.
func tags(text []byte) []string {
	var all []string
	for _, group := range regexp.MustCompile(`\[(R-[A-Z]+-[0-9]+[a-z]?(?:,\s*R-[A-Z]+-[0-9]+[a-z]?)*)\]`).FindAllSubmatch(text, -1) {
		for tag := range strings.SplitSeq(string(group[1]), ",") {
			all = append(all, strings.TrimSpace(tag))
		}
	}
	return all
}

// excused reads the exceptions: a rule and its reason on each line.
func excused(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(read(t, "exceptions.txt")) {
		rule, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
		if rule == "" || strings.HasPrefix(rule, "#") {
			continue
		}
		require.Greater(t, len(strings.Fields(reason)), 3, "%s: an exception needs a reason", rule)
		all[rule] = reason
	}
	return all
}

// TestRulesHaveTags checks that each rule is found by its tag in the code and
// in a test, and that no tag names a rule that does not exist.
func TestRulesHaveTags(t *testing.T) {
	inCode, inTests := map[string]bool{}, map[string]bool{}
	known := map[string]bool{}
	rules := strings.Fields(read(t, "rules.txt"))
	for _, rule := range slices.Concat(rules, strings.Fields(read(t, "later.txt"))) {
		known[rule] = true
	}
	for _, s := range sources(t) {
		if s.dir() == "internal/archtest" {
			continue
		}
		for _, tag := range tags(s.text) {
			assert.True(t, known[tag], "%s: there is no rule %s", s.name, tag)
			if s.test() {
				inTests[tag] = true
			} else {
				inCode[tag] = true
			}
		}
	}
	excuses := excused(t)
	for _, rule := range rules {
		if _, ok := excuses[rule]; ok {
			assert.False(t, inCode[rule] && inTests[rule], "%s has its tags: the exception is stale", rule)
			delete(excuses, rule)
			continue
		}
		assert.True(t, inCode[rule], "%s: no tag in the code", rule)
		assert.True(t, inTests[rule], "%s: no tag in a test", rule)
	}
	assert.Empty(t, excuses, "exceptions of rules that are not in the list")
}

func TestTags(t *testing.T) {
	require.Equal(t, []string{"R-A-1", "R-BC-22", "R-D-3", "R-E-4a"}, tags([]byte("x [R-A-1] [R-BC-22, R-D-3]\n// [R-E-4a]")))
	require.Empty(t, tags([]byte("R-A-1 [R-A] [r-a-1] [R-A-1; R-B-2]")))
}
