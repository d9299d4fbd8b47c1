package clientcases

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/suite"
)

// asDriver in the environment makes the test's program a driver of the plain
// client.
const asDriver = "HALLEY_TEST_DRIVER"

func TestMain(m *testing.M) {
	if how := os.Getenv(asDriver); how != "" {
		drive(how)
		return
	}
	goleak.VerifyTestMain(m)
}

// jobs is how many cases run side by side: most wait most of their time, and yet
// not all may be late on a busy machine.
const jobs = 40

func run(t *testing.T, f flaw, scale float64, only ...string) (*suite.Report, error) {
	return clientmode.Run(t.Context(), Sections(), clientmode.Options{
		Client: client(f), Name: "plain", Profile: "cometd", Transports: []string{"long-polling"}, Jobs: jobs, Only: only, TimeoutScale: scale,
	})
}

// TestPlain runs all cases on a client without a flaw: they ask for nothing
// that a client of 300 lines cannot do.
func TestPlain(t *testing.T) {
	rep, err := run(t, "", 1)
	require.NoError(t, err)
	require.Greater(t, rep.Summary.Cases, 80)
	for _, res := range rep.Results {
		if res.Outcome != suite.Pass && res.Level != suite.INFO {
			t.Errorf("%s: %s: %s: %v", res.ID, res.Outcome, res.Title, res.Notes)
		}
	}
}

// flawed is a fault of a client and the cases that must see it.
type flawed struct {
	f     flaw
	cases string
}

func (w flawed) see(t *testing.T, scale float64) {
	var ids []string
	for id := range strings.FieldsSeq(w.cases) {
		ids = append(ids, "BX-C-"+id)
	}
	rep, err := run(t, w.f, scale, ids...)
	if err != nil || rep.Summary.Cases != len(ids) {
		t.Errorf("%s: not all of %s ran: %v", w.f, w.cases, err)
		return
	}
	for _, res := range rep.Results {
		assert.Equal(t, suite.Fail, res.Outcome, "%s does not see that the client %s", res.ID, w.f)
	}
}

// quick is the scale of cases that end by waiting in vain.
const quick = 0.4

// TestHaste runs one by one the cases about clients that come too soon or too
// often: on a busy machine they would not.
func TestHaste(t *testing.T) {
	for _, w := range []flawed{
		{"two connects", "BA-05"},
		{"ignores the interval", "AD-07 AD-08 AD-11 AD-12"},
		{"forgets the interval", "AD-08"},
		{"waits too short", "AD-15"},
	} {
		w.see(t, quick)
	}
	flawed{"no pause after a failure", "LO-11 LO-12"}.see(t, 4) // watched until it was too often
}

// TestFlaws runs, for each of many faults of a client, the cases that must
// see it.
func TestFlaws(t *testing.T) {
	var work sync.WaitGroup // not subtests, of which few would run side by side
	for _, w := range []flawed{
		{"no version", "BA-01"},
		{"no connectionType", "BA-04"},
		{"publishes without its clientId", "BA-03"},
		{"one id for all", "BA-06"},
		{"leaves without a word", "BA-08"},
		{"ignores none", "AD-01 AD-02 AD-04"},
		{"asks again after none", "AD-03"},
		{"ignores handshake", "AD-05 SE-01 SE-12"},
		{"keeps its clientId", "SE-01 SE-02"},
		{"gives up at 402", "SE-01 SE-06"},
		{"subscribes once", "SE-01 SE-08 AD-05"},
		{"delivers twice after a new session", "SE-08"},
		{"renews what was given up", "SE-07"},
		{"calls every publish a success", "BA-10 SE-05 LO-17 BO-18"},
		{"no cookies", "SE-09 SE-10 SE-11"},
		{"gives up at a failure", "LO-01 LO-02 LO-03 LO-13 LO-14"},
		{"takes messages in reverse", "OR-01"},
		{"reads no further than the reply", "OR-02"},
		{"acknowledges nothing", "AK-02 AK-03"},
	} {
		work.Go(func() { w.see(t, quick) })
	}
	work.Wait()
}
