package serve

import (
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/activity"
	"github.com/halleypush/halley/extensions/timestamp"
)

func TestDefaults(t *testing.T) {
	s, err := parse(t).Load(lookup())
	require.NoError(t, err)
	require.Equal(t, []Address{{Host: "localhost", Port: "8080"}}, s.Listen)
	require.Equal(t, "/cometd", s.Path)
	require.Equal(t, server.PostureCometD, s.Posture)
	require.Equal(t, defaultExtensions(), s.Extensions)
	require.Zero(t, s.AdminListen)
	require.Empty(t, s.TrustedProxies)
	require.Equal(t, 10*time.Second, s.ShutdownTimeout)
	require.Equal(t, zerolog.InfoLevel, s.LogLevel)
	require.Equal(t, "json", s.LogFormat)
	require.Empty(t, s.Options)
	require.Zero(t, s.Limits)
}

// TestPrecedence takes the same setting from each source and checks that the
// nearest one wins and is named.
func TestPrecedence(t *testing.T) {
	yaml := "path: /file\noptions:\n  timeout: 3\n  ws:\n    timeout: 33\nlimits:\n  batch: 3\n"
	env := []string{"HALLEY_PATH", "/env", "HALLEY_SET", " timeout=2 ; interval=5s;", "HALLEY_LIMIT", "batch=2"}
	flags := []string{"--path=/flag", "--set", "timeout=1", "--limit", "batch=1"}
	tests := []struct {
		name                 string
		flags, env           []string
		file                 bool
		path, timeout, batch string
		source               string
	}{
		{"all", flags, env, true, "/flag", "1", "1", "flag --path"},
		{"environment and file", nil, env, true, "/env", "2", "2", "env HALLEY_PATH"},
		{"file", nil, nil, true, "/file", "3", "3", "halley.yaml:1"},
		{"flags and file", flags, nil, true, "/flag", "1", "1", "flag --path"},
		{"none", nil, nil, false, "/cometd", "20000", "1000", "default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := tt.flags
			if tt.file {
				args = append([]string{"--config", file(t, yaml)}, args...)
			}
			s, err := parse(t, args...).Load(lookup(tt.env...))
			require.NoError(t, err)
			require.Equal(t, tt.path, s.Path)
			require.Equal(t, tt.path, find(t, s, "path").Value)
			require.Equal(t, tt.source, find(t, s, "path").Source)
			require.Equal(t, tt.timeout, find(t, s, "options.timeout").Value)
			require.Equal(t, tt.batch, find(t, s, "limits.batch").Value)
			if tt.file {
				require.Equal(t, "33", s.Options["ws.timeout"], "names that only the file has stay")
				require.Equal(t, shown{"options.ws.timeout", "33", "20000", "halley.yaml:5"}, find(t, s, "options.ws.timeout"))
			}
		})
	}
}

func find(t *testing.T, s *Settings, name string) shown {
	t.Helper()
	for _, line := range s.shown {
		if line.Name == name {
			return line
		}
	}
	require.Fail(t, "no such setting", name)
	return shown{}
}

func TestConfigFromEnvironment(t *testing.T) {
	s, err := parse(t).Load(lookup("HALLEY_CONFIG", file(t, "log-level: debug\n")))
	require.NoError(t, err)
	require.Equal(t, zerolog.DebugLevel, s.LogLevel)
}

func TestFileForms(t *testing.T) {
	s, err := parse(t, "--config", file(t, `
# A comment.
listen:
  - 127.0.0.1:0
  - "tcp://[::1]:0?proxy=v2"
trustedProxies: [10.0.0.0/8, 127.0.0.1]
posture: cometd
extensions:
  ack: false
  timestamp: {format: iso8601}
  activity:
    mode: client-server
    period: 90s
admin-listen: 9090
shutdown-timeout: 3s
log-format: console
options:
  timeout: 4000
  broadcastToPublisher: false
  allowedTransports: [websocket, long-polling]
  ws:
    maxMessageSize: 1000
    enableExtension:
      permessage-deflate: false
  long-polling.json.timeout: "7s"
limits:
  batch: 10
  clientTimeout: 1m
  totalQueueBytes: 8589934592
`)).Load(lookup())
	require.NoError(t, err)
	require.Equal(t, []Address{{Host: "127.0.0.1", Port: "0"}, {Host: "::1", Port: "0", Proxy: "v2"}}, s.Listen)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32")}, s.TrustedProxies)
	require.Equal(t, Extensions{
		Timesync: true, Timestamp: timestamp.ISO8601,
		Watch: true, Activity: activity.Rule{Mode: activity.ClientServer, Period: 90 * time.Second},
	}, s.Extensions)
	require.Equal(t, "127.0.0.1:9090", s.AdminListen.String())
	require.Equal(t, server.Options{
		"timeout": "4000", "broadcastToPublisher": "false", "allowedTransports": "websocket,long-polling",
		"ws.maxMessageSize": "1000", "ws.enableExtension.permessage-deflate": "false", "long-polling.json.timeout": "7s",
	}, s.Options)
	require.Equal(t, 10, s.Limits.Messages.Batch)
	require.Equal(t, time.Minute, s.Limits.ClientTimeout)
	require.Equal(t, int64(8<<30), s.Limits.TotalQueueBytes)
	c := s.config(zerolog.Nop())
	require.Equal(t, s.Limits, c.Limits)
	require.Equal(t, s.TrustedProxies, c.TrustedProxies)
	require.NoError(t, c.Options.Check())
}

func TestEmptyFile(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "options:\nlimits:\nextensions:\n"} {
		_, err := parse(t, "--config", file(t, text)).Load(lookup())
		require.NoError(t, err, text)
	}
}

// TestWrongFiles checks that each error names the key, the mend and the line.
func TestWrongFiles(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"unknown key", "path: /a\nlisten_on: x\n", `halley.yaml:2: key "listen_on" is unknown; the nearest is "listen"`},
		{"unknown option", "options:\n  timeout: 1\n  maxIntervall: 2\n", `halley.yaml:3: option "maxIntervall" is unknown; the nearest is "maxInterval"`},
		{"unknown nested option", "options:\n  ws:\n    timeuot: 1\n", `halley.yaml:3: option "ws.timeuot" is unknown; the nearest is "ws.timeout"`},
		{"unknown limit", "limits:\n  batches: 1\n", `halley.yaml:2: limit "batches" is unknown; the nearest is "batch"`},
		{"option value", "options:\n  timeout: soon\n", `halley.yaml:2: option timeout="soon": want milliseconds, or a duration such as 20s`},
		{"limit value", "limits:\n\n  depth: deep\n", `halley.yaml:3: limit depth="deep": want a whole number below 2^31; -1: no limit`},
		{"flag value", "log-level: noisy\n", `halley.yaml:1: log-level "noisy": want debug or info or warn or error; the nearest is`},
		{"a map for a value", "path:\n  a: b\n", `halley.yaml:1: key "path": want one value`},
		{"a list for a value", "path: [a, b]\n", `halley.yaml:1: key "path": want one value`},
		{"no value", "path:\n", `halley.yaml:1: key "path": want one value`},
		{"a map in a list", "listen:\n  - a:80\n  - {b: c}\n", `halley.yaml:3: key "listen": want a value or a list of values`},
		{"a list of maps as option", "options:\n  allowedTransports: [{a: b}]\n", `halley.yaml:2: options: "allowedTransports" wants a value or a list of values`},
		{"no value of an option", "options:\n  timeout:\n", `halley.yaml:2: options: "timeout" wants a value`},
		{"options as text", "options: timeout\n", `halley.yaml:1: options: want keys with values`},
		{"extensions as a list", "extensions: [ack]\n", `halley.yaml:1: extensions: want keys with values`},
		{"an extension without a value", "extensions:\n  activity:\n    mode:\n", `halley.yaml:3: extensions: "activity.mode" wants a value`},
		{"the file as list", "- a\n- b\n", `the file: want keys with values`},
		{"twice in two spellings", "trusted-proxies: 10.0.0.0/8\ntrustedProxies: 10.0.0.0/8\n", `halley.yaml:2: key "trusted-proxies" stands twice`},
		{"twice by prefix", "options:\n  ws.timeout: 1\n  ws: {timeout: 2}\n", `halley.yaml:3: "ws.timeout" stands twice in options`},
		{"nested too deep", "options: {a: {b: {c: {d: {e: {f: {g: 1}}}}}}}\n", `nested too deep`},
		{"not YAML", "a: [1\n", `halley.yaml: `},
		{"an alias", "path: &p /a\nlog-level: *p\n", `halley.yaml:1: key "path": want one value`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, "--config", file(t, tt.text)).Load(lookup())
			var usage *UsageError
			require.ErrorAs(t, err, &usage)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestWrongSettings(t *testing.T) {
	tests := []struct {
		name      string
		args, env []string
		want      string
	}{
		{"unknown option", []string{"--set", "sweepPeriode=1"}, nil, `flag --set: option "sweepPeriode" is unknown; the nearest is "sweepPeriod"`},
		{"no pair", []string{"--set", "timeout"}, nil, `flag --set: "timeout": want NAME=VALUE`},
		{"no name", []string{"--set", "=1"}, nil, `want NAME=VALUE`},
		{"option in the environment", nil, []string{"HALLEY_SET", "timeout=1;interval=x"}, `env HALLEY_SET: option interval="x": want milliseconds`},
		{"pair in the environment", nil, []string{"HALLEY_SET", "timeout"}, `env HALLEY_SET: "timeout": want NAME=VALUE`},
		{"unknown limit", []string{"--limit", "dept=1"}, nil, `flag --limit: limit "dept" is unknown; the nearest is "depth"`},
		{"limit value", []string{"--limit", "clientInterval=long"}, nil, `limit clientInterval="long": want a duration such as 10m`},
		{"limit too large", []string{"--limit", "batch=3000000000"}, nil, `want a whole number below 2^31`},
		{"total", []string{"--limit", "totalQueueBytes=many"}, nil, `want a whole number of bytes`},
		{"listen", []string{"--listen", "8080"}, nil, `flag --listen: listen "8080": "8080": want HOST:PORT`},
		{"no listen", nil, []string{"HALLEY_LISTEN", " , "}, `env HALLEY_LISTEN: listen " , ": want at least one address`},
		{"path", []string{"--path", "cometd"}, nil, `want a path such as /cometd`},
		{"posture", []string{"--posture", "stict"}, nil, `want cometd or strict; the nearest is "strict"`},
		{"proxies", []string{"--trusted-proxies", "10.0.0.0/8,ten"}, nil, `"ten": want networks such as 10.0.0.0/8`},
		{"unknown extension", []string{"--extension", "akk=true"}, nil, `flag --extension: extension "akk" is unknown; the nearest is "ack"`},
		{"extension value", nil, []string{"HALLEY_EXTENSION", "timesync=on"}, `env HALLEY_EXTENSION: extension timesync="on": want true or false`},
		{"timestamp", []string{"--extension", "timestamp.format=iso8602"}, nil, `want off or cometd or iso8601 or http; the nearest is "iso8601"`},
		{"activity", []string{"--extension", "activity.mode=clients"}, nil, `want off or client or client-server; the nearest is "client"`},
		{"period", []string{"--extension", "activity.period=0s"}, nil, `extension activity.period="0s": want a duration such as 15m`},
		{"admin", []string{"--admin-listen", "here"}, nil, `admin-listen "here": want HOST:PORT, PORT or fd:NAME`},
		{"shutdown", []string{"--shutdown-timeout=-1s"}, nil, `want a duration such as 10s`},
		{"format", []string{"--log-format", "jsno"}, nil, `want json or console; the nearest is "json"`},
		{"half of TLS", []string{"--tls-cert", "a.pem"}, nil, `tls-cert and tls-key need each other`},
		{"no file", []string{"--config", "/nowhere/halley.yaml"}, nil, `flag --config: open /nowhere/halley.yaml`},
		{"PROXY of everybody", []string{"--listen", "tcp://localhost:1?proxy=v2"}, nil, `needs trusted-proxies`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.args...).Load(lookup(tt.env...))
			var usage *UsageError
			require.ErrorAs(t, err, &usage)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// TestPosture checks DESIGN 4.10: strangers are not served by accident.
func TestPosture(t *testing.T) {
	tests := []struct {
		listen  []string
		refused bool
	}{
		{[]string{"localhost:0"}, false},
		{[]string{"LOCALHOST:0"}, false},
		{[]string{"127.0.0.1:0", "127.9.8.7:0", "[::1]:0", "[::ffff:127.0.0.1]:0"}, false},
		{[]string{":0"}, true},
		{[]string{"0.0.0.0:0"}, true},
		{[]string{"[::]:0"}, true},
		{[]string{"192.168.1.1:0"}, true},
		{[]string{"localhost.example:0"}, true},
		{[]string{"127.0.0.1:0", ":0"}, true},
	}
	for _, tt := range tests {
		var args []string
		for _, l := range tt.listen {
			args = append(args, "--listen", l)
		}
		_, err := parse(t, args...).Load(lookup())
		if tt.refused {
			require.ErrorContains(t, err, " --posture cometd\n", tt.listen)
			require.ErrorContains(t, err, " --posture strict\n", tt.listen)
		} else {
			require.NoError(t, err, tt.listen)
		}
		for _, p := range []server.Posture{server.PostureCometD, server.PostureStrict} {
			s, err := parse(t, append(args, "--posture", string(p))...).Load(lookup())
			require.NoError(t, err, tt.listen)
			require.Equal(t, p, s.Posture)
		}
	}
}

func TestParseAddress(t *testing.T) {
	tests := []struct {
		text string
		want Address
		err  string
	}{
		{"localhost:0", Address{Host: "localhost", Port: "0"}, ""},
		{":80", Address{Port: "80"}, ""},
		{"[::1]:80", Address{Host: "::1", Port: "80"}, ""},
		{"tcp://:80", Address{Port: "80"}, ""},
		{"tcp://h:80?proxy=any&tls=off", Address{Host: "h", Port: "80", Proxy: "any", Plain: true}, ""},
		{"tcp://h:80?tls=on", Address{Host: "h", Port: "80"}, ""},
		{"fd:http", Address{Socket: "http"}, ""},
		{"fd:halley.socket?proxy=v2&tls=off", Address{Socket: "halley.socket", Proxy: "v2", Plain: true}, ""},
		{"tcp://fd:80", Address{Host: "fd", Port: "80"}, ""},
		{"fd:", Address{}, `"fd:": want fd:NAME`},
		{"fd:a:b", Address{}, `"fd:a:b": want fd:NAME`},
		{"fd:a?porxy=v2", Address{}, `"porxy" is unknown`},
		{"h:http", Address{}, "want HOST:PORT"},
		{"h:70000", Address{}, "want HOST:PORT"},
		{"http://h:80", Address{}, "want HOST:PORT, tcp://"},
		{"tcp://h", Address{}, "want HOST:PORT"},
		{"tcp://h:80/path", Address{}, "want HOST:PORT, tcp://"},
		{"tcp://h:80?proxy=v3", Address{}, `proxy: want v1 or v2 or any`},
		{"tcp://h:80?tls=maybe", Address{}, `tls: want on or off`},
		{"tcp://h:80?porxy=v2", Address{}, `"porxy" is unknown: want proxy or tls; the nearest is "proxy"`},
		{"tcp://h:80?%zz", Address{}, "want settings such as ?proxy=v2"},
	}
	for _, tt := range tests {
		got, err := parseAddress(tt.text)
		if tt.err != "" {
			require.ErrorContains(t, err, tt.err, tt.text)
			continue
		}
		require.NoError(t, err, tt.text)
		require.Equal(t, tt.want, got, tt.text)
	}
}

func TestAdminAddress(t *testing.T) {
	for text, want := range map[string]string{
		":0": "127.0.0.1:0", "9090": "127.0.0.1:9090", "0.0.0.0:1": "0.0.0.0:1", "[::1]:1": "[::1]:1", "off": "", "": "",
		"fd:admin": "fd:admin",
	} {
		s, err := parse(t, "--admin-listen="+text).Load(lookup())
		require.NoError(t, err)
		require.Equal(t, want, s.AdminListen.String(), text)
	}
}
