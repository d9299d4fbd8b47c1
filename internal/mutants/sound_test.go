package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/internal/faults"
)

// TestSound runs the whole suite, the cases that need fixtures included, against
// a server without a fault: it finds none, and skips nothing. In a short run
// it is a part of the suite, with fixtures of each kind. Sessions live as long
// as CometD's, for those of a slow machine rest between their messages.
func TestSound(t *testing.T) {
	var only []string
	least := 1000
	if testing.Short() {
		only, least = []string{"BX-SV-*", "BX-HS-0?", "BX-TS-0?"}, 50
	}
	r, err := try(t.Context(), faults.Fault{}, 10*time.Second, only, nil)
	require.NoError(t, err)
	for _, p := range r.Probes {
		if p.Outcome != suite.Pass {
			t.Logf("%s on %s: %s, %v", p.ID, p.Transport, p.Outcome, p.Notes)
		}
	}
	require.Greater(t, r.Summary.Pass, least)
	for _, res := range r.Results {
		if res.Transport == suite.ES.String() {
			continue // Faye's
		}
		if res.Verdict != suite.Pass && res.Verdict != suite.Info {
			t.Errorf("%s on %s: %s, %v", res.ID, res.Transport, res.Verdict, res.Notes)
		}
	}
}
