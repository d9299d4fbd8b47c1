package attacks

import (
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

var update = flag.Bool("update", false, "write the list of attacks into docs/SECURITY.md")

// end is how an attack ends: with success for the attacker or not, and what he
// sees.
type end struct {
	succeeds bool
	sees     string
}

func fails(sees string) end    { return end{false, sees} }
func succeeds(sees string) end { return end{true, sees} }

func (e end) String() string {
	if e.succeeds {
		return "**succeeds**: " + e.sees
	}
	return "fails: " + e.sees
}

// attack is something that is tried against push servers.
type attack struct {
	name string
	// source is where it is known from; how says what the attacker does.
	source, how string
	// cometd and strict are how it ends in these postures.
	cometd, strict end
	// run tries it and says how it ended.
	run func(t *testing.T, g *target) end
}

// expected is how the attack ends in a posture.
func (a attack) expected(posture string) end {
	if posture == "strict" {
		return a.strict
	}
	return a.cometd
}

// group is attacks on servers of one configuration.
type group struct {
	name    string
	config  string
	args    []string
	attacks []attack
	// patient attacks take the server's own time, up to a minute: they run side
	// by side, and not among the quick tests.
	patient bool
}

func groups() []group {
	return []group{webGroup(), sessionGroup(), boundGroup(), channelGroup(), permissionGroup(), tokenGroup(), proxyGroup(), floodGroup(), operatorGroup(), slowGroup()}
}

// Each attack ends in each posture as docs/SECURITY.md says.
func TestAttacks(t *testing.T) {
	for _, posture := range []string{"cometd", "strict"} {
		for _, p := range groups() {
			if p.patient && testing.Short() {
				continue
			}
			t.Run(posture+"/"+p.name, func(t *testing.T) {
				if p.patient {
					t.Parallel()
				}
				for _, a := range p.attacks {
					t.Run(a.name, func(t *testing.T) {
						if p.patient {
							t.Parallel()
						}
						g := open(t, posture, p.config, p.args...)
						require.Equal(t, a.expected(posture), a.run(t, g), "log:\n%s", g.logs)
					})
				}
			})
		}
	}
}

// The list in docs/SECURITY.md is that of the tests.
func TestDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("| attack | known from | in `cometd` | in `strict` |\n|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, p := range groups() {
		for _, a := range p.attacks {
			require.False(t, seen[a.name], a.name)
			seen[a.name] = true
			b.WriteString(testkit.Row("`"+p.name+"/"+a.name+"`: "+a.how, a.source, a.cometd.String(), a.strict.String()))
		}
	}
	testkit.Tables(t, "../../docs/SECURITY.md", *update, "make docs writes it", map[string]string{"attacks": b.String()})
}
