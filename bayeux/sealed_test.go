package bayeux

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeal(t *testing.T) {
	for _, r := range []*Request{
		{Header: http.Header{}},
		{
			Method: "GET", URL: "/cometd?token=a b", Proto: "HTTP/1.1", Host: "example.org",
			Header: http.Header{
				"User-Agent": {"Firefox"}, "Cookie": {"a=1", "b=" + strings.Repeat("x", 300)}, "X-Twice": {"1", "", "2"},
				"Empty": {""}, "Accept-Language": {"de"},
			},
			Remote: netip.MustParseAddrPort("192.0.2.7:4711"), ViaProxy: true, TLS: &tls.ConnectionState{}, Secure: true, Principal: "CN=me",
		},
		{
			Method: "GET", URL: "/cometd", Proto: "HTTP/1.1", Host: "", Header: http.Header{"Authorization": {"Bearer x"}},
			Remote: netip.MustParseAddrPort("[2001:db8::1%eth0]:80"), Secure: true,
		},
	} {
		sealed := Seal(r)
		require.Equal(t, r, sealed.Open())
		got := RequestFrom(context.WithValue(t.Context(), RequestKey{}, &sealed))
		require.Equal(t, r, got)
		require.NotSame(t, got, sealed.Open())
	}

	// [R-WS-5] What the upgrade alone was for is gone, and nothing else.
	r := &Request{Header: http.Header{"Sec-Websocket-Key": {"x"}, "Sec-Websocket-Version": {"13"}}}
	sealed := Seal(r)
	require.Equal(t, http.Header{"Sec-Websocket-Version": {"13"}}, sealed.Open().Header)
	require.Len(t, r.Header, 2, "the request itself is not changed")

	none := Seal(nil)
	require.Nil(t, none.Open())
	require.Nil(t, RequestFrom(context.WithValue(t.Context(), RequestKey{}, &none)))
}

// Requests of the same kind of browser share their text.
func TestSealShares(t *testing.T) {
	request := func(port uint16, cookie string) SealedRequest {
		return Seal(&Request{
			Method: "GET", URL: "/cometd", Proto: "HTTP/1.1", Host: "example.org",
			Header: http.Header{"User-Agent": {strings.Repeat("Mozilla", 20)}, "Cookie": {cookie}},
			Remote: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.7"), port),
		})
	}
	a, b := request(1, "a"), request(2, "b")
	require.Equal(t, a.shared, b.shared)
	require.LessOrEqual(t, len(a.own), 32)
}
