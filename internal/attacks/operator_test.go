package attacks

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/clients/bayeuxclient"
)

// operatorGroup is what is tried against those who run the server: its logs,
// its metrics, what stands in front of it.
func operatorGroup() group {
	return group{name: "operator", args: []string{"--admin-listen", "127.0.0.1:0"}, attacks: []attack{
		{
			"log-injection", "forged log lines", "line breaks, escape sequences and JSON in ids, channels, headers and reasons",
			fails("one line of JSON each"), fails("one line of JSON each"), injectLog,
		},
		{
			"log-flood", "CometD #904", "800 requests that are no messages, and 40 sessions that come and go, to fill the disk with log lines",
			fails("bounded"), fails("bounded"), func(t *testing.T, g *target) end {
				t.Helper()
				began := time.Now()
				for range 800 {
					require.Less(t, g.post(t, `{"not":"a message"`).status, 500)
				}
				for range 40 {
					g.victim(t, "").send(t, `[{"channel":"/meta/disconnect","clientId":"$"}]`)
				}
				// 100 lines of a kind in a second, which a slow machine takes several of.
				if n := strings.Count(g.logs.String(), "\n"); n > 400+100*int(time.Since(began).Seconds()) {
					return succeeds(strconv.Itoa(n) + " lines")
				}
				return fails("bounded")
			},
		},
		{
			"forged-node", "CometD #249", "a client says that it is another node of a cluster, as CometD's nodes do",
			fails("a session like any other"), fails("a session like any other"), func(t *testing.T, g *target) end {
				t.Helper()
				v := g.victim(t, `{"oort":{"oortURL":"http://x/cometd","oortId":"x","oortSecret":"x","b64url":"x"}}`)
				require.Equal(t, g.victim(t, "").publish(t, "/oort/cluster", "{}"), v.publish(t, "/oort/cluster", "{}"))
				require.Nil(t, g.post(t, handshake).field("ext"))
				return fails("a session like any other")
			},
		},
		{
			"secrets-in-logs", "tokens and payloads in logs", "a token and a payload are looked for in the log of level debug",
			fails("not there"), fails("not there"), func(t *testing.T, g *target) end {
				t.Helper()
				const token, secret = "t0k3n-in-ext", "p4yl0ad"
				v := g.victim(t, `{"auth":{"token":"`+token+`"}}`)
				_ = v.publish(t, "/a", `"`+secret+`"`)
				g.post(t, handshake, "Authorization", "Bearer "+token)
				if text := g.logs.String(); strings.Contains(text, token) || strings.Contains(text, secret) {
					return succeeds("in the log")
				}
				return fails("not there")
			},
		},
		{
			"metrics-in-public", "NATS and others: monitors on all interfaces", "metrics and health are asked for where clients come in",
			fails("404"), fails("404"), func(t *testing.T, g *target) end {
				t.Helper()
				for _, path := range []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/cometd/metrics"} {
					if a := g.request(t, http.MethodGet, path, ""); a.status < 400 {
						return succeeds(path)
					}
				}
				return fails("404")
			},
		},
		{
			"smuggling", "HTTP request smuggling", "a request with two lengths, with one that is no number, with codings other than chunked (through proxies: see below)",
			fails("400, and nothing after it is read"), fails("400, and nothing after it is read"), smuggle,
		},
		{
			"forged-certificate", "CVE-2020-15134, CVE-2020-15133 (clients)", "the attacker answers the Go client in the place of the server, with a certificate of his own",
			fails("the client does not handshake"), fails("the client does not handshake"), forgedCertificate,
		},
	}}
}

func injectLog(t *testing.T, g *target) end {
	t.Helper()
	const poison = `\n{"level":"info","message":"forged"}\r\n\u001b[31mred`
	v := g.victim(t, "")
	v.send(t, `[{"channel":"/a`+poison+`","clientId":"$","data":1}]`)
	v.send(t, `[{"channel":"/meta/connect","clientId":"`+poison+`","id":"`+poison+`"}]`)
	v.send(t, `[{"channel":"/meta/subscribe","clientId":"$","subscription":"`+poison+`"}]`)
	g.request(t, http.MethodPost, "/cometd/"+"%0a%7b%7d", "not json", "Content-Type", "text/x-\u001b[31m", "Origin", "https://x\u001b[31m")
	conn := g.raw(t)
	_, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\ny: z\x1b[31m\r\n\r\n"))
	require.NoError(t, err)
	_, _ = conn.Read(make([]byte, 1024))
	for line := range strings.Lines(g.logs.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["message"] == "forged" || strings.Contains(line, "\x1b") {
			return succeeds(line)
		}
	}
	return fails("one line of JSON each")
}

func smuggle(t *testing.T, g *target) end {
	t.Helper()
	const second = "POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 105\r\n\r\n"
	for _, head := range []string{
		"Content-Length: 5\r\nContent-Length: 6\r\n",
		"Content-Length: +5\r\n",
		"Content-Length: 5, 6\r\n",
		"Transfer-Encoding: xchunked\r\n",
		"Transfer-Encoding: chunked, identity\r\n",
		"Transfer-Encoding : chunked\r\n",
	} {
		conn := g.raw(t)
		_, err := fmt.Fprint(conn, "POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+head+"\r\n0\r\n\r\n"+second+handshake)
		require.NoError(t, err)
		got := make([]byte, 0, 4096)
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if got = append(got, buf[:n]...); err != nil {
				break
			}
		}
		answers := strings.Count(string(got), "HTTP/1.1 ")
		if answers != 1 || strings.Contains(string(got), "clientId") {
			return succeeds(head + strconv.Itoa(answers) + " answers")
		}
		require.Regexp(t, `^HTTP/1\.1 (400|501)`, string(got), head)
	}
	return fails("400, and nothing after it is read")
}

func forgedCertificate(t *testing.T, _ *target) end {
	t.Helper()
	asked := false
	forger := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	forger.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	forger.Config.ErrorLog = log.New(io.Discard, "", 0)
	forger.StartTLS()
	defer forger.Close()
	c, err := bayeuxclient.New(forger.URL, bayeuxclient.Options{})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.ErrorContains(t, c.Start(t.Context()), "certificate")
	if asked {
		return succeeds("the client speaks to the attacker")
	}
	return fails("the client does not handshake")
}
