package transport

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

const connectJSON = `[{"channel":"/meta/connect","id":"7"}]`

// Cases 97 and 99.
func TestDispatch(t *testing.T) {
	upgrade := []string{"Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13"}
	query := "/cometd?jsonp=cb&message=" + "%5B%7B%22id%22:%227%22%7D%5D"
	for name, c := range map[string]struct {
		request string
		allowed []string
		status  int
		carrier string // that was asked; empty: none
	}{
		"[R-HT-1] mount":            {request: post(connectJSON), status: 200, carrier: LongPolling},
		"[R-HT-1] slash":            {request: request("POST /cometd/", connectJSON), status: 200, carrier: LongPolling},
		"[R-HT-1] suffix":           {request: request("POST /cometd/x/y", connectJSON), status: 200, carrier: LongPolling},
		"[R-HT-1] query":            {request: request("POST /cometd?a=%zz&jsonp=x", connectJSON), status: 200, carrier: LongPolling},
		"[R-HT-2] GET":              {request: get("/cometd"), status: 400},
		"[R-HT-2] GET with message": {request: get("/cometd?message=%5B%5D"), status: 400},
		"[R-HT-2] GET with jsonp":   {request: get(query), status: 200, carrier: CallbackPolling},
		"[R-HT-2] HEAD with jsonp":  {request: request("HEAD "+query, ""), status: 400},
		"[R-HT-2] PUT":              {request: request("PUT /cometd", connectJSON), status: 400},
		"[R-HT-2] PUT with jsonp":   {request: request("PUT "+query, connectJSON), status: 400},
		"[R-HT-2] DELETE":           {request: request("DELETE /cometd", ""), status: 400},
		"[R-HT-2] PATCH":            {request: request("PATCH /cometd", connectJSON), status: 400},
		"[R-HT-2] TRACE":            {request: request("TRACE /cometd", ""), status: 400},
		"[R-LP-4] post":             {request: request("post /cometd", connectJSON), status: 400},
		"[R-LP-4] get":              {request: request("get "+query, ""), status: 400},
		"[R-HT-3] OPTIONS":          {request: request("OPTIONS /cometd/x", ""), status: 200},
		"[R-HT-3] OPTIONS, none allowed": {
			request: request("OPTIONS /cometd", ""), allowed: []string{"none"}, status: 200,
		},
		"[R-HT-2] POST not allowed": {request: post(connectJSON), allowed: []string{CallbackPolling, WebSocket}, status: 400},
		"[R-HT-2] GET not allowed":  {request: get(query), allowed: []string{LongPolling, WebSocket}, status: 400},
		"upgrade":                   {request: get("/cometd", upgrade...), status: 299, carrier: WebSocket},
		"upgrade with suffix":       {request: get("/cometd/58.0", upgrade...), status: 299, carrier: WebSocket},
		"upgrade with jsonp":        {request: get(query, upgrade...), status: 299, carrier: WebSocket},
		"upgrade to h2c":            {request: get(query, "Connection: Upgrade", "Upgrade: h2c"), status: 200, carrier: CallbackPolling},
		"POST with upgrade":         {request: post(connectJSON, upgrade...), status: 200, carrier: LongPolling},
		"no Connection":             {request: get("/cometd", upgrade[1]), status: 400},
		"R-WS-4 not allowed":        {request: get("/cometd", upgrade...), allowed: []string{LongPolling}, status: 400},
		"R-WS-4 nor by jsonp": {
			request: get(query, upgrade...), allowed: []string{LongPolling, CallbackPolling}, status: 400,
		},
	} {
		t.Run(name, func(t *testing.T) {
			hub := simpleHub()
			var carrier string
			o := Options{Allowed: c.allowed, WebSocket: func(w http.ResponseWriter, _ *http.Request, from Origin) {
				carrier = from.Transport
				w.WriteHeader(299)
			}}
			r, body := ask(t, NewHandler(hub, o), c.request)
			if hub.calls() > 0 {
				from, _ := hub.last(t)
				carrier = from.Transport
			}
			require.Equal(t, c.status, r.StatusCode)
			require.Equal(t, c.carrier, carrier)
			requireNoCORS(t, r)
			switch {
			case c.status == 400 && !strings.HasPrefix(c.request, "HEAD"):
				require.Equal(t, "Unknown Bayeux Transport\n", body)
				requireErrorPage(t, r)
			case c.carrier == "":
				require.Empty(t, body)
			}
		})
	}
}

func TestUpgradeWithoutCarrier(t *testing.T) { // [R-WS-4]
	r, _ := ask(t, NewHandler(simpleHub(), Options{}), get("/cometd", "Connection: Upgrade", "Upgrade: websocket"))
	require.Equal(t, 400, r.StatusCode)
}

// requireNoCORS checks [R-HT-4].
func requireNoCORS(t *testing.T, r *http.Response) {
	t.Helper()
	for name := range r.Header {
		require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
	}
}

// requireErrorPage checks [R-HT-5].
func requireErrorPage(t *testing.T, r *http.Response) {
	t.Helper()
	require.Equal(t, "must-revalidate,no-cache,no-store", r.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "text/plain;charset=UTF-8", r.Header.Get("Content-Type"))
}

func TestOriginHeaderIsNotChecked(t *testing.T) { // [R-HT-4]
	r, _ := ask(t, NewHandler(simpleHub(), Options{}), post(connectJSON, "Origin: https://elsewhere.example"))
	require.Equal(t, 200, r.StatusCode)
	requireNoCORS(t, r)
}

func TestAnswer(t *testing.T) {
	reply := replies(`{"id":"1"}`, `{"id":"2"}`)
	all := reply
	all.Handshake = []byte(`{"id":"0"}`)
	all.Messages = frozen(`{"data":1}`, `{"data":2}`)
	messages := reply
	messages.Messages = all.Messages
	groups := Output{Replies: [][][]byte{{[]byte(`{"id":"1"}`)}, nil, {[]byte(`{"id":"2"}`)}}}
	for name, c := range map[string]struct {
		out  Output
		want string
	}{
		"R-MSG-2 one reply":        {replies(`{"id":"1"}`), `[{"id":"1"}]`},
		"R-OUT-1 replies":          {reply, `[{"id":"1"},{"id":"2"}]`},
		"R-OUT-2 messages":         {messages, `[{"data":1},{"data":2},{"id":"1"},{"id":"2"}]`},
		"R-OUT-2 handshake first":  {all, `[{"id":"0"},{"data":1},{"data":2},{"id":"1"},{"id":"2"}]`},
		"R-OUT-2 groups":           {groups, `[{"id":"1"},{"id":"2"}]`},
		"R-OUT-3 no reply":         {Output{Messages: frozen(`{"data":1}`)}, `[{"data":1}]`},
		"R-OUT-3 nothing":          {Output{}, `[]`},
		"line separators for JSON": {replies("\"\u2028\""), "[\"\u2028\"]"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &fakeExchange{out: c.out}
			r, body := ask(t, NewHandler(hubOf(e), Options{}), post(connectJSON))
			require.Equal(t, c.want, body)
			require.Equal(t, 200, r.StatusCode)
			require.EqualValues(t, len(body), r.ContentLength)
			require.Equal(t, "application/json", r.Header.Get("Content-Type")) // [R-LP-2]
			names := slices.Collect(maps.Keys(r.Header))
			require.ElementsMatch(t, // [R-HT-5]
				[]string{"Content-Type", "Content-Length", "Date", "X-Content-Type-Options"}, names)
			e.requireDone(t, len(c.out.Messages), true)
		})
	}
}

func TestLargeAnswerIsWhole(t *testing.T) {
	big := `"` + strings.Repeat("x", 3*writeChunk+17) + `"`
	e := &fakeExchange{out: Output{Messages: frozen(big, big)}}
	r, body := ask(t, NewHandler(hubOf(e), Options{}), post(connectJSON))
	require.Equal(t, "["+big+","+big+"]", body)
	require.EqualValues(t, len(body), r.ContentLength)
	e.requireDone(t, 2, true)
}

func TestSetCookie(t *testing.T) { // [R-HS-14], [R-HS-15]
	out := replies(`{}`)
	out.SetBrowser = "abc"
	r, _ := ask(t, NewHandler(hubOf(&fakeExchange{out: out}), Options{}), post(connectJSON))
	require.Equal(t, []string{"BAYEUX_BROWSER=abc; Path=/; HttpOnly"}, r.Header["Set-Cookie"])

	o := Options{Cookie: Cookie{Secure: true}, Trusted: prefixes(t, "192.0.2.0/24")}
	r, _ = ask(t, NewHandler(hubOf(&fakeExchange{out: out}), o), post(connectJSON, "X-Forwarded-Proto: https"))
	require.Equal(t, []string{"BAYEUX_BROWSER=abc; Path=/; HttpOnly; Secure"}, r.Header["Set-Cookie"])

	o.Trusted = nil
	r, _ = ask(t, NewHandler(hubOf(&fakeExchange{out: out}), o), post(connectJSON, "X-Forwarded-Proto: https"))
	require.Equal(t, []string{"BAYEUX_BROWSER=abc; Path=/; HttpOnly"}, r.Header["Set-Cookie"])
}

func TestRefusalsOfTheHub(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		retry  string
		body   string
	}{
		"status":              {&StatusError{Status: 400, Reason: "handshake with others"}, 400, "", "handshake with others\n"},
		"retry":               {&StatusError{Status: 429, Reason: "busy", RetryAfter: 1200 * time.Millisecond}, 429, "2", "busy\n"},
		"wrapped":             {errors.Join(errors.New("x"), &StatusError{Status: 503}), 503, "", "Service Unavailable\n"},
		"[R-HT-6] unexpected": {errors.New("secret"), 500, "", "internal error\n"},
		"not an error":        {&StatusError{Status: 200, Reason: "fine"}, 500, "", "internal error\n"},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &fakeHub{script: func(context.Context, Origin, []*bayeux.Message) (Exchange, error) { return nil, c.err }}
			r, body := ask(t, NewHandler(hub, Options{}), post(connectJSON))
			require.Equal(t, c.status, r.StatusCode)
			require.Equal(t, c.body, body)
			require.Equal(t, c.retry, r.Header.Get("Retry-After"))
			requireErrorPage(t, r)
		})
	}
}

func TestDuplicateConnect(t *testing.T) { // [R-CN-20]
	for _, status := range []int{500, 409} {
		e := &fakeExchange{out: Output{Err: &StatusError{Status: status, Reason: "duplicate"}, SetBrowser: "x"}}
		r, body := ask(t, NewHandler(hubOf(e), Options{}), post(connectJSON))
		require.Equal(t, status, r.StatusCode)
		require.Equal(t, "duplicate\n", body)
		require.Empty(t, r.Header["Set-Cookie"])
		requireErrorPage(t, r)
		e.requireDone(t, 0, false)
	}
}

func TestLongReasonsAreCut(t *testing.T) {
	err := &StatusError{Status: 400, Reason: strings.Repeat("é", 400)}
	hub := &fakeHub{script: func(context.Context, Origin, []*bayeux.Message) (Exchange, error) { return nil, err }}
	_, body := ask(t, NewHandler(hub, Options{}), post(connectJSON))
	require.Equal(t, strings.Repeat("é", maxReason/2)+"\n", body)
}

func TestResponseBytes(t *testing.T) {
	query := "/cometd?jsonp=cb&message=" + "%7B%7D"
	for name, c := range map[string]struct {
		options Options
		request string
		want    int
	}{
		"default":          {Options{}, post(`[{}]`), 1_000_000},
		"long-polling":     {Options{LongPolling: Bounds{ResponseBytes: 10}}, post(`[{}]`), 10},
		"callback-polling": {Options{CallbackPolling: Bounds{ResponseBytes: 20}}, get(query), 20},
		"no limit":         {Options{LongPolling: Bounds{ResponseBytes: -1}}, post(`[{}]`), bound(-1, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			e := &fakeExchange{}
			ask(t, NewHandler(hubOf(e), c.options), c.request)
			require.Equal(t, c.want, e.limit)
		})
	}
}

func TestOptionsAreCopied(t *testing.T) {
	o := Options{Allowed: []string{LongPolling}}
	h := NewHandler(simpleHub(), o)
	o.Allowed[0] = WebSocket
	r, _ := ask(t, h, post(connectJSON))
	require.Equal(t, 200, r.StatusCode)
	require.Empty(t, o.CallbackParameter, "defaults must not be written to the caller's options")
}

func TestPanicsOfTheHub(t *testing.T) {
	panics := func(context.Context) { panic("extension") }
	for name, c := range map[string]struct {
		exchange *fakeExchange
		takes    int
	}{
		"in Await": {&fakeExchange{held: true, onWait: func() { panics(nil) }}, 0},
		"in Take":  {&fakeExchange{take: panics}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := servePipes(t, NewHandler(hubOf(c.exchange), Options{}))
				conn := s.dial(t)
				conn.send(post(connectJSON))
				conn.requireClosed(t)
				require.Equal(t, 1, c.exchange.abandoned)
				require.Equal(t, c.takes, c.exchange.takes)

				again := s.dial(t) // The server lives.
				again.send(get("/cometd"))
				r, _ := again.response(t)
				require.Equal(t, 400, r.StatusCode)
			})
		})
	}
	t.Run("in Request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hub := &fakeHub{script: func(context.Context, Origin, []*bayeux.Message) (Exchange, error) { panic("policy") }}
			conn := servePipes(t, NewHandler(hub, Options{})).dial(t)
			conn.send(post(connectJSON))
			conn.requireClosed(t)
		})
	})
}

func TestObserver(t *testing.T) {
	seen := newCounts()
	h := NewHandler(simpleHub(), Options{Observer: seen, LongPolling: Bounds{MaxMessageSize: 100}})
	_, body := ask(t, h, post(connectJSON))
	require.Equal(t, 1, seen.event(EventRequest))
	require.Equal(t, len(connectJSON), seen.in)
	require.Equal(t, len(body), seen.out)
	ask(t, h, post(strings.Repeat(" ", 101)))
	require.Equal(t, 1, seen.event(EventRefused))
	require.Equal(t, 1, seen.limit(limitBody))
	require.Equal(t, 1, seen.event(EventRequest))
}

func BenchmarkPublish(b *testing.B) {
	hub := hubOf(&fakeExchange{out: replies(`{"channel":"/a","id":"7","successful":true}`)})
	h := NewHandler(hub, Options{})
	body := `[{"channel":"/a","id":"7","clientId":"0123456789abcdefghijklmnop","data":{"text":"hello"}}]`
	r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/cometd", nil)
	r.Header.Set("Content-Type", "application/json;charset=UTF-8")
	r.Header.Set("Cookie", "BAYEUX_BROWSER=0123456789abcdef")
	r.ContentLength = int64(len(body))
	b.ReportAllocs()
	for b.Loop() {
		hub.origins, hub.batches = hub.origins[:0], hub.batches[:0]
		r.Body = io.NopCloser(strings.NewReader(body))
		h.ServeHTTP(&nullWriter{header: http.Header{}}, r)
	}
}

type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *nullWriter) FlushError() error           { return nil }
