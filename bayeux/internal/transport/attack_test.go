package transport

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSlowBody: a body that does not come costs a connection for a while, not
// for ever.
func TestSlowBody(t *testing.T) {
	for name, head := range map[string]string{
		"length":   request("POST /cometd", "", "Content-Length: 100") + `[{`,
		"chunked":  request("POST /cometd", "", "Transfer-Encoding: chunked") + "10\r\n[{",
		"in a GET": request("GET /cometd?jsonp=f&message={}", "", "Content-Length: 100") + "x",
		"no byte":  request("POST /cometd", "", "Content-Length: 100"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub, seen := simpleHub(), newCounts()
				conn := servePipes(t, NewHandler(hub, Options{Observer: seen})).dial(t)
				start := time.Now()
				conn.send(head)
				r, body := conn.response(t)
				require.Equal(t, 408, r.StatusCode, body)
				require.Equal(t, 30*time.Second, time.Since(start))
				require.True(t, r.Close)
				requireErrorPage(t, r)
				conn.requireClosed(t)
				require.Zero(t, hub.calls())
				require.Equal(t, 1, seen.limit(limitBodyTimeout))
			})
		})
	}
}

func TestDrippingBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := simpleHub()
		conn := servePipes(t, NewHandler(hub, Options{BodyTimeout: 5 * time.Second})).dial(t)
		start := time.Now()
		conn.send(request("POST /cometd", "", "Content-Length: 100"))
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				if _, err := conn.Write([]byte(" ")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		r, _ := conn.response(t)
		defer wg.Wait()
		defer func() { _ = conn.Close() }()
		require.Equal(t, 408, r.StatusCode)
		require.Equal(t, 5*time.Second, time.Since(start))
		require.Zero(t, hub.calls())
	})
}

func TestSlowBodyWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := servePipes(t, NewHandler(simpleHub(), Options{BodyTimeout: -1})).dial(t)
		conn.send(request("POST /cometd", "", "Content-Length: 4") + `[`)
		time.Sleep(24 * time.Hour)
		conn.send(`{}]`)
		r, _ := conn.response(t)
		require.Equal(t, 200, r.StatusCode)
	})
}

// TestUnreadBodies: requests that are refused without a look at their body are
// answered at once, and do not keep the connection waiting for the body.
func TestUnreadBodies(t *testing.T) {
	small := Options{LongPolling: Bounds{MaxMessageSize: 100}}
	for name, c := range map[string]struct {
		head   string
		status int
	}{
		"too large": {request("POST /cometd", "", "Content-Length: 101"), 413},
		"huge":      {request("POST /cometd", "", "Content-Length: 1000000000000"), 413},
		"charset":   {request("POST /cometd", "", "Content-Length: 10", "Content-Type: a/b; charset=x"), 415},
		"encoding":  {request("POST /cometd", "", "Content-Length: 10", "Content-Encoding: gzip"), 400},
		"method":    {request("PUT /cometd", "", "Content-Length: 10"), 400},
		"chunked":   {request("PUT /cometd", "", "Transfer-Encoding: chunked"), 400},
		"GET":       {request("GET /cometd", "", "Content-Length: 10"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := servePipes(t, NewHandler(simpleHub(), small)).dial(t)
				start := time.Now()
				conn.send(c.head)
				r, body := conn.response(t)
				require.Equal(t, c.status, r.StatusCode, body)
				require.Zero(t, time.Since(start))
				require.True(t, r.Close)
				conn.requireClosed(t)
				require.LessOrEqual(t, time.Since(start), 31*time.Second)
			})
		})
	}
}

// TestEndlessBody sends chunks for ever: the server must stop reading.
func TestEndlessBody(t *testing.T) { // [R-HT-9]
	synctest.Test(t, func(t *testing.T) {
		conn := servePipes(t, NewHandler(simpleHub(), Options{LongPolling: Bounds{MaxMessageSize: 1000}})).dial(t)
		sent := make(chan int, 1)
		go func() {
			conn.send(request("POST /cometd", "", "Transfer-Encoding: chunked"))
			n := 0
			for {
				m, err := conn.Write([]byte("a\r\n          \r\n"))
				if n += m; err != nil {
					sent <- n
					return
				}
			}
		}()
		r, _ := conn.response(t)
		require.Equal(t, 413, r.StatusCode)
		conn.requireClosed(t)
		_ = conn.Close()
		require.Less(t, <-sent, 1_000_000)
	})
}

// TestAbortedBody: what did not arrive whole is not processed.
func TestAbortedBody(t *testing.T) {
	for name, head := range map[string]string{
		"length":     request("POST /cometd", "", "Content-Length: 100") + connectJSON,
		"chunked":    request("POST /cometd", "", "Transfer-Encoding: chunked") + "4\r\n[{}]\r\n",
		"in a chunk": request("POST /cometd", "", "Transfer-Encoding: chunked") + "40\r\n[{}]",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub, seen := simpleHub(), newCounts()
				conn := servePipes(t, NewHandler(hub, Options{Observer: seen})).dial(t)
				conn.send(head)
				synctest.Wait()
				require.NoError(t, conn.Close())
				synctest.Wait()
				require.Zero(t, hub.calls())
				require.Equal(t, 1, seen.event(EventRefused))
			})
		})
	}
}

func TestBrokenChunks(t *testing.T) {
	for name, chunks := range map[string]string{
		"no number":      "x\r\n[{}]\r\n0\r\n\r\n",
		"negative":       "-4\r\n[{}]\r\n0\r\n\r\n",
		"too long":       "fffffffffffffffff\r\n[{}]\r\n0\r\n\r\n",
		"no line end":    "4\r\n[{}]xx0\r\n\r\n",
		"wrong length":   "3\r\n[{}]\r\n0\r\n\r\n",
		"long extension": "4;" + strings.Repeat("x", 100_000) + "\r\n[{}]\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			status, _, _ := askFor(t, Options{}, request("POST /cometd", "", "Transfer-Encoding: chunked")+chunks)
			require.Equal(t, 400, status)
		})
	}
}

// TestContradictingLengths: no length may be read in two ways, or a proxy in
// front and we would see different requests.
func TestContradictingLengths(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		status  int
	}{
		"two lengths":      {[]string{"Content-Length: 4", "Content-Length: 5"}, 400},
		"list of lengths":  {[]string{"Content-Length: 4, 5"}, 400},
		"signed":           {[]string{"Content-Length: +4"}, 400},
		"negative":         {[]string{"Content-Length: -4"}, 400},
		"two codings":      {[]string{"Transfer-Encoding: chunked", "Transfer-Encoding: identity"}, 501},
		"unknown coding":   {[]string{"Transfer-Encoding: gzip, chunked"}, 501},
		"hidden coding":    {[]string{"Transfer-Encoding: xchunked"}, 501},
		"blank in name":    {[]string{"Content-Length : 4"}, 400},
		"folded":           {[]string{"X-A: b", " Content-Length: 4", "Content-Length: x"}, 400},
		"control in value": {[]string{"Content-Length: 4\x00"}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			hub := simpleHub()
			r, _ := ask(t, NewHandler(hub, Options{}), request("POST /cometd", "", c.headers...)+"[{}]")
			require.Equal(t, c.status, r.StatusCode)
			require.Zero(t, hub.calls())
		})
	}
	t.Run("length and chunks", func(t *testing.T) {
		// By RFC 9112 the chunks count; what a reader by length would take for
		// the body's rest is a request of its own.
		synctest.Test(t, func(t *testing.T) {
			hub := simpleHub()
			conn := servePipes(t, NewHandler(hub, Options{})).dial(t)
			body := "4\r\n[{}]\r\n0\r\n\r\n"
			go conn.send(request("POST /cometd", "", "Content-Length: 4", "Transfer-Encoding: chunked") + body)
			r, _ := conn.response(t)
			require.Equal(t, 200, r.StatusCode)
			synctest.Wait()
			require.Equal(t, 1, hub.calls())
		})
	})
}

func TestHugeHeaders(t *testing.T) {
	limited := func(s *http.Server) { s.MaxHeaderBytes = 8 << 10 }
	for name, req := range map[string]string{
		"one":    post(connectJSON, "X-A: "+strings.Repeat("a", 100_000)),
		"many":   post(connectJSON, strings.Repeat("X-A: a\r\n", 20_000)+"X-B: b"),
		"target": get("/cometd?jsonp=f&message=" + strings.Repeat("+", 100_000)),
		"cookie": post(connectJSON, "Cookie: "+strings.Repeat("a=b; ", 20_000)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := simpleHub()
				conn := servePipes(t, NewHandler(hub, Options{}), limited).dial(t)
				go conn.send(req)
				r, _ := conn.response(t)
				require.Equal(t, 431, r.StatusCode)
				require.Zero(t, hub.calls())
			})
		})
	}
}

func TestManyCookies(t *testing.T) { // [R-ID-3]
	hub := simpleHub()
	var cookies strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&cookies, "c%d=%d; ", i, i)
	}
	r, _ := ask(t, NewHandler(hub, Options{}), post(connectJSON, "Cookie: "+cookies.String()+"BAYEUX_BROWSER=abc"))
	require.Equal(t, 200, r.StatusCode)
	from, _ := hub.last(t)
	require.Equal(t, "abc", from.Browser)
}

func TestForgedChains(t *testing.T) {
	hub := simpleHub()
	h := NewHandler(hub, Options{Trusted: prefixes(t, "192.0.2.0/24", "10.0.0.0/8")})
	ask(t, h, post(connectJSON, "X-Forwarded-For: "+strings.Repeat("10.0.0.1, ", 5000)+"203.0.113.7, 10.0.0.2"))
	from, _ := hub.last(t)
	require.Equal(t, "203.0.113.7:0", from.Request.Remote.String())
}

// TestHostileReasons: a reason must not become a header or markup.
func TestHostileReasons(t *testing.T) {
	r, page := ask(t, NewHandler(simpleHub(), Options{}), post(`[{}]`, "Content-Encoding: <script>"+strings.Repeat("x", 1000)))
	require.Equal(t, 400, r.StatusCode)
	require.Less(t, len(page), 120)
	requireErrorPage(t, r)
}
