package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/peers/floors"
)

func TestParse(t *testing.T) {
	cfg, err := parse([]string{"websocket", "8080", "coalesce=true", "timeout=1500"})
	require.NoError(t, err)
	require.Equal(t, floors.Config{Protocol: floors.WebSocket, Port: 8080, Coalesce: true, Hold: 1500 * time.Millisecond}, cfg)
	for want, args := range map[string][]string{
		"usage":              {"websocket"},
		`port "http"`:        {"websocket", "http"},
		`coalesce="perhaps"`: {"websocket", "0", "coalesce=perhaps"},
		`timeout="0"`:        {"websocket", "0", "timeout=0"},
		`"colour"`:           {"websocket", "0", "colour=blue"},
	} {
		require.ErrorContains(t, run(args), want)
	}
}
