package peers

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	require.Equal(t, []string{"halley", "cometd8", "cometd7", "cometd-nodejs", "faye", "axum"}, Names())
	for _, name := range Names() {
		require.NotEmpty(t, Version(name), name)
		require.Contains(t, Transports(name), "long-polling", name)
	}
	require.Equal(t, []string{"floor-ws", "floor-http", "gws", "centrifuge"}, Targets())
	for _, name := range Targets() {
		require.NotEmpty(t, Version(name), name)
		require.Len(t, Transports(name), 1, name)
	}
	require.Equal(t, "bayeux", Protocol("gws"))
	require.Equal(t, "centrifuge", Protocol("centrifuge"))
	require.True(t, AppendsType("axum"))
	require.False(t, AppendsType("cometd8"))
	require.Empty(t, Version("nobody"))
	require.Empty(t, Transports("nobody"))
	got := Transports("cometd8")
	got[0] = "changed"
	require.Equal(t, "websocket", Transports("cometd8")[0])
}

// The versions are those that the build files pin.
func TestVersionsArePinned(t *testing.T) {
	for name, pin := range map[string]struct{ file, text string }{
		"cometd8":       {"java/cometd8/pom.xml", "<cometd.version>%</cometd.version>"},
		"cometd7":       {"java/cometd7/pom.xml", "<cometd.version>%</cometd.version>"},
		"cometd-nodejs": {"js/package.json", `"cometd-nodejs-server": "%"`},
		"faye":          {"js/package.json", `"faye": "%"`},
		"axum":          {"rust/Cargo.toml", `axum-cometd = "=%"`},
		"gws":           {"gws/go.mod", "github.com/lxzan/gws v%\n"},
		"centrifuge":    {"centrifuge/go.mod", "github.com/centrifugal/centrifuge v%\n"},
	} {
		text, err := os.ReadFile(pin.file)
		require.NoError(t, err)
		require.Contains(t, string(text), strings.Replace(pin.text, "%", Version(name), 1), name)
	}
}

func TestLaunch(t *testing.T) {
	options := map[string]string{"port": "8080", "b": "2", "a": "1=1"}
	l, err := newLaunch(options)
	require.NoError(t, err)
	require.Equal(t, "8080", l.port)
	require.Equal(t, []string{"a=1=1", "b=2"}, l.pairs())
	require.Len(t, options, 3, "the caller's map stays as it is")
	require.FileExists(t, filepath.Join(l.root, "internal", "peers", "peers_test.go"))

	l, err = newLaunch(nil)
	require.NoError(t, err)
	require.Equal(t, "0", l.port)
	for _, port := range []string{"-1", "65536", "http", "8080/../x"} {
		_, err := newLaunch(map[string]string{"port": port})
		require.ErrorContains(t, err, "port=")
	}
}

func TestRootIsRequired(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := newLaunch(nil)
	require.ErrorContains(t, err, "part of the source tree")
	_, err = Start(t.Context(), "halley", nil)
	require.ErrorContains(t, err, "start the peer halley: ")
}

func TestCommandLines(t *testing.T) {
	line := func(name string, options map[string]string) string {
		p, err := find(name)
		require.NoError(t, err)
		l, err := newLaunch(options)
		require.NoError(t, err)
		args, err := p.command(t.Context(), l)
		require.NoError(t, err)
		return strings.Join(args, " ")
	}
	require.Equal(t, "java -Xmx512m -Xshare:auto -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "+
		"target/classes"+string(os.PathListSeparator)+"target/lib/* peers.CometD8 0 timeout=1000",
		line("cometd8", map[string]string{"timeout": "1000"}))
	require.Contains(t, line("cometd7", map[string]string{"jvm": "benchmark"}), "java -Xms1g -Xmx4g -cp")
	require.Contains(t, line("cometd7", map[string]string{"jvm": "-Xmx1g -Xint"}), "java -Xmx1g -Xint -cp")
	require.Equal(t, "node faye.mjs 81 a=b", line("faye", map[string]string{"port": "81", "a": "b"}))
	require.Equal(t, "target/release/axum-cometd-peer 0", line("axum", nil))
	require.Equal(t, "/x serve --posture cometd --listen 127.0.0.1:0 --set timeout=1",
		line("halley", map[string]string{"program": "/x", "timeout": "1", "fixtures": "false"}))
	require.Equal(t, "/x serve --posture cometd --listen 127.0.0.1:0 --extension ack=false",
		line("halley", map[string]string{"program": "/x", "ack": "false"}))
	require.Equal(t, "/x serve --posture cometd --listen 127.0.0.1:0 --extension timestamp.format=cometd --extension activity.mode=client-server --extension activity.period=500ms",
		line("halley", map[string]string{"program": "/x", "timestamp": "true", "binary": "true", "activity": "server:500"}))

	require.Equal(t, "/x serve --posture strict --listen 127.0.0.1:0 --limit batch=7 --set timeout=1",
		line("halley", map[string]string{"program": "/x", "posture": "strict", "timeout": "1", "limits.batch": "7"}))
	require.Equal(t, "/x serve --posture cometd --listen 127.0.0.1:0 --park=false",
		line("halley", map[string]string{"program": "/x", "park": "false"}))

	require.Equal(t, "./floor websocket 0 coalesce=true", line("floor-ws", map[string]string{"coalesce": "true"}))
	require.Equal(t, "./floor long-polling 0", line("floor-http", nil))

	_, err := jvmFlags("fast")
	require.ErrorContains(t, err, `jvm="fast"`)
	_, err = find("cometd9")
	require.ErrorContains(t, err, "there are halley, cometd8")
	l, err := newLaunch(map[string]string{"fixtures": "maybe"})
	require.NoError(t, err)
	_, err = halley(t.Context(), l)
	require.ErrorContains(t, err, "option fixtures")
}

// With tls=true our server gets a certificate and its key, which go with it.
func TestCertificate(t *testing.T) {
	l, err := newLaunch(map[string]string{"program": "/x", "tls": "true"})
	require.NoError(t, err)
	args, err := halley(t.Context(), l)
	require.NoError(t, err)
	require.Equal(t, []string{"/x", "serve", "--posture", "cometd", "--listen", "127.0.0.1:0", "--tls-cert", args[7], "--tls-key", args[9]}, args)
	pair, err := tls.LoadX509KeyPair(args[7], args[9])
	require.NoError(t, err)
	require.NoError(t, pair.Leaf.VerifyHostname("127.0.0.1"))
	l.cleanup()
	require.NoDirExists(t, filepath.Dir(args[7]))
}

func TestAnnounced(t *testing.T) {
	for line, want := range map[string]string{
		"listening http://127.0.0.1:1/cometd": "http://127.0.0.1:1/cometd",
		"listening 8080":                      "",
		"not listening http://127.0.0.1:1":    "",
		"":                                    "",
	} {
		url, ok := announced(line)
		require.Equal(t, want != "", ok, line)
		if ok {
			require.Equal(t, want, url)
		}
	}
	url, ok := halleyAnnounced(`{"level":"info","address":"127.0.0.1:8080","path":"/cometd","message":"listening"}`)
	require.True(t, ok)
	require.Equal(t, "http://127.0.0.1:8080/cometd", url)
	url, ok = halleyAnnounced(`{"level":"info","address":"127.0.0.1:8080","path":"/cometd","tls":true,"message":"listening"}`)
	require.True(t, ok)
	require.Equal(t, "https://127.0.0.1:8080/cometd", url)
	for _, line := range []string{`{"message":"admin listening","address":"127.0.0.1:1"}`, "listening", ""} {
		_, ok = halleyAnnounced(line)
		require.False(t, ok, line)
	}
}

func TestOutput(t *testing.T) {
	var log strings.Builder
	o := newOutput(nil, &log)
	for _, part := range []string{"one\nlisten", "ing http://h/c", "ometd\r\nlistening http://other\n"} {
		n, err := o.Write([]byte(part))
		require.NoError(t, err)
		require.Len(t, part, n)
	}
	require.Equal(t, "http://h/cometd", <-o.url)
	require.Empty(t, o.url, "the first line counts")
	require.Equal(t, "one\nlistening http://h/cometd\r\nlistening http://other\n", log.String())
	require.Equal(t, log.String(), o.String())
}

// What is kept is bounded, and a line without an end is no reason to miss the
// next.
func TestOutputIsBounded(t *testing.T) {
	o := newOutput(nil, nil)
	long := []byte(strings.Repeat("x", 10_000))
	for range 20 {
		_, _ = o.Write(long)
		require.LessOrEqual(t, len(o.line), keepLine)
	}
	require.Len(t, o.String(), keepOutput)
	_, _ = o.Write([]byte("\nlistening http://h\n"))
	require.Equal(t, "http://h", <-o.url)
}
