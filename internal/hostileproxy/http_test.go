package hostileproxy

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

const (
	brief = 60 * time.Millisecond // a limit that is due soon.
	alice = "127.0.0.1"
)

func TestThoseWhoGoAreGoneForTheServer(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	u := newUser(t, p.Addr(), alice)
	for _, leave := range []func(*net.TCPConn){
		func(c *net.TCPConn) { _ = c.Close() },
		func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		func(c *net.TCPConn) { _ = c.CloseWrite() },
	} {
		c := u.raw()
		write(t, c, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
		await(t, o.came, "no request")
		leave(c)
		await(t, o.gone, "the server still holds the request")
		waitCounts(t, p, func(c Counts) bool { return c.Running == 0 })
	}
	require.Zero(t, p.Counts().Cuts())
	require.Zero(t, p.Counts().Failed)
}

func TestServersThatFail(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	u := newUser(t, p.Addr(), alice)
	_, body, err := u.get("/die")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, "01234", body)
	waitCounts(t, p, func(c Counts) bool { return c.Failed == 1 })
	require.False(t, exchanges(t, p)[0].Whole)

	held := u.status("/hold")
	await(t, o.came, "no request")
	o.CloseClientConnections()
	require.Equal(t, http.StatusBadGateway, <-held)

	p.SetTargets(testkit.FreeAddress(t))
	resp, _, err := u.get("/echo")
	require.NoError(t, err)
	require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	require.Equal(t, 3, p.Counts().Failed)
	p.SetTargets(o.addr())
	u.echo(http.MethodGet, "")
}

func TestBadRequests(t *testing.T) {
	p, _ := startHTTP(t, Rules{})
	u := newUser(t, p.Addr(), alice)
	for _, test := range []struct {
		name, request string
		status        int
	}{
		{"no HTTP", "hello\r\n\r\n", http.StatusBadRequest},
		{"a large head", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHead) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge},
		{"a tunnel through us", "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", http.StatusMethodNotAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := u.raw()
			write(t, c, test.request)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			require.Equal(t, test.status, resp.StatusCode)
		})
	}
}

func TestOldClients(t *testing.T) {
	p, _ := startHTTP(t, Rules{})
	c := newUser(t, p.Addr(), alice).raw()
	write(t, c, "GET /size/20?chunked HTTP/1.0\r\n\r\n")
	all, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Contains(t, string(all), "HTTP/1.0 200 OK\r\n")
	require.True(t, strings.HasSuffix(string(all), "\r\n\r\n"+strings.Repeat("x", 20)), "%q", all)
}

// TestMaxDuration sees a request that is cut in each way, before and after the head of the response.
func TestMaxDuration(t *testing.T) {
	for _, test := range []struct {
		name, path string
		how        End
		check      func(t *testing.T, resp *http.Response, err error)
	}{
		{"FIN", "/hold", ByFIN, func(t *testing.T, _ *http.Response, err error) { require.ErrorIs(t, err, io.EOF) }},
		{"RST", "/hold", ByReset, func(t *testing.T, _ *http.Response, err error) { require.ErrorIs(t, err, syscall.ECONNRESET) }},
		{"504", "/hold", ByAnswer, func(t *testing.T, resp *http.Response, err error) {
			require.NoError(t, err)
			require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
		}},
		{"FIN within", "/drip", ByFIN, func(t *testing.T, _ *http.Response, err error) { require.ErrorIs(t, err, io.ErrUnexpectedEOF) }},
		{"RST within", "/drip", ByReset, func(t *testing.T, _ *http.Response, err error) { require.ErrorIs(t, err, syscall.ECONNRESET) }},
		{"504 comes too late", "/drip", ByAnswer, func(t *testing.T, _ *http.Response, err error) { require.ErrorIs(t, err, io.ErrUnexpectedEOF) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := startHTTP(t, Rules{MaxDuration: brief, DurationEnd: test.how})
			u := newUser(t, p.Addr(), alice)
			for range 2 {
				resp, _, err := u.do(u.request(http.MethodPost, test.path, "body"))
				test.check(t, resp, err)
			}
			waitCounts(t, p, func(c Counts) bool { return c.Running == 0 })
			c := p.Counts()
			require.Equal(t, 2, c.Times(RuleDuration))
			require.Equal(t, 2, c.Cuts())
			require.GreaterOrEqual(t, c.Done[RuleDuration].MinTime, brief)
			require.Equal(t, RuleDuration, exchanges(t, p)[1].Cut)
			require.GreaterOrEqual(t, exchanges(t, p)[1].Took, brief)
			require.False(t, exchanges(t, p)[1].Whole)
			require.Zero(t, c.Failed)
			u.echo(http.MethodPost, "short requests pass")
			if test.name == "504" {
				require.Equal(t, 1, c.Conns, "the connection stays usable")
			}
		})
	}
}

func TestIdleCut(t *testing.T) {
	p, o := startHTTP(t, Rules{IdleCut: 2 * brief})
	u := newUser(t, p.Addr(), alice)
	_, _, err := u.get("/hold")
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 1, p.Counts().Times(RuleIdle))
	require.GreaterOrEqual(t, p.Counts().Done[RuleIdle].MinTime, 2*brief)

	c := u.raw()
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "a connection without a request")
	require.Equal(t, 1, p.Counts().Times(RuleIdleUnused))

	client, br, server := u.socket(o)
	_, err = br.ReadByte()
	require.ErrorIs(t, err, io.EOF, "a tunnel")
	_, err = server.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, client.Close())
	require.Equal(t, 2, p.Counts().Times(RuleIdle))

	p.Set(Rules{IdleCut: brief, IdleEnd: ByAnswer})
	resp, _, err := u.get("/hold")
	require.NoError(t, err)
	require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
}

// TestBytesKeepAnIdleConnection looks at what the idle time counts from.
func TestBytesKeepAnIdleConnection(t *testing.T) {
	p, o := startHTTP(t, Rules{Store: true, HoldLast: true})
	u := newUser(t, p.Addr(), alice)
	status := u.status("/drip")
	o.drip("x")
	c := p.clients()[0]
	for range 3 {
		before := c.lastByte()
		o.drip("held back, but it has come")
		require.Eventually(t, func() bool { return c.lastByte().After(before) }, patience, time.Millisecond)
	}
	close(o.pieces)
	require.Equal(t, http.StatusOK, <-status)

	client, _, server := u.socket(o)
	for _, end := range []io.Writer{client, server} {
		before := p.clients()[0].lastByte()
		write(t, end, "x")
		require.Eventually(t, func() bool {
			latest := before
			for _, c := range p.clients() {
				if c.lastByte().After(latest) {
					latest = c.lastByte()
				}
			}
			return latest.After(before)
		}, patience, time.Millisecond)
	}
}

func TestSilence(t *testing.T) {
	p, o := startHTTP(t, Rules{IdleCut: brief, IdleEnd: BySilence})
	u := newUser(t, p.Addr(), alice)
	client, br, server := u.socket(o)
	waitCounts(t, p, func(c Counts) bool { return c.Times(RuleIdle) == 1 && c.Running == 0 })
	write(t, server, "nobody hears")
	write(t, client, "this")
	quiet(t, client, br)
	quiet(t, server, server)
	require.NoError(t, client.Close())
	quiet(t, server, server)
	require.Equal(t, 1, p.Counts().Open)
	require.NoError(t, server.Close())
	waitCounts(t, p, func(c Counts) bool { return c.Open == 0 })
}

func TestSilenceInARequest(t *testing.T) {
	p, o := startHTTP(t, Rules{MaxDuration: brief, DurationEnd: BySilence})
	c := newUser(t, p.Addr(), alice).raw()
	write(t, c, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	waitCounts(t, p, func(c Counts) bool { return c.Times(RuleDuration) == 1 && c.Running == 0 })
	o.free <- struct{}{}
	quiet(t, c, c)
	require.Empty(t, o.gone, "the server has not heard of it")
}

func TestMaxResponse(t *testing.T) {
	const limit = 1000
	for _, test := range []struct {
		name, path string
		how        End
		status     int
		got        int // bytes of the body; below zero is any number.
		err        error
	}{
		{"fits", "/size/1000", ByFIN, http.StatusOK, 1000, nil},
		{"fits in chunks", "/size/1000?chunked", ByFIN, http.StatusOK, 1000, nil},
		{"truncated", "/size/1001", ByFIN, http.StatusOK, limit, io.ErrUnexpectedEOF},
		{"truncated chunks", "/size/5000?chunked", ByFIN, http.StatusOK, limit, io.ErrUnexpectedEOF},
		{"reset", "/size/5000", ByReset, http.StatusOK, -1, syscall.ECONNRESET},
		{"502", "/size/1001", ByAnswer, http.StatusBadGateway, -1, nil},
		{"502 for chunks", "/size/1001?chunked", ByAnswer, http.StatusBadGateway, -1, nil},
		{"no 502", "/size/1000", ByAnswer, http.StatusOK, 1000, nil},
		{"no 502 for chunks", "/size/1000?chunked", ByAnswer, http.StatusOK, 1000, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := startHTTP(t, Rules{MaxResponse: limit, ResponseEnd: test.how})
			u := newUser(t, p.Addr(), alice)
			resp, body, err := u.get(test.path)
			if test.how == ByReset && resp == nil {
				require.ErrorIs(t, err, test.err) // It took the head along.
			} else {
				require.Equal(t, test.err != nil, errors.Is(err, test.err) && err != nil, "%v", err)
				require.Equal(t, test.status, resp.StatusCode)
			}
			if test.got >= 0 {
				require.Len(t, body, test.got)
			}
			c := p.Counts()
			if cut := test.err != nil || test.status != http.StatusOK; !cut {
				require.Zero(t, c.Times(RuleResponse))
				return
			}
			require.Equal(t, 1, c.Times(RuleResponse))
			require.Greater(t, c.Done[RuleResponse].MinBytes, int64(limit))
			_, _, err = u.get("/size/1000")
			require.NoError(t, err)
		})
	}
}

func TestStore(t *testing.T) {
	p, o := startHTTP(t, Rules{Store: true})
	u := newUser(t, p.Addr(), alice)
	c := u.raw()
	write(t, c, "GET /drip HTTP/1.1\r\nHost: x\r\n\r\n")
	o.drip("one", "two")
	quiet(t, c, c)
	close(o.pieces)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.EqualValues(t, 6, resp.ContentLength)
	reads(t, resp.Body, "onetwo")
	require.EqualValues(t, 6, p.Counts().Done[RuleStore].MaxBytes)

	client, br, server := u.socket(o)
	write(t, server, "tunnels pass")
	reads(t, br, "tunnels pass")
	require.NoError(t, client.Close())
	resp, _, err = u.get("/die")
	require.NoError(t, err)
	require.Equal(t, http.StatusBadGateway, resp.StatusCode, "half a response is none")
}

func TestHoldLast(t *testing.T) {
	p, o := startHTTP(t, Rules{HoldLast: true})
	u := newUser(t, p.Addr(), alice)
	c := u.raw()
	write(t, c, "GET /drip HTTP/1.1\r\nHost: x\r\n\r\n")
	o.drip("one")
	quiet(t, c, c)
	o.drip("two")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	require.NoError(t, err)
	reads(t, resp.Body, "one")
	quiet(t, c, br)
	close(o.pieces)
	rest, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "two", string(rest))
	require.Equal(t, 2, p.Counts().Times(RuleHoldLast))

	client, br, server := u.socket(o)
	first, second := text("first"), text("second")
	write(t, server, first[:3])
	write(t, server, first[3:]) // The rest of a frame releases nothing.
	quiet(t, client, br)
	write(t, server, second)
	reads(t, br, first)
	quiet(t, client, br)
	require.NoError(t, server.Close())
	reads(t, br, second)
}

func TestHoldTime(t *testing.T) {
	p, o := startHTTP(t, Rules{HoldLast: true, HoldTime: brief})
	resp := newUser(t, p.Addr(), alice).open2(o, "one")
	reads(t, resp.Body, "one")
	require.GreaterOrEqual(t, p.Counts().Done[RuleHoldLast].MinTime, brief)

	p, o = startHTTP(t, Rules{HoldFirst: 100, HoldTime: brief})
	resp = newUser(t, p.Addr(), alice).open2(o, "two")
	reads(t, resp.Body, "two")
	require.GreaterOrEqual(t, p.Counts().Done[RuleHoldFirst].MinTime, brief)
	o.drip("three")
	reads(t, resp.Body, "three")
	require.Equal(t, 1, p.Counts().Times(RuleHoldFirst), "only the first bytes are held")
}

// open2 opens a drip whose first piece is sent before its head has come.
func (u *user) open2(o *origin, piece string) *http.Response {
	u.t.Helper()
	go o.drip(piece)
	return u.open("/drip")
}

func TestHoldFirst(t *testing.T) {
	p, o := startHTTP(t, Rules{HoldFirst: 5})
	u := newUser(t, p.Addr(), alice)
	c := u.raw()
	write(t, c, "GET /drip HTTP/1.1\r\nHost: x\r\n\r\n")
	o.drip("1234")
	quiet(t, c, c)
	o.drip("5")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	reads(t, resp.Body, "12345")
	o.drip("6")
	reads(t, resp.Body, "6")
	require.EqualValues(t, 5, p.Counts().Done[RuleHoldFirst].MaxBytes)
	_, body, err := u.get("/size/3")
	require.NoError(t, err)
	require.Equal(t, "xxx", body, "the end releases what is held")

	client, br, server := u.socket(o)
	write(t, server, text("a"))
	quiet(t, client, br)
	write(t, server, text("b"))
	reads(t, br, text("a")+text("b"))
	write(t, server, text("c"))
	reads(t, br, text("c"))
}

func TestUpgradesStrippedAndRefused(t *testing.T) {
	p, o := startHTTP(t, Rules{Upgrades: UpgradesStripped})
	u := newUser(t, p.Addr(), alice)
	_, _, resp := u.upgrade()
	require.Equal(t, http.StatusUpgradeRequired, resp.StatusCode, "the server sees no upgrade")
	require.Equal(t, 1, p.Counts().Times(RuleUpgradeStripped))
	require.Equal(t, 1, p.Counts().Requests)

	p.Set(Rules{Upgrades: UpgradesRefused})
	_, _, resp = u.upgrade()
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	p.Set(Rules{Upgrades: UpgradesRefused, RefuseStatus: http.StatusNotImplemented})
	_, _, resp = u.upgrade()
	require.Equal(t, http.StatusNotImplemented, resp.StatusCode)
	require.Equal(t, 2, p.Counts().Times(RuleUpgradeRefused))
	require.Empty(t, o.socket)
	u.echo(http.MethodPost, "ordinary requests pass")
}

func TestCookiesStripped(t *testing.T) {
	p, _ := startHTTP(t, Rules{StripCookies: true, StripSetCookies: true})
	u := newUser(t, p.Addr(), alice)
	s, resp := u.echo(http.MethodGet, "", "Cookie", "a=1")
	require.Empty(t, s.Header["Cookie"])
	require.Empty(t, resp.Header["Set-Cookie"])
	u.echo(http.MethodGet, "")
	require.Equal(t, 1, p.Counts().Times(RuleCookies))
	require.Equal(t, 2, p.Counts().Times(RuleSetCookies))
}

func TestHTTP10(t *testing.T) {
	p, _ := startHTTP(t, Rules{HTTP10: true})
	u := newUser(t, p.Addr(), alice)
	req := u.request(http.MethodPost, "/echo", "", "Expect", "100-continue")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("chunks")), -1
	resp, body, err := u.do(req)
	require.NoError(t, err)
	require.Contains(t, body, `"Proto":"HTTP/1.0"`)
	require.Contains(t, body, `"Body":"chunks"`)
	require.Contains(t, body, `"Connection":["close"]`)
	require.Contains(t, body, `"Content-Length":["6"]`)
	require.True(t, resp.Close)
	_, body, err = u.get("/size/5000?chunked")
	require.NoError(t, err)
	require.Len(t, body, 5000)
	_, _, resp = u.upgrade()
	require.Equal(t, http.StatusUpgradeRequired, resp.StatusCode)
	require.Equal(t, 3, p.Counts().Times(RuleHTTP10))
	require.Equal(t, 3, p.Counts().Conns)
}

func TestGzip(t *testing.T) {
	p, o := startHTTP(t, Rules{Gzip: true})
	u := newUser(t, p.Addr(), alice)
	for _, accept := range []string{"", "br", "gzip;q=0", "gzip; q=0.0"} {
		resp, _, err := u.get("/size/1000", "Accept-Encoding", accept)
		require.NoError(t, err)
		require.Empty(t, resp.Header.Get("Content-Encoding"), accept)
	}
	resp, body, err := u.get("/size/1000", "Accept-Encoding", "br, gzip")
	require.NoError(t, err)
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	require.Less(t, len(body), 500)
	z, err := gzip.NewReader(strings.NewReader(body))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("x", 1000), string(plain))
	require.EqualValues(t, 1000, p.Counts().Done[RuleGzip].MaxBytes)

	drip, err := u.http.Do(u.request(http.MethodGet, "/drip", "", "Accept-Encoding", "gzip"))
	require.NoError(t, err)
	defer drip.Body.Close()
	o.drip("one")
	z, err = gzip.NewReader(drip.Body)
	require.NoError(t, err)
	reads(t, z, "one")
	o.drip("two")
	reads(t, z, "two")
}

func TestCutAllAndClose(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	u := newUser(t, p.Addr(), alice)
	_, br, _ := u.socket(o)
	held := u.status("/hold")
	await(t, o.came, "no request")
	require.Equal(t, 2, p.CutAll(ByAnswer))
	require.Equal(t, http.StatusGatewayTimeout, <-held)
	_, err := br.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 2, p.Counts().Times(RuleCutAll))

	_, br, _ = u.socket(o)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	_, err = br.ReadByte()
	require.Error(t, err)
	require.Zero(t, p.Counts().Open)
	_, err = NewHTTP()
	require.Error(t, err)
}
