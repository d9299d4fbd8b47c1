package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

// patience bounds waits that end early when all is well.
const patience = 30 * time.Second

// TestStart starts each fault on a port of its own, side by side, and shakes
// hands with it.
func TestStart(t *testing.T) {
	for _, f := range append(All(), Fault{}) {
		t.Run("fault "+f.ID, func(t *testing.T) {
			t.Parallel()
			base, stop, err := Start(t.Context(), f, Options{})
			require.NoError(t, err)
			defer stop()
			require.Regexp(t, `^http://127\.0\.0\.1:\d+/cometd$`, base)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, base, strings.NewReader(`[{"channel":"/meta/handshake"}]`))
			require.NoError(t, err)
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			resp, err := client.Do(r)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			stop()
			_, err = client.Do(r)
			require.Error(t, err, "it was stopped")
		})
	}
}

func TestStartFails(t *testing.T) {
	bad := func(c *server.Config) { c.Options["timout"] = "1" }
	_, _, err := Start(t.Context(), Fault{ID: "F-X"}, Options{Config: bad})
	require.ErrorContains(t, err, "start fault F-X")
	require.ErrorContains(t, err, `"timout" is unknown`)
	_, _, err = Start(t.Context(), Fault{}, Options{Prepare: func(*server.Server) error { return errors.New("no such thing") }})
	require.ErrorContains(t, err, "no such thing")
	_, _, err = Start(t.Context(), Fault{}, Options{listen: func() (net.Listener, dialer, error) { return nil, nil, errors.New("no port") }})
	require.ErrorContains(t, err, "no port")
}

// TestStartEndsWithItsContext checks that nothing is left when nobody calls
// stop; TestMain looks for goroutines.
func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	base, _, err := Start(ctx, Fault{}, Options{Path: "/push", Timeout: time.Second})
	require.NoError(t, err)
	u, err := url.Parse(base)
	require.NoError(t, err)
	require.Equal(t, "/push", u.Path)
	cancel()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", u.Host)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, patience, time.Millisecond)
}

// volatile is what differs between two responses to the same request.
var volatile = regexp.MustCompile(`Date: [^\r]*|BAYEUX_BROWSER=[^;]*|"clientId":"[^"]*"`)

// TestBytes compares whole responses of the server itself and through the
// proxy, over the network: each byte, heads included.
func TestBytes(t *testing.T) {
	i, err := start(t.Context(), nothing(), Options{})
	require.NoError(t, err)
	defer i.stop()
	get := func(query string) string {
		return "GET /cometd?" + query + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	}
	post := func(headers, body string) string {
		return fmt.Sprintf("POST /cometd/a/b?c HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", headers, len(body), body)
	}
	for name, text := range map[string]string{
		"handshake":        post("", hello),
		"with a cookie":    post("Cookie: a=b; BAYEUX_BROWSER=0123456789abcdef\r\n", hello),
		"unknown session":  post("", strangerSub),
		"malformed":        post("", "["),
		"not a request":    "nonsense, and a long line of it\r\n\r\n",
		"HTTP/1.0":         strings.Replace(post("", hello), "HTTP/1.1", "HTTP/1.0", 1),
		"callback":         get("jsonp=cb&message=" + url.QueryEscape(hello)),
		"callback refused": get("jsonp=a%5B%5D&message=%5B%5D"),
		"bad escapes":      get("jsonp=cb&message=%zz&;"),
		"no callback":      get(""),
		"HEAD":             strings.Replace(get(""), "GET", "HEAD", 1),
		"OPTIONS":          strings.Replace(get(""), "GET", "OPTIONS", 1),
		"no upgrade":       "GET /cometd HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",
		"upgrade": "GET /cometd HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n\x88\x82\x00\x00\x00\x00\x03\xe8",
	} {
		t.Run(name, func(t *testing.T) {
			want, got := exchangeBytes(t, i.proxy.dial, text), exchangeBytes(t, i.dial, text)
			require.NotEmpty(t, want)
			require.Equal(t, want, got)
		})
	}
}

// exchangeBytes sends a request and reads until the end of the connection.
func exchangeBytes(t *testing.T, dial dialer, text string) string {
	t.Helper()
	conn, err := dial(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	head, body, _ := strings.Cut(volatile.ReplaceAllString(string(all), "…"), "\r\n\r\n")
	fields := strings.Split(head, "\r\n")
	slices.Sort(fields[1:]) // their order says nothing
	return strings.Join(fields, "\n") + "\n\n" + body
}

// TestServerCuts checks that a connection which the server cuts is cut for the
// client, before, in the middle of and behind the head of a response.
func TestServerCuts(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		body   string // what the client gets of the body; "none" if no head
	}{
		"no answer":  {"", "none"},
		"half head":  {"HTTP/1.1 200 OK\r\nContent-Le", "none"},
		"half body":  {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[{}", "[{}"},
		"half chunk": {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{}", "[{}"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, dial, err := listenTCP()
			require.NoError(t, err)
			done := make(chan struct{})
			go func() { // ends with the listener
				defer close(done)
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					if _, err = http.ReadRequest(bufio.NewReader(conn)); err == nil {
						_, _ = io.WriteString(conn, c.answer)
					}
					_ = conn.Close()
				}
			}()
			p := newProxy(t.Context(), nothing(), Options{}.withDefaults(), nothing().make(Options{}), dial)
			i := &instance{}
			front, dial, err := listenTCP()
			require.NoError(t, err)
			i.front, i.dial = i.serve(front, p), dial
			conn, err := i.dial(t.Context())
			require.NoError(t, err)
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = io.WriteString(conn, request("POST /cometd HTTP/1.1", "[]"))
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if c.body == "none" {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.Error(t, err, "the end is missing")
				require.Equal(t, c.body, string(body))
				_ = resp.Body.Close()
			}
			_ = conn.Close()
			_ = i.front.Close()
			p.close()
			i.serving.Wait()
			_ = ln.Close()
			<-done
		})
	}
}

// TestClientResets checks that a WebSocket which the client resets is lost for
// the server, and its session goes on over another one.
func TestClientResets(t *testing.T) {
	i, err := start(t.Context(), nothing(), Options{MaxInterval: time.Minute})
	require.NoError(t, err)
	defer i.stop()
	upgrade := "GET /cometd HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	conn, err := i.dial(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, upgrade+string(encodeFrame(true, 1, []byte(hello))))
	require.NoError(t, err)
	buf := bufio.NewReader(conn)
	_, err = http.ReadResponse(buf, nil)
	require.NoError(t, err)
	_, payload, _, err := readFrame(buf)
	require.NoError(t, err)
	require.Contains(t, string(payload), `"clientId"`)
	tcp, ok := conn.(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.SetLinger(0))
	require.NoError(t, tcp.Close())
	require.Eventually(t, func() bool {
		i.proxy.mu.Lock()
		defer i.proxy.mu.Unlock()
		return len(i.proxy.links) == 0
	}, patience, time.Millisecond, "the link is over")
	require.Len(t, i.server.Sessions(), 1)
}
