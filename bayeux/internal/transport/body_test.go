package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// askFor posts a body and returns the status, the page and the ids that the hub
// was asked about.
func askFor(t *testing.T, o Options, req string) (status int, page string, ids []string) {
	t.Helper()
	hub := simpleHub()
	r, page := ask(t, NewHandler(hub, o), req)
	if hub.calls() > 0 {
		_, ids = hub.last(t)
	}
	if r.StatusCode >= 400 {
		require.Empty(t, ids, "a refused request must not reach the hub")
		requireErrorPage(t, r)
	}
	return r.StatusCode, page, ids
}

// Case 98.
func TestContentTypes(t *testing.T) { // [R-LP-1]
	for _, kind := range []string{
		"", "application/json", "application/json;charset=UTF-8", `text/json; charset="utf-8"`, "text/plain",
		"application/x-www-form-urlencoded", "application/octet-stream", "nonsense", "a/b; c", ";;", "text/plain; charset=",
		"APPLICATION/JSON; CHARSET=utf8",
	} {
		t.Run(kind, func(t *testing.T) {
			var headers []string
			if kind != "" {
				headers = append(headers, "Content-Type: "+kind)
			}
			status, _, ids := askFor(t, Options{}, post(" \r\n\t"+`[{"id":"1"},{"id":"2"}]`, headers...))
			require.Equal(t, 200, status)
			require.Equal(t, []string{"1", "2"}, ids)
			status, _, ids = askFor(t, Options{}, post(`{"id":"3"}`, headers...))
			require.Equal(t, 200, status)
			require.Equal(t, []string{"3"}, ids)
		})
	}
}

func TestForms(t *testing.T) { // [R-LP-1], WIRE 16
	one, two := url.QueryEscape(`[{"id":"1"}]`), url.QueryEscape(`[{"id":"2"},{"id":"3"}]`)
	for name, c := range map[string]struct {
		body   string
		status int
		ids    []string
	}{
		"one field":         {"message=" + one, 200, []string{"1"}},
		"two fields":        {"message=" + one + "&x=y&message=" + two, 200, []string{"1", "2", "3"}},
		"an object":         {"message=" + url.QueryEscape(`{"id":"1"}`), 200, []string{"1"}},
		"escaped name":      {"m%65ssage=" + one, 200, []string{"1"}},
		"plus for blank":    {`message=[{"id":+"1"}]`, 200, []string{"1"}},
		"semicolons stay":   {`message=[{"id":"1","data":"a;b"}]`, 200, []string{"1"}},
		"JSON all the same": {`[{"id":"1","data":"&message=5"}]`, 200, []string{"1"}},
		"no such field":     {"messages=" + one, 400, nil},
		"nothing":           {"", 400, nil},
		"bad escape":        {"message=%zz", 400, nil},
		"bad escape apart":  {"%zz=%zz&message=" + one, 200, []string{"1"}},
		"bad JSON":          {"message=" + one + "&message=x", 400, nil},
		"no value":          {"message", 400, nil},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, ids := askFor(t, Options{}, post(c.body, "Content-Type: application/x-www-form-urlencoded; charset=UTF-8"))
			require.Equal(t, c.status, status)
			require.Equal(t, c.ids, ids)
		})
	}
	status, _, _ := askFor(t, Options{}, post("message="+one, "Content-Type: text/plain"))
	require.Equal(t, 400, status)
}

// Case 93.
func TestCharsets(t *testing.T) { // [R-LP-3]
	for name, c := range map[string]struct {
		kind, text string
		want       string
	}{
		"ISO-8859-1":           {"application/json;charset=ISO-8859-1", "\xe9", `"é"`},
		"ISO-8859-7":           {"application/json; charset=iso-8859-7", "\xe1", `"α"`},
		"quoted":               {`application/json; charset="ISO-8859-1"`, "\xe9", `"é"`},
		"utf-8":                {"application/json; charset=UTF8", "é", `"é"`},
		"none":                 {"application/json", "é", `"é"`},
		"ASCII":                {"text/plain; charset=us-ascii", "e", `"e"`},
		"Shift_JIS":            {"text/plain; charset=Shift_JIS", "\x83\x5c", `"ソ"`},
		"form with ISO-8859-1": {"application/x-www-form-urlencoded; charset=ISO-8859-1", "%E9", `"é"`},
	} {
		t.Run(name, func(t *testing.T) {
			hub := simpleHub()
			body := `[{"data":"` + c.text + `"}]`
			if strings.Contains(c.text, "%") {
				body = "message=" + body
			}
			r, page := ask(t, NewHandler(hub, Options{}), post(body, "Content-Type: "+c.kind))
			require.Equal(t, 200, r.StatusCode, page)
			require.Equal(t, c.want, string(hub.batches[0][0].Data))
		})
	}
	for _, name := range []string{"klingon", "utf-7", "iso-2022-kr", "x y"} {
		status, page, _ := askFor(t, Options{}, post(`[{}]`, fmt.Sprintf("Content-Type: application/json; charset=%q", name)))
		require.Equal(t, 415, status, name)
		require.Contains(t, page, name)
	}
	status, _, _ := askFor(t, Options{}, post("[{\"data\":\"\xe9\"}]"))
	require.Equal(t, 400, status, "Latin-1 without a charset is not UTF-8")
}

func TestBadBodies(t *testing.T) { // [R-HT-7], [R-HT-8]
	deep := `[{"data":` + strings.Repeat("[", 100_000)
	for name, body := range map[string]string{
		"empty": "", "blank": " ", "text": "hello", "cut": `[{"channel":`, "number": "5", "string": `"x"`, "null": "null",
		"array of number": "[5]", "array of null": "[null]", "array in array": "[[]]", "trailing": "[{}]x", "BOM": "\ufeff[{}]",
		"deep": deep,
	} {
		t.Run(name, func(t *testing.T) {
			hub := simpleHub()
			r, page := ask(t, NewHandler(hub, Options{}), post(body))
			require.Equal(t, 400, r.StatusCode)
			require.Greater(t, len(page), 10, "the page says why")
			require.Zero(t, hub.calls())
			require.False(t, r.Close, "the connection may go on")
		})
	}
}

func TestEmptyArray(t *testing.T) { // WIRE 16
	hub := simpleHub()
	h := NewHandler(hub, Options{})
	r, body := ask(t, h, post(" [ ] "))
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "[]", body)
	require.Equal(t, "application/json", r.Header.Get("Content-Type"))
	r, body = ask(t, h, get("/cometd?jsonp=cb&message=[]&message=[]"))
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, "cb([])", body)
	require.Zero(t, hub.calls())
}

func TestBodyLimit(t *testing.T) { // [R-HT-9]
	chunked := func(body string) string {
		return request("POST /cometd", "", "Transfer-Encoding: chunked") +
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	pad := func(n int) string { return "[{}" + strings.Repeat(" ", n-4) + "]" }
	small := Options{LongPolling: Bounds{MaxMessageSize: 100}}
	for name, c := range map[string]struct {
		o       Options
		request string
		status  int
	}{
		"at the limit":          {small, post(pad(100)), 200},
		"above":                 {small, post(pad(101)), 413},
		"at the limit, chunked": {small, chunked(pad(100)), 200},
		"above, chunked":        {small, chunked(pad(101)), 413},
		"default":               {Options{}, post(pad(1_000_000)), 200},
		"above default":         {Options{}, post(pad(1_000_001)), 413},
		"no limit":              {Options{LongPolling: Bounds{MaxMessageSize: -1}}, chunked(pad(1_200_000)), 200},
		"announced only":        {small, request("POST /cometd", "", "Content-Length: 101"), 413},
		"expecting to go on":    {small, request("POST /cometd", "", "Content-Length: 101", "Expect: 100-continue"), 413},
	} {
		t.Run(name, func(t *testing.T) {
			seen := newCounts()
			c.o.Observer = seen
			status, page, _ := askFor(t, c.o, c.request)
			require.Equal(t, c.status, status, page)
			if status == 413 {
				require.Contains(t, page, "maxMessageSize")
				require.Contains(t, page, fmt.Sprint(c.o.withDefaults().LongPolling.MaxMessageSize))
				require.Equal(t, 1, seen.limit(limitBody))
			}
		})
	}
}

// TestAnnouncedLengthGetsNoMemory: only what arrives does.
func TestAnnouncedLengthGetsNoMemory(t *testing.T) {
	body, err := readAll(nil, strings.NewReader("x"), 1_000_000, 1_000_000)
	require.NoError(t, err)
	require.Equal(t, "x", string(body))
	require.Less(t, cap(body), 2*firstRead)
}

// TestBodyLimitInFront: middleware may have set a smaller limit.
func TestBodyLimitInFront(t *testing.T) { // [R-HT-9]
	hub := simpleHub()
	r, page := ask(t, http.MaxBytesHandler(NewHandler(hub, Options{}), 10), post(connectJSON))
	require.Equal(t, 413, r.StatusCode)
	require.Contains(t, page, "exceeds 10 bytes")
	require.Zero(t, hub.calls())
}

func TestBatchLimit(t *testing.T) {
	batch := func(n int) string { return "[" + strings.Repeat("{},", n-1) + "{}]" }
	form := "Content-Type: application/x-www-form-urlencoded"
	for name, c := range map[string]struct {
		limit   int
		request string
		status  int
	}{
		"at the limit":          {3, post(batch(3)), 200},
		"above":                 {3, post(batch(4)), 400},
		"default":               {0, post(batch(1000)), 200},
		"above default":         {0, post(batch(1001)), 400},
		"no limit":              {-1, post(batch(2000)), 200},
		"sum of fields":         {3, post("message="+batch(2)+"&message="+batch(1), form), 200},
		"sum of fields above":   {3, post("message="+batch(2)+"&message="+batch(2), form), 400},
		"sum of messages above": {3, get("/?jsonp=f&message=[{},{}]&message=[{},{}]"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			seen := newCounts()
			status, page, _ := askFor(t, Options{MaxLimits: bayeux.Limits{Batch: c.limit}, Observer: seen}, c.request)
			require.Equal(t, c.status, status)
			if status == 400 {
				require.Regexp(t, "more than [0-9]+ messages", page)
				require.Equal(t, 1, seen.limit(limitBatch))
			}
		})
	}
}

func TestDepthLimit(t *testing.T) {
	seen := newCounts()
	o := Options{MaxLimits: bayeux.Limits{Depth: 4}, Observer: seen}
	status, _, _ := askFor(t, o, post(`[{"data":[[]]}]`))
	require.Equal(t, 200, status)
	status, page, _ := askFor(t, o, post(`[{"data":[[[]]]}]`))
	require.Equal(t, 400, status)
	require.Contains(t, page, "nested deeper than 4")
	require.Equal(t, 1, seen.limit(limitDepth))
}

func TestContentEncodings(t *testing.T) { // [R-HT-11]
	for _, name := range []string{"gzip", "deflate", "br", "identity, gzip", "x"} {
		status, page, _ := askFor(t, Options{}, post(`[{}]`, "Content-Encoding: "+name))
		require.Equal(t, 400, status, name)
		require.Contains(t, page, strings.TrimPrefix(name, "identity, "))
	}
	status, _, _ := askFor(t, Options{}, post(`[{}]`, "Content-Encoding: Identity", "Accept-Encoding: gzip"))
	require.Equal(t, 200, status)
	r, _ := ask(t, NewHandler(simpleHub(), Options{}), post(`[{}]`, "Accept-Encoding: gzip, deflate"))
	require.Empty(t, r.Header["Content-Encoding"])
}

// TestBuffersAreNotShared has one request after the other in the same pooled
// buffers.
func TestBuffersAreNotShared(t *testing.T) {
	hub := simpleHub()
	h := NewHandler(hub, Options{})
	for i := range 20 {
		ask(t, h, post(fmt.Sprintf(`[{"id":"%d","data":"%s"}]`, i, strings.Repeat("x", 100-i))))
	}
	require.Len(t, hub.batches, 20)
	for i, batch := range hub.batches {
		require.Equal(t, fmt.Sprint(i), batch[0].ID)
		require.Equal(t, `"`+strings.Repeat("x", 100-i)+`"`, string(batch[0].Data))
	}
}
