package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/conformance/suite"
)

func TestDifferences(t *testing.T) {
	first := verdicts(sample())
	require.Equal(t, suite.Fail, first["BX-HS-02 on websocket"])
	again := sample()
	require.Empty(t, differences(first, verdicts(again)))
	again.Results[0].Verdict = suite.Fail
	again.Results[2].Transport = "callback-polling"
	require.Equal(t, []string{
		"BX-HS-01 on long-polling: fail, was pass",
		"BX-HS-02 on callback-polling: fail, was not there",
		"BX-HS-02 on websocket: , was fail",
	}, differences(first, verdicts(again)))
}

func TestBusy(t *testing.T) {
	stop, err := busy(t.Context(), 2)
	require.NoError(t, err)
	stop()
	stop()
}
