package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/internal/faults"
)

func TestMain(m *testing.M) {
	if err := os.Chdir(filepath.Join("..", "..")); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// TestRun judges a fault of each kind by a few cases.
func TestRun(t *testing.T) {
	var log bytes.Buffer
	out := filepath.Join(t.TempDir(), "out.json")
	ids := []string{faults.All()[0].ID, faults.All()[1].ID}
	require.NoError(t, run(t.Context(), &log, settings{out: out, jobs: 2, ids: ids, only: "BX-MS-01"}), log.String())
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	var all []outcome
	require.NoError(t, json.Unmarshal(text, &all))
	require.Len(t, all, 2)
	for i, o := range all {
		require.Equal(t, ids[i], o.ID)
		require.Empty(t, o.Error)
	}
	require.ErrorContains(t, run(t.Context(), &log, settings{out: out, jobs: 1, ids: []string{"F-NO-01"}}), `no fault "F-NO-01"`)
}

// TestReport says what is enough, and keeps what an earlier run found.
func TestReport(t *testing.T) {
	var log bytes.Buffer
	s := settings{out: filepath.Join(t.TempDir(), "out.json"), least: 95}
	one := outcome{Description: faults.Description{ID: "F-A-01"}, Found: true}
	two := outcome{Description: faults.Description{ID: "F-A-02"}}
	require.ErrorContains(t, s.report(&log, []outcome{one, two}), "50.0 % is less than 95 %")
	two.Found, s.keep = true, true
	require.NoError(t, s.report(&log, []outcome{two, {Description: faults.Description{ID: "F-A-03"}, Found: true}}))
	text, err := os.ReadFile(s.out)
	require.NoError(t, err)
	var all []outcome
	require.NoError(t, json.Unmarshal(text, &all))
	require.Len(t, all, 3)
	for i, o := range all {
		require.Equal(t, fmt.Sprintf("F-A-%02d", i+1), o.ID)
		require.True(t, o.Found)
	}
}

// TestOneThatBreaksAll is about a fault that no session survives.
func TestOneThatBreaksAll(t *testing.T) {
	require.Equal(t, []string{"BX-A-1", "BX-A-2"}, distinct([]string{"BX-A-1 websocket", "BX-A-1 long-polling", unusable, "BX-A-2 websocket", "BX-A-3 websocket"}, 2))
	require.Nil(t, distinct([]string{unusable}, 5), "then all cases run again")
}

func TestDocument(t *testing.T) {
	text := string(document([]outcome{
		{Description: faults.Description{ID: "F-A-01", Rules: []string{"R-X-1"}, Text: "is wrong | so", Transports: []string{"websocket"}}, Found: true, Cases: []string{"BX-HS-01 websocket", "BX-HS-01 long-polling", "BX-HS-02 websocket", "BX-HS-03 websocket", "BX-HS-04 websocket"}},
		{Description: faults.Description{ID: "F-A-02"}},
		{Description: faults.Description{ID: "F-A-03"}, Error: "no room"},
	}))
	require.Contains(t, text, "1 of 3 faults were found: **33.3 %**")
	require.Contains(t, text, `| F-A-01 | R-X-1 | is wrong \| so | websocket | BX-HS-01, BX-HS-02, BX-HS-03 and 1 more |`)
	require.Contains(t, text, "**nothing**")
	require.Contains(t, text, "error: no room")
	require.NotContains(t, text, "| BX-HS-01 | MUST |", "a case that found something is not idle")
	require.Contains(t, text, "| BX-HS-05 | MUST |")
}
