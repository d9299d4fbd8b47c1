package faults

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// check shows that a fault acts: what clients see in a script without it and
// with it. lost is a regular expression that matches the first only, gained
// one that matches the second only; at least one of them is given. Lines of
// what is seen begin with the client and the time in ms.
type check struct {
	fault        string
	run          script
	lost, gained string
}

func checks() []check {
	return slices.Concat(messageChecks(), handshakeChecks(), identityChecks(), connectChecks(), adviceChecks(), expiryChecks(),
		subscribeChecks(), publishChecks(), deliveryChecks(), httpChecks(), callbackChecks(), webSocketChecks(), ackChecks(), timesyncChecks())
}

// TestFaultsAct checks each fault on each transport where it is said to act;
// a short run takes one of them for each fault, not the same for all.
func TestFaultsAct(t *testing.T) {
	done := map[string]bool{}
	for i, c := range checks() {
		f, ok := Find(c.fault)
		require.True(t, ok, "there is no fault %s", c.fault)
		require.True(t, c.lost != "" || c.gained != "", "%s: a check needs an expectation", c.fault)
		done[c.fault] = true
		t.Run(c.fault, func(t *testing.T) {
			on := f.Transports
			if testing.Short() {
				on = []string{on[i%len(on)]}
			}
			for _, on := range on {
				t.Run(on, func(t *testing.T) {
					t.Parallel()
					c.verify(t, f, on)
				})
			}
		})
	}
	for _, f := range All() {
		require.True(t, done[f.ID], "%s has no check", f.ID)
	}
}

func (c check) verify(t *testing.T, f Fault, on string) {
	t.Helper()
	clean := play(t, Fault{}, on, false, c.run)
	wrong := play(t, f, on, false, c.run)
	for pattern, in := range map[string][2]string{c.lost: {clean, wrong}, c.gained: {wrong, clean}} {
		if pattern == "" {
			continue
		}
		re := regexp.MustCompile(`(?m)` + pattern)
		if !re.MatchString(in[0]) || re.MatchString(in[1]) {
			t.Fatalf("%s on %s: %s\nshould match only %s\n\nwithout the fault:\n%s\n\nwith it:\n%s", f.ID, on, pattern,
				map[bool]string{true: "without it", false: "with it"}[in[0] == clean], clean, wrong)
		}
	}
}
