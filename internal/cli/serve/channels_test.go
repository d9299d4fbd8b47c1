package serve

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// Properties of channels come from flags, environment and file, in this order.
func TestChannels(t *testing.T) {
	path := file(t, "channels:\n  /stock/**:\n    slowConsumer: conflate\n    lazy: true\n    lazyTimeout: 500\n"+
		"  /chat/*: {slowConsumer: disconnect, broadcastToPublisher: false}\n  /a.b.lazy: true\n")
	c := parse(t, "--config", path, "--channel", "/stock/**.lazyTimeout=2s")
	s, err := c.Load(lookup("HALLEY_CHANNEL", "/stock/**.lazy=false;/c.lazy=true"))
	require.NoError(t, err)
	require.Equal(t, map[string]server.ChannelOptions{
		"/stock/**": {SlowConsumer: bayeux.SlowConflate, LazyTimeout: 2 * time.Second},
		"/chat/*":   {SlowConsumer: bayeux.SlowDisconnect, NoBroadcastToPublisher: true},
		"/a.b":      {Lazy: true},
		"/c":        {Lazy: true},
	}, s.Channels)
	require.Contains(t, s.shown, shown{"channels./stock/**.lazyTimeout", "2s", "maxLazyTimeout", "flag --channel"})
	require.Contains(t, s.shown, shown{"channels./c.lazy", "true", "false", "env HALLEY_CHANNEL"})

	var out bytes.Buffer
	c.CheckConfig = true
	require.NoError(t, c.Run(t.Context(), Env{Stdout: &out, Lookup: lookup()}))
	require.Equal(t, "ok\n", out.String())
}

func TestWrongChannels(t *testing.T) {
	for pair, want := range map[string]string{
		"/a":                       "want NAME=VALUE",
		"/a=true":                  "a dot and a property",
		"a.lazy=true":              "a dot and a property",
		"/a/**/b.lazy=true":        "/a/**/b",
		"/a?.lazy=true":            "/a?",
		"/a.lasy=true":             `property "lasy" is unknown; the nearest is "lazy"`,
		"/a.lazy=perhaps":          "want true or false",
		"/a.lazyTimeout=soon":      "want milliseconds",
		"/a.lazyTimeout=-1":        "want milliseconds",
		"/a.slowConsumer=drop-all": `want disconnect or drop-oldest or drop-newest or conflate; the nearest is "drop-oldest"`,
	} {
		_, err := parse(t, "--channel", pair).Load(lookup())
		require.ErrorContains(t, err, want, pair)
	}
	_, err := parse(t, "--config", file(t, "channels:\n  /a: [1]\n")).Load(lookup())
	require.Error(t, err)
}
