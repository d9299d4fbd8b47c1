package serve

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

// FuzzOptions reads arbitrary files and --set values: they are refused with a
// reason and a source, or every option of the result is a valid one and can be
// printed.
func FuzzOptions(f *testing.F) {
	f.Add([]byte("options:\n  timeout: 1\n  ws: {timeout: 2s}\nlimits: {batch: 3}\n"), "interval=5", "depth=4")
	f.Add([]byte("listen: [localhost:0, 'tcp://[::1]:0?proxy=v1']\ntrustedProxies: 10.0.0.0/8\n"), "ws.enableExtension.a=true", "")
	f.Add([]byte("extensions:\n  ack: false\n  activity: {mode: client, period: 1m}\n"), "timeout=1", "depth=4")
	f.Add([]byte("a: &a [*a]\n<<: *b\n? {}\n: |\n  x\n"), "=", "=")
	f.Add([]byte("options: {a: {b: {c: {d: {e: {f: 1}}}}}}"), "timeout=99999999999999999999", "clientTimeout=-1")
	f.Add([]byte("permissions:\n  - allow: [subscribe]\n    who: group:x\n    channels: ['/a/{b}/**', /c]\n  - {deny: publish, who-all: user:y, channels: /**}\n"), "", "")
	f.Add([]byte("permissions: {token-grants: false, rules: [{allow: handshake, who: 1}]}"), "", "")
	f.Add([]byte("%YAML 1.2\n---\n!!str path: !!binary aa\n...\n--- [\n"), "browserCookieName=\x00", "batch=0x10")
	f.Fuzz(func(t *testing.T, text []byte, set, limit string) {
		parsed, err := parseFile("halley.yaml", text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		if l := parsed.permissions; l != nil {
			if _, err := l.compile(); err != nil {
				require.ErrorAs(t, err, new(*UsageError))
			}
		}
		c := Command{Set: []string{set}, Limit: []string{limit}}
		s := &Settings{Options: server.Options{}}
		if err := s.loadOptions(&c, lookup(), parsed); err != nil {
			require.ErrorAs(t, err, new(*UsageError))
			return
		}
		require.NoError(t, s.Options.Check())
		if err := s.loadLimits(&c, lookup(), parsed); err != nil {
			require.ErrorAs(t, err, new(*UsageError))
			return
		}
		if err := s.loadExtensions(&c, lookup(), parsed); err != nil {
			require.ErrorAs(t, err, new(*UsageError))
			return
		}
		s.Extensions.build()
		for _, flag := range flagTable() {
			values, source := c.resolve(flag, lookup(), parsed)
			require.NotEmpty(t, source)
			_ = flag.apply(s, values)
		}
		require.NoError(t, s.print(&bytes.Buffer{}, "text"))
	})
}
