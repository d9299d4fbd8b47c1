package serve

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

// header makes a PROXY header that names a client.
func header(t *testing.T, version byte, client string) string {
	t.Helper()
	source, err := net.ResolveTCPAddr("tcp", client)
	require.NoError(t, err)
	text, err := proxyproto.HeaderProxyFromAddrs(version, source, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}).Format()
	require.NoError(t, err)
	return string(text)
}

// ask sends raw bytes and a request, and returns the body of the answer, or
// "refused" for an error and for a connection that ends without an answer.
func ask(t *testing.T, address, before string) string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "%sGET /cometd HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", before)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "refused"
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "refused"
	}
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body)
}

func TestProxyProtocol(t *testing.T) {
	const client = "203.0.113.9:4711"
	named, own := "HTTP/1.1 "+client, "HTTP/1.1 127.0.0.1:"
	v1, v2 := header(t, 1, client), header(t, 2, client)
	tests := []struct {
		name, proxy, trusted, send string
		want                       string
	}{
		{"v1", "v1", "127.0.0.0/8", v1, named},
		{"v2", "v2", "127.0.0.0/8", v2, named},
		{"any v1", "any", "127.0.0.1", v1, named},
		{"any v2", "any", "127.0.0.1", v2, named},
		{"the other version", "v2", "127.0.0.1", v1, "refused"},
		{"the other version 2", "v1", "127.0.0.1", v2, "refused"},
		{"trusted without a header", "any", "127.0.0.1", "", "refused"},
		{"spoofed v1", "any", "10.0.0.0/8", v1, own},
		{"spoofed v2", "any", "10.0.0.0/8", v2, own},
		{"untrusted without a header", "any", "10.0.0.0/8", "", own},
		{"no PROXY protocol here, v1", "", "127.0.0.1", v1, "refused"},
		{"no PROXY protocol here, v2", "", "127.0.0.1", v2, "refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			listen := "tcp://127.0.0.1:0"
			if tt.proxy != "" {
				listen += "?proxy=" + tt.proxy
			}
			r := start(t, newFake(), "--listen", listen, "--trusted-proxies", tt.trusted)
			r.address("listening")
			got := ask(t, r.address("listening"), tt.send)
			require.Contains(t, got, tt.want)
			require.NoError(t, r.stop())
		})
	}
}

func TestIsTrusted(t *testing.T) {
	trusted, err := parse(t, "--trusted-proxies", "10.0.0.0/8,::1").Load(lookup())
	require.NoError(t, err)
	for text, want := range map[string]bool{"10.1.2.3:1": true, "[::ffff:10.1.2.3]:1": true, "11.1.2.3:1": false, "[::1]:1": true} {
		addr, err := net.ResolveTCPAddr("tcp", text)
		require.NoError(t, err)
		require.Equal(t, want, isTrusted(addr, trusted.TrustedProxies), text)
	}
	require.False(t, isTrusted(&net.UnixAddr{}, trusted.TrustedProxies))
}
