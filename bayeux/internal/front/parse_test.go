package front

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestClasses has the table in words.
func TestClasses(t *testing.T) {
	in := func(b byte, set string) bool { return strings.IndexByte(set, b) >= 0 }
	for i := range 256 {
		b := byte(i)
		alnum := b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		for c, want := range map[class]bool{
			classToken: alnum || in(b, "!#$%&'*+-.^_`|~"),
			classValue: b >= ' ' && b <= '~' || b == '\t',
			classHost:  alnum || in(b, ".:-_[]"),
			classPath:  alnum || in(b, "/-._~"),
			classQuery: alnum || in(b, "/-._~!$&'()*+,;=:@?%"),
		} {
			require.Equal(t, want, all([]byte{b}, c), "byte %#x in class %d", b, c)
		}
	}
}

const plainPost = "POST /cometd HTTP/1.1\r\nHost: a.example:80\r\nContent-Length: 4\r\n\r\n[{}]"

// with returns a POST with that line in its header.
func with(line string) string {
	return strings.Replace(plainPost, "Content-Length", line+"\r\nContent-Length", 1)
}

func TestParse(t *testing.T) {
	upgrade := "GET /cometd HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
	for text, want := range map[string]verdict{
		plainPost: whole,
		"GET /cometd?jsonp=f&message=%5B%7B%7D%5D HTTP/1.1\r\nHost: a\r\n\r\n": whole,
		"POST / HTTP/1.1\r\nhOsT: [::1]:8080\r\ncontent-length:0 \t\r\n\r\n":   whole,
		with("Connection: Keep-Alive"):                                         whole,
		with("X-A: \t b c\t "):                                                 whole,
		with("Cookie: a=1\r\nCookie: b=2"):                                     whole,
		with("Pragma: no-cache\r\nCache-Control: no-cache"):                    whole,
		upgrade: whole,
		strings.Replace(upgrade, "keep-alive, Upgrade", "upgrade", 1): whole,

		"":                           other,
		"P":                          partial,
		"POST /":                     partial,
		"GET /cometd HTTP/1.1\r":     partial,
		plainPost[:len(plainPost)-5]: partial,
		"POST /x HTTP/1.1\n\n":       partial, // no end of a head yet: net/http's, in time
		"POST /" + strings.Repeat("x", maxHead+10): other,

		// Another method, another version, another form of the target.
		"PUT" + plainPost[4:]:                                               other,
		"post" + plainPost[4:]:                                              other,
		"HEAD /cometd HTTP/1.1\r\nHost: a\r\n\r\n":                          other,
		"\r\n" + plainPost:                                                  other,
		" " + plainPost:                                                     other,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                  other,
		"\x16\x03\x01\x02\x00":                                              other,
		strings.Replace(plainPost, "1.1", "1.0", 1):                         other,
		strings.Replace(plainPost, "1.1", "1.1 ", 1):                        other,
		strings.Replace(plainPost, " HTTP/1.1", "", 1):                      other,
		strings.Replace(plainPost, "/cometd", "//cometd", 1):                other,
		strings.Replace(plainPost, "/cometd", "http://a.example/cometd", 1): other,
		strings.Replace(plainPost, "/cometd", "/a%2fb", 1):                  other,
		strings.Replace(plainPost, "/cometd", "/a#b", 1):                    other,
		strings.Replace(plainPost, "/cometd", "/a?b#c", 1):                  other,
		strings.Replace(plainPost, "/cometd", "/a b", 1):                    other,
		strings.Replace(plainPost, "/cometd", "/\xc3\xbc", 1):               other,

		// Where the body ends must be beyond doubt.
		plainPost + "x":                                                  other,
		plainPost + plainPost:                                            other,
		with("Content-Length: 4"):                                        other,
		with("Transfer-Encoding: chunked"):                               other,
		with("transfer-encoding: identity"):                              other,
		strings.Replace(plainPost, "Length: 4", "Length: +4", 1):         other,
		strings.Replace(plainPost, "Length: 4", "Length: 04", 1):         other,
		strings.Replace(plainPost, "Length: 4", "Length: 4, 4", 1):       other,
		strings.Replace(plainPost, "Length: 4", "Length: 0x4", 1):        other,
		strings.Replace(plainPost, "Length: 4", "Length: ", 1):           other,
		strings.Replace(plainPost, "Length: 4", "Length: 9999999999", 1): other,
		strings.Replace(plainPost, "Content-Length: 4\r\n", "", 1):       other,
		"GET /cometd HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":   other,

		// What changes the connection or the answer.
		with("Connection: close"):                                                   other,
		with("Connection: keep-alive, close"):                                       other,
		with("Connection: x"):                                                       other,
		with("Connection: upgrade"):                                                 other,
		with("Upgrade: h2c"):                                                        other,
		with("Expect: 100-continue"):                                                other,
		with("TE: trailers"):                                                        other,
		with("Trailer: X"):                                                          other,
		with("HTTP2-Settings: AAMAAABkAAQAAP"):                                      other,
		with("Proxy-Connection: close"):                                             other,
		with("Pragma: no-cache"):                                                    other,
		strings.Replace(upgrade, "Upgrade: WebSocket\r\n", "", 1):                   other,
		strings.Replace(upgrade, "WebSocket", "h2c", 1):                             other,
		strings.Replace(upgrade, "WebSocket", "websocket, h2c", 1):                  other,
		strings.Replace(upgrade, "Connection: keep-alive, Upgrade\r\n", "", 1):      other,
		strings.Replace(upgrade, "Host: a", "Host: a\r\nUpgrade: websocket", 1):     other,
		strings.Replace(upgrade, "Host: a", "Host: a\r\nConnection: keep-alive", 1): other,

		// Whose request it is.
		strings.Replace(plainPost, "Host: a.example:80\r\n", "", 1): other,
		with("Host: b"): other,
		strings.Replace(plainPost, "a.example:80", "", 1):    other,
		strings.Replace(plainPost, "a.example:80", "a/b", 1): other,
		strings.Replace(plainPost, "a.example:80", "u@a", 1): other,
		strings.Replace(plainPost, "a.example:80", "a b", 1): other,

		// Lines that readers disagree about.
		with("X-A : 1"):           other,
		with("X-A"):               other,
		with(": 1"):               other,
		with("X A: 1"):            other,
		with("X-A: 1\r\n folded"): other,
		with("X-A: 1\n"):          other,
		with("X-A: 1\nX-B: 2"):    other,
		with("X-A: 1\rX-B: 2"):    other,
		with("X-A: a\x00b"):       other,
		with("X-A: a\x7fb"):       other,
		with("X-A: \xc3\xbc"):     other,
		with("X-\xc3\xbc: a"):     other,
		with("(X): a"):            other,
	} {
		_, got := parse([]byte(text), maxHead)
		require.Equal(t, want, got, "%q", text)
		if got == whole {
			requireSame(t, []byte(text))
		}
	}
}

// TestParsePieces: no beginning of an ordinary request is refused, and its body
// may come later.
func TestParsePieces(t *testing.T) {
	head := strings.Index(plainPost, "\r\n\r\n") + 4
	for n := 1; n < len(plainPost); n++ {
		r, v := parse([]byte(plainPost[:n]), maxHead)
		if n < head {
			require.Equal(t, partial, v, "%q", plainPost[:n])
			continue
		}
		require.Equal(t, whole, v)
		require.Equal(t, len(plainPost)-n, r.missing)
	}
	_, v := parse([]byte(plainPost), head-5)
	require.Equal(t, other, v, "the head is too long")
}

// requireSame checks that what parse takes is what net/http reads, to the last
// byte.
func requireSame(t *testing.T, p []byte) {
	t.Helper()
	r, v := parse(p, maxHead)
	if v != whole {
		return
	}
	got, err := r.request(t.Context(), new(url.URL))
	if err != nil {
		return // passed on as well
	}
	rest := bufio.NewReader(io.MultiReader(bytes.NewReader(p), zeros{}))
	want, err := http.ReadRequest(rest)
	require.NoError(t, err, "%q", p)
	require.Equal(t, want.Method, got.Method)
	require.Equal(t, want.URL, got.URL)
	require.Equal(t, want.Proto, got.Proto)
	require.Equal(t, want.ProtoMajor, got.ProtoMajor)
	require.Equal(t, want.ProtoMinor, got.ProtoMinor)
	require.Equal(t, want.Header, got.Header)
	require.Equal(t, want.Host, got.Host)
	require.Equal(t, want.RequestURI, got.RequestURI)
	require.Equal(t, want.ContentLength, got.ContentLength)
	require.Equal(t, want.Close, got.Close)
	require.Empty(t, want.TransferEncoding)
	require.Empty(t, want.Trailer)
	require.Equal(t, want.Body == http.NoBody, got.ContentLength == 0)
	body, err := io.ReadAll(io.LimitReader(want.Body, 1<<20))
	require.NoError(t, err)
	require.Equal(t, string(r.body), string(body[:len(r.body)]))
	if len(body) < 1<<20 {
		require.Len(t, body, len(r.body)+r.missing)
		next, err := rest.ReadByte() // of the next request
		require.NoError(t, err)
		require.Zero(t, next, "nothing of it is left")
	}
}

// zeros is what comes behind a request.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// FuzzParse is the argument that nothing can be smuggled past the engine: of any
// bytes, either net/http judges, or both read the same of them.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		plainPost, with("Connection: keep-alive"), with("Cookie: a=b; c=d"), with("X-A: 1\r\n b"),
		with("Transfer-Encoding: chunked"), plainPost + plainPost, plainPost[:40],
		"GET /cometd?jsonp=f&message=%5B%7B%7D%5D HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x==\r\n\r\n",
		"POST /a?b?c%zz HTTP/1.1\r\nhost:a\r\nContent-LENGTH:\t3\r\n\r\nabc",
		"GET /a? HTTP/1.1\r\nHost: a\r\nKeep-Alive: 5\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) { requireSame(t, p) })
}

// FuzzHeader is FuzzParse from within a request, so that more of it is taken.
func FuzzHeader(f *testing.F) {
	f.Add("/cometd", "X-A", "b", "Cookie", "c=d", []byte("[]"))
	f.Add("/a?b=%20", "host", "b", "pragma", "no-cache", []byte(""))
	f.Add("/a/../b", "content-length", "2", "X-A", "\t", []byte("[]"))
	f.Fuzz(func(t *testing.T, target, name, value, other, more string, body []byte) {
		requireSame(t, fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: a\r\n%s: %s\r\n%s:%s\r\nContent-Length: %d\r\n\r\n%s",
			target, name, value, other, more, len(body), body))
	})
}

// TestCanonicalNames: names are written as net/http writes them.
func TestCanonicalNames(t *testing.T) {
	for _, name := range []string{"x-a", "X-a", "sec-websocket-KEY", "a.b", "~x", "etag", "WWW-authenticate"} {
		r, v := parse([]byte(with(name+": 1")), maxHead)
		require.Equal(t, whole, v)
		req, err := r.request(t.Context(), new(url.URL))
		require.NoError(t, err)
		require.Contains(t, req.Header, textproto.CanonicalMIMEHeaderKey(name))
	}
}
