package main

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func folder() fstest.MapFS {
	return fstest.MapFS{
		"b.json": {Data: []byte(`[{"client":"later","version":"2","transport":"websocket","ack":false,"results":[
			{"scenario":"own","outcome":"failed"},{"scenario":"handshake","outcome":"not reached"}]}]`)},
		"a.json": {Data: []byte(`[{"client":"first","version":"1","transport":"long-polling","ack":true,"results":[
			{"scenario":"batch","outcome":"not possible","reason":"has no batch"},{"scenario":"handshake","outcome":"passed"}]},
			{"client":"first","version":"1","transport":"websocket","ack":false,"results":[
			{"scenario":"batch","outcome":"not possible","reason":"has no batch"},{"scenario":"handshake","outcome":"passed"}]}]`)},
		"notes.txt": {Data: []byte("no result")},
	}
}

func TestRender(t *testing.T) {
	rows, err := readAll(folder())
	require.NoError(t, err)
	text := render(rows)
	_, table, found := strings.Cut(text, "\n| client")
	require.True(t, found)
	require.Equal(t, ` | version | transport | ack | handshake | batch | own |
|---|---|---|---|---|---|---|
| first | 1 | long-polling | yes | ✓ | 1 |  |
| first | 1 | websocket | no | ✓ | 1 |  |
| later | 2 | websocket | no | – |  | ✗ |

1. first has no batch.
`, table)
	require.Contains(t, text, "- **batch**:")
	require.NotContains(t, text, "- **cuts**:", "only what the table names is explained")
	require.Equal(t, text, render(rows), "the same results give the same text")
}

func TestReadAllRefuses(t *testing.T) {
	_, err := readAll(fstest.MapFS{})
	require.EqualError(t, err, "there are no results")
	_, err = readAll(fstest.MapFS{"x.json": {Data: []byte(`{`)}})
	require.ErrorContains(t, err, "x.json")
}

func TestProxies(t *testing.T) {
	all, err := readProxies(folder())
	require.NoError(t, err)
	require.Empty(t, renderProxies(all), "none were seen")
	all, err = readProxies(fstest.MapFS{"proxies/proxies.json": {Data: []byte(`[
		{"proxy":"one","version":"1.2.3","recipe":"one.conf","passed":true},{"proxy":"two","version":"2","recipe":"two.cfg","passed":false}]`)}})
	require.NoError(t, err)
	require.Contains(t, renderProxies(all), `
| one | 1.2.3 | [one.conf](recipes/one.conf) | ✓ |
| two | 2 | [two.cfg](recipes/two.cfg) | ✗ |
`)
	_, err = readProxies(fstest.MapFS{"proxies/proxies.json": {Data: []byte(`{`)}})
	require.ErrorContains(t, err, "proxies.json")
}
