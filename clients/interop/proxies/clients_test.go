//go:build interop

package proxies

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const handshake = `[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket","long-polling","callback-polling"]}]`

// post sends messages as a poll does, and returns the reply to the first.
func post(t *testing.T, c *http.Client, target string, header http.Header, messages string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(messages))
	require.NoError(t, err)
	return ask(t, c, req, header)
}

// script sends messages as a script element does.
func script(t *testing.T, c *http.Client, target string, header http.Header, messages string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target+"?jsonp=f&message="+url.QueryEscape(messages), nil)
	require.NoError(t, err)
	return ask(t, c, req, header)
}

func ask(t *testing.T, c *http.Client, req *http.Request, header http.Header) map[string]any {
	t.Helper()
	if header != nil {
		req.Header = header.Clone()
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, "%s", body)
	var replies []map[string]any
	from, to := bytes.IndexByte(body, '['), bytes.LastIndexByte(body, ']')
	require.Less(t, from, to, "%s", body)
	require.NoError(t, json.Unmarshal(body[from:to+1], &replies), "%s", body)
	i := slices.IndexFunc(replies, func(m map[string]any) bool { return m["successful"] != nil })
	require.GreaterOrEqual(t, i, 0, "%s", body)
	return replies[i]
}

func idOf(t *testing.T, reply map[string]any) string {
	t.Helper()
	require.Equal(t, true, reply["successful"], "%v", reply)
	id, _ := reply["clientId"].(string)
	return id
}

// withCookies keeps cookies, and no connections.
func withCookies(t *testing.T, c *http.Client) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c.Jar = jar
	c.Transport.(*http.Transport).DisableKeepAlives = true
	return c
}

// dial opens a TLS connection from an address of the loopback, for a protocol.
func dial(t *testing.T, local, to, protocol string) *tls.Conn {
	t.Helper()
	d := &tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}},
		Config:    &tls.Config{RootCAs: shared.roots, NextProtos: []string{protocol}},
	}
	c, err := d.DialContext(t.Context(), "tcp", to)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return c.(*tls.Conn)
}

// tell sends bytes to who may refuse the first of them, and close before the last have come. What was answered until then
// is there to be read all the same.
func tell(t *testing.T, c *tls.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		t.Logf("closed before all was sent: %v", err)
	}
}

// upgradeLines are the fields of an upgrade to WebSocket.
const upgradeLines = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// socketHandshake opens a WebSocket, shakes hands by it, and returns the id of the session.
func socketHandshake(t *testing.T, local, to, fields string) string {
	t.Helper()
	c := dial(t, local, to, "http/1.1")
	_, err := fmt.Fprintf(c, "GET /cometd HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", to, upgradeLines, fields)
	require.NoError(t, err)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	require.Less(t, len(handshake), 126)
	frame := []byte{0x81, 0x80 | byte(len(handshake)), 0, 0, 0, 0} // masked by nothing
	_, err = c.Write(append(frame, handshake...))
	require.NoError(t, err)
	head := make([]byte, 4)
	_, err = io.ReadFull(r, head)
	require.NoError(t, err)
	require.Equal(t, []byte{0x81, 126}, head[:2])
	body := make([]byte, binary.BigEndian.Uint16(head[2:]))
	_, err = io.ReadFull(r, body)
	require.NoError(t, err)
	var replies []map[string]any
	require.NoError(t, json.Unmarshal(body, &replies), "%s", body)
	return idOf(t, replies[0])
}
