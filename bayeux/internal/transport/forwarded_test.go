package transport

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func prefixes(t testing.TB, list ...string) []netip.Prefix {
	t.Helper()
	var out []netip.Prefix
	for _, p := range list {
		parsed, err := netip.ParsePrefix(p)
		require.NoError(t, err)
		out = append(out, parsed)
	}
	return out
}

func TestResolveClient(t *testing.T) {
	const proxy = "10.0.0.1:80"
	for name, c := range map[string]struct {
		peer   string
		header http.Header
		want   string
		https  bool
	}{
		"no headers":          {peer: proxy, want: proxy},
		"untrusted peer":      {peer: "192.0.2.1:5", header: http.Header{"X-Forwarded-For": {"1.1.1.1"}, "Forwarded": {"for=1.1.1.1;proto=https"}, "X-Forwarded-Proto": {"https"}}, want: "192.0.2.1:5"},
		"unix socket":         {peer: "@", header: http.Header{"X-Forwarded-For": {"1.1.1.1"}}, want: ""},
		"one hop":             {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1"}}, want: "1.1.1.1:0"},
		"mapped peer":         {peer: "[::ffff:10.0.0.1]:80", header: http.Header{"X-Forwarded-For": {"1.1.1.1"}}, want: "1.1.1.1:0"},
		"mapped client":       {peer: proxy, header: http.Header{"X-Forwarded-For": {"::ffff:1.1.1.1"}}, want: "1.1.1.1:0"},
		"forged left":         {peer: proxy, header: http.Header{"X-Forwarded-For": {"6.6.6.6, 10.0.0.9, 1.1.1.1"}}, want: "1.1.1.1:0"},
		"forged header":       {peer: proxy, header: http.Header{"X-Forwarded-For": {"6.6.6.6", "1.1.1.1"}}, want: "1.1.1.1:0"},
		"two hops":            {peer: proxy, header: http.Header{"X-Forwarded-For": {"6.6.6.6, 1.1.1.1, 10.0.0.2"}}, want: "1.1.1.1:0"},
		"two headers":         {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1", "10.0.0.2"}}, want: "1.1.1.1:0"},
		"client within":       {peer: proxy, header: http.Header{"X-Forwarded-For": {"10.0.0.3, 10.0.0.2"}}, want: "10.0.0.3:0"},
		"malformed":           {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1, unknown"}}, want: proxy},
		"malformed later":     {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1, x, 10.0.0.2"}}, want: "10.0.0.2:0"},
		"empty":               {peer: proxy, header: http.Header{"X-Forwarded-For": {""}}, want: proxy},
		"port":                {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1:99"}}, want: "1.1.1.1:99"},
		"IPv6":                {peer: proxy, header: http.Header{"X-Forwarded-For": {"2001:db8::1"}}, want: "[2001:db8::1]:0"},
		"IPv6 in brackets":    {peer: proxy, header: http.Header{"X-Forwarded-For": {"[2001:db8::1]"}}, want: "[2001:db8::1]:0"},
		"IPv6 with port":      {peer: proxy, header: http.Header{"X-Forwarded-For": {"[2001:db8::1]:99"}}, want: "[2001:db8::1]:99"},
		"IPv6 with zone":      {peer: proxy, header: http.Header{"X-Forwarded-For": {"fe80::1%eth0"}}, want: "[fe80::1]:0"},
		"IPv4 in brackets":    {peer: proxy, header: http.Header{"X-Forwarded-For": {"[1.1.1.1]"}}, want: proxy},
		"proto":               {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Proto": {"HTTPS"}}, want: "1.1.1.1:0", https: true},
		"proto alone":         {peer: proxy, header: http.Header{"X-Forwarded-Proto": {"https"}}, want: proxy, https: true},
		"proto wss":           {peer: proxy, header: http.Header{"X-Forwarded-Proto": {"wss"}}, want: proxy, https: true},
		"proto of first hop":  {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1, 10.0.0.2"}, "X-Forwarded-Proto": {"https, http"}}, want: "1.1.1.1:0", https: true},
		"proto set once":      {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1, 10.0.0.2"}, "X-Forwarded-Proto": {"https"}}, want: "1.1.1.1:0", https: true},
		"proto forged":        {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Proto": {"https, http"}}, want: "1.1.1.1:0"},
		"proto forged header": {peer: proxy, header: http.Header{"X-Forwarded-For": {"1.1.1.1"}, "X-Forwarded-Proto": {"https", "http"}}, want: "1.1.1.1:0"},

		"Forwarded":               {peer: proxy, header: http.Header{"Forwarded": {"for=1.1.1.1"}}, want: "1.1.1.1:0"},
		"Forwarded, all":          {peer: proxy, header: http.Header{"Forwarded": {`By=10.0.0.1; For="1.1.1.1:99" ;HOST=h;Proto=https`}}, want: "1.1.1.1:99", https: true},
		"Forwarded IPv6":          {peer: proxy, header: http.Header{"Forwarded": {`for="[2001:db8::1]:99"`}}, want: "[2001:db8::1]:99"},
		"Forwarded escapes":       {peer: proxy, header: http.Header{"Forwarded": {`for="1.1\.1.1"`}}, want: "1.1.1.1:0"},
		"Forwarded chain":         {peer: proxy, header: http.Header{"Forwarded": {`for=6.6.6.6;proto=https, for=1.1.1.1;proto=http,for=10.0.0.2;proto=https`}}, want: "1.1.1.1:0"},
		"Forwarded headers":       {peer: proxy, header: http.Header{"Forwarded": {`for=6.6.6.6`, `for=1.1.1.1;proto=https`}}, want: "1.1.1.1:0", https: true},
		"Forwarded, no for":       {peer: proxy, header: http.Header{"Forwarded": {`for=6.6.6.6,proto=https`}}, want: proxy, https: true},
		"Forwarded unknown":       {peer: proxy, header: http.Header{"Forwarded": {`for=6.6.6.6,for=unknown;proto=https`}}, want: proxy, https: true},
		"Forwarded hidden":        {peer: proxy, header: http.Header{"Forwarded": {`for=6.6.6.6,for=_gazonk,for=10.0.0.2`}}, want: "10.0.0.2:0"},
		"Forwarded open quote":    {peer: proxy, header: http.Header{"Forwarded": {`for="6.6.6.6, for=1.1.1.1`}}, want: proxy},
		"Forwarded quote apart":   {peer: proxy, header: http.Header{"Forwarded": {`for="6.6.6.6`, `for=1.1.1.1`}}, want: "1.1.1.1:0"},
		"Forwarded quote inside":  {peer: proxy, header: http.Header{"Forwarded": {`for=1.1.1.1"`}}, want: proxy},
		"Forwarded garbage":       {peer: proxy, header: http.Header{"Forwarded": {`1.1.1.1`}}, want: proxy},
		"Forwarded after quote":   {peer: proxy, header: http.Header{"Forwarded": {`for="1.1.1.1"x`}}, want: proxy},
		"Forwarded open escape":   {peer: proxy, header: http.Header{"Forwarded": {`for="1.1.1.1\`}}, want: proxy},
		"Forwarded comma quoted":  {peer: proxy, header: http.Header{"Forwarded": {`host="a,b;for=6.6.6.6";for=1.1.1.1`}}, want: "1.1.1.1:0"},
		"Forwarded empty pairs":   {peer: proxy, header: http.Header{"Forwarded": {`;;for=1.1.1.1;;`}}, want: "1.1.1.1:0"},
		"Forwarded too long":      {peer: proxy, header: http.Header{"Forwarded": {strings.Repeat("for=10.0.0.2,", maxForwarded/13) + "for=1.1.1.1"}}, want: proxy},
		"both agree":              {peer: proxy, header: http.Header{"Forwarded": {"for=1.1.1.1;proto=https"}, "X-Forwarded-For": {"1.1.1.1"}}, want: "1.1.1.1:0", https: true},
		"forged Forwarded passed": {peer: proxy, header: http.Header{"Forwarded": {"for=6.6.6.6;proto=https"}, "X-Forwarded-For": {"1.1.1.1"}}, want: proxy},
	} {
		t.Run(name, func(t *testing.T) {
			client, https := resolveClient(parsePeer(c.peer), c.header, prefixes(t, "10.0.0.0/8"))
			if c.want == "" {
				require.False(t, client.IsValid())
				return
			}
			require.Equal(t, c.want, client.String())
			require.Equal(t, c.https, https)
		})
	}
}

// TestLongChains walks a chain as long as headers can be.
func TestLongChains(t *testing.T) {
	chain := strings.Repeat("10.0.0.2,", 100_000)
	header := http.Header{"X-Forwarded-For": {"1.1.1.1", chain[:len(chain)-1]}}
	client, _ := resolveClient(parsePeer("10.0.0.1:80"), header, prefixes(t, "10.0.0.0/8"))
	require.Equal(t, "1.1.1.1:0", client.String())
}

// FuzzForwarded checks that what a client writes never decides over what the
// proxy adds behind it, whichever header the proxy uses.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{
		"", "6.6.6.6", "for=6.6.6.6", `for="6.6.6.6`, `for="[::1]:5";proto=https`, "10.0.0.2", ", ,", "for=10.0.0.2,",
		`\`, `for="\`, "for=;", "=", `"`, "for=a=b", "[::1", "fe80::1%a",
	} {
		f.Add(seed)
	}
	trusted := prefixes(f, "10.0.0.0/8")
	proxy, genuine := parsePeer("10.0.0.1:80"), "1.1.1.1:0"
	f.Fuzz(func(t *testing.T, forged string) {
		client, _ := resolveClient(proxy, http.Header{"X-Forwarded-For": {forged + ", 1.1.1.1"}}, trusted)
		require.Equal(t, genuine, client.String())
		client, _ = resolveClient(proxy, http.Header{"X-Forwarded-For": {forged, "1.1.1.1"}}, trusted)
		require.Equal(t, genuine, client.String())
		client, https := resolveClient(proxy, http.Header{"Forwarded": {forged, "for=1.1.1.1;proto=http"}}, trusted)
		require.Equal(t, genuine, client.String())
		require.False(t, https)

		// In one header with the client's text the proxy's may become
		// unreadable; then nothing is believed.
		client, https = resolveClient(proxy, http.Header{"Forwarded": {forged + ", for=1.1.1.1;proto=http"}}, trusted)
		if client != proxy {
			require.Equal(t, genuine, client.String())
		}
		require.False(t, https)

		// Without a proxy nothing counts.
		peer := parsePeer("192.0.2.1:5")
		client, https = resolveClient(peer, http.Header{"Forwarded": {forged}, "X-Forwarded-For": {forged}}, trusted)
		require.Equal(t, peer, client)
		require.False(t, https)

		// A well-formed address is read as the proxy wrote it.
		if want, err := netip.ParseAddr(forged); err == nil && want.Zone() == "" {
			client, _ = resolveClient(proxy, http.Header{"Forwarded": {`for="[` + want.String() + `]"`}}, trusted)
			if want.Is6() {
				require.Equal(t, want.Unmap(), client.Addr())
			}
			client, _ = resolveClient(proxy, http.Header{"X-Forwarded-For": {forged}}, trusted)
			require.Equal(t, want.Unmap(), client.Addr())
		}
	})
}
