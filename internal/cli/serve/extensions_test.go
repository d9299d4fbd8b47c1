package serve

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/extensions/activity"
	"github.com/halleypush/halley/extensions/timestamp"
)

// A client of the program has the extensions that it asks for, and no others
// unless the operator says so.
func TestExtensionsServe(t *testing.T) {
	const ask = `[{"channel":"/meta/handshake","ext":{"ack":true,"timesync":{"tc":1}}}]`
	for name, c := range map[string]struct {
		args    []string
		has     []string
		hasNone []string
	}{
		"default":   {nil, []string{`"ack":true`, `"timesync":{"tc":1,"ts":`}, []string{`"timestamp"`}},
		"none":      {[]string{"--extension", "ack=false", "--extension", "timesync=false"}, nil, []string{`"ext"`}},
		"timestamp": {[]string{"--extension", "timestamp.format=http"}, []string{` GMT"`, `"ack":true`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parse(t, c.args...).Load(lookup())
			require.NoError(t, err)
			engine, err := buildEngine(s.config(zerolog.Nop()))
			require.NoError(t, err)
			defer func() { require.NoError(t, engine.Shutdown(t.Context())) }()
			w := httptest.NewRecorder()
			engine.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(ask)))
			require.Contains(t, w.Body.String(), `"successful":true`)
			for _, text := range c.has {
				require.Contains(t, w.Body.String(), text)
			}
			for _, text := range c.hasNone {
				require.NotContains(t, w.Body.String(), text)
			}
		})
	}
}

// Each setting arrives at its extension.
func TestExtensionsBuild(t *testing.T) {
	load := func(pairs ...string) Extensions {
		t.Helper()
		var args []string
		for _, p := range pairs {
			args = append(args, "--extension", p)
		}
		s, err := parse(t, args...).Load(lookup())
		require.NoError(t, err)
		return s.Extensions
	}
	require.Len(t, load().build(), 2)
	require.Empty(t, load("ack=false", "timesync=0").build())
	x := load("activity.mode=client-server", "activity.period=1m")
	require.Equal(t, activity.Rule{Mode: activity.ClientServer, Period: time.Minute}, x.Activity)
	require.Len(t, x.build(), 3)
	require.Len(t, load("activity.mode=client", "activity.mode=off", "activity.period=1m").build(), 2, "the last one counts")
	require.Len(t, load("timestamp.format=off").build(), 2)
	for name, format := range map[string]string{"cometd": timestamp.CometD, "iso8601": timestamp.ISO8601, "http": timestamp.HTTP} {
		x := load("timestamp.format=" + name)
		require.Equal(t, format, x.Timestamp)
		require.Len(t, x.build(), 3)
	}
}
