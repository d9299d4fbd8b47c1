package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/clientcases"
	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/suite"
)

// inProcess is our client without a process of its own.
func inProcess() clientmode.Client {
	return clientmode.Client{Start: func(_ context.Context, j clientmode.Job, tell func(clientmode.Event)) (func(), error) {
		return start(job{
			Client: j.Client, URL: j.URL, Transport: j.Transport, Ack: j.Ack, NetworkDelay: j.NetworkDelay.Milliseconds(),
			Backoff: j.Backoff.Milliseconds(), MaxBackoff: j.MaxBackoff.Milliseconds(),
		}, func(e event) {
			tell(clientmode.Event{Kind: clientmode.EventKind(e.Kind), Channel: e.Channel, Data: e.Data, OK: e.OK, Error: e.Error})
		})
	}}
}

// jobs is how many cases run side by side. With many more a busy machine is late
// for the client's network delay, which then rightly tries again.
const jobs = 40

// TestClient runs all cases on our own client: nothing fails, and nothing is
// less than strict.
func TestClient(t *testing.T) {
	rep, err := clientmode.Run(t.Context(), clientcases.Sections(), clientmode.Options{Client: inProcess(), Name: "Halley", Profile: "cometd", Jobs: jobs})
	require.NoError(t, err)
	for _, res := range rep.Results {
		if res.Verdict != suite.Pass && res.Verdict != suite.Info {
			t.Errorf("%s %s: %s: %s: %v", res.ID, res.Transport, res.Verdict, res.Title, res.Notes)
		}
	}
	require.Zero(t, rep.Summary.Skipped)
	t.Logf("%+v in %v ms", rep.Summary, rep.DurationMs)
}
