package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// groups are the groups of rules of WIRE 1 to 9a.
const groups = "MSG HS ID ERR CN AD MC EX DC SB PB DL OUT HT LP JP WS ACK"

// ruleList returns the rules of a list of internal/archtest.
func ruleList(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "archtest", "testdata", name))
	require.NoError(t, err)
	return strings.Fields(string(text))
}

// TestEachRuleIsBroken checks that each rule of WIRE 1 to 9a, whatever its
// tag, is broken by a fault or has the reason why it is not.
func TestEachRuleIsBroken(t *testing.T) {
	rules := ruleList(t, "rules.txt")
	broken, excused := ByRule(), Untestable()
	checked := 0
	for _, rule := range rules {
		group := strings.Split(rule, "-")[1]
		if !slices.Contains(strings.Fields(groups), group) {
			continue
		}
		checked++
		_, excuse := excused[rule]
		assert.NotEqual(t, len(broken[rule]) > 0, excuse, "%s: faults %v, a reason for none: %t", rule, broken[rule], excuse)
	}
	require.Greater(t, checked, 200, "the list of rules has shrunk")
	known := append(rules, ruleList(t, "later.txt")...)
	for rule := range broken {
		assert.Contains(t, known, rule, "the faults %v break a rule that does not exist", broken[rule])
	}
	for rule, reason := range excused {
		assert.Contains(t, known, rule)
		assert.Greater(t, len(strings.Fields(reason)), 4, "%s needs a reason", rule)
	}
}

// TestFaultsAreDescribed checks what a table of faults relies on.
func TestFaultsAreDescribed(t *testing.T) {
	id := regexp.MustCompile(`^F-[A-Z]{2,3}-\d\d$`)
	all := All()
	require.GreaterOrEqual(t, len(all), 130)
	ids, texts := map[string]bool{}, map[string]bool{}
	for _, f := range all {
		assert.Regexp(t, id, f.ID)
		assert.False(t, ids[f.ID], "%s is there twice", f.ID)
		ids[f.ID] = true
		what := f.Text + strings.Join(f.Transports, " ")
		assert.False(t, texts[what], "%s: another fault has its text", f.ID)
		texts[what] = true
		assert.True(t, strings.HasSuffix(f.Text, ".") && len(f.Text) < 200, "%s: %s", f.ID, f.Text)
		assert.NotEmpty(t, f.Rules, f.ID)
		assert.NotEmpty(t, f.Transports, f.ID)
		for _, transport := range f.Transports {
			assert.Contains(t, everywhere(), transport, f.ID)
			assert.True(t, f.ActsOn(transport))
		}
	}
	require.Len(t, Describe(), len(all))
	text, err := json.Marshal(Describe()[0])
	require.NoError(t, err)
	require.Contains(t, string(text), `"id":"F-MSG-01","rules":["R-MSG-1"]`)
	_, ok := Find("F-XX-01")
	require.False(t, ok)
}

// TestServerFaultsSaySo checks that a fault which a proxy alone can make is
// not said to need the server, and the other way round.
func TestServerFaultsSaySo(t *testing.T) {
	for _, f := range All() {
		h := f.make(Options{}.withDefaults())
		require.Equal(t, h.config != nil || h.attach != nil, f.Server, f.ID)
	}
	f, _ := Find("F-MC-01")
	require.True(t, f.Server)
}
