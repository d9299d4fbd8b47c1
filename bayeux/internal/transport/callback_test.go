package transport

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Cases 105 and 107.
func TestCallbackPolling(t *testing.T) {
	message := func(json string) string { return "message=" + url.QueryEscape(json) }
	for name, c := range map[string]struct {
		query  string
		status int
		ids    []string
		before string
	}{
		"[R-JP-1] one":           {"jsonp=cb&" + message(`[{"id":"1"}]`), 200, []string{"1"}, "cb("},
		"[R-JP-1] callback last": {message(`[{"id":"1"}]`) + "&jsonp=cb", 200, []string{"1"}, "cb("},
		"[R-JP-1] in order": {
			"jsonp=cb&" + message(`[{"id":"1"},{"id":"2"}]`) + "&" + message(`{"id":"3"}`) + "&x&" + message(`[{"id":"4"}]`),
			200,
			[]string{"1", "2", "3", "4"},
			"cb(",
		},
		"[R-JP-1] one empty":     {"jsonp=cb&message=[]&" + message(`{"id":"1"}`), 200, []string{"1"}, "cb("},
		"[R-JP-1] not escaped":   {`jsonp=cb&message=[{"id":"1","data":"a;b"}]`, 200, []string{"1"}, "cb("},
		"[R-JP-3] dots":          {"jsonp=dojo.io_1-x.Z&message={}", 200, []string{""}, "dojo.io_1-x.Z("},
		"[R-JP-3] 64 bytes":      {"jsonp=" + strings.Repeat("a", 64) + "&message={}", 200, []string{""}, strings.Repeat("a", 64) + "("},
		"[R-JP-3] 65 bytes":      {"jsonp=" + strings.Repeat("a", 65) + "&message={}", 400, nil, ""},
		"[R-JP-3] empty":         {"jsonp=&message={}", 400, nil, ""},
		"[R-JP-3] two":           {"jsonp=a&jsonp=b&message={}", 400, nil, ""},
		"[R-JP-3] two the same":  {"jsonp=a&jsonp=a&message={}", 400, nil, ""},
		"[R-JP-3] two, escaped":  {"jsonp=a&json%70=b&message={}", 400, nil, ""},
		"[R-JP-3] brackets":      {"jsonp=a[0]&message={}", 400, nil, ""},
		"[R-JP-3] call":          {"jsonp=alert(1)&message={}", 400, nil, ""},
		"[R-JP-3] blank":         {"jsonp=a+b&message={}", 400, nil, ""},
		"[R-JP-3] not ASCII":     {"jsonp=%C3%A9&message={}", 400, nil, ""},
		"[R-JP-3] line":          {"jsonp=a%0A&message={}", 400, nil, ""},
		"[R-JP-3] bad escape":    {"jsonp=%zz&message={}", 400, nil, ""},
		"[R-JP-3] other name":    {"callback=a&message={}", 400, nil, ""},
		"[R-JP-3] none":          {"", 400, nil, ""},
		"[R-JP-4] no message":    {"jsonp=cb", 400, nil, ""},
		"[R-JP-4] empty message": {"jsonp=cb&message=", 400, nil, ""},
		"[R-JP-4] bad JSON":      {"jsonp=cb&message=[{", 400, nil, ""},
		"[R-JP-4] bad escape":    {"jsonp=cb&message=%zz", 400, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			hub := simpleHub()
			r, body := ask(t, NewHandler(hub, Options{}), get("/cometd?"+c.query))
			require.Equal(t, c.status, r.StatusCode, body)
			require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options")) // [R-JP-6]
			if c.status != 200 {
				require.Zero(t, hub.calls())
				requireErrorPage(t, r)
				return
			}
			require.Equal(t, c.before+`[{"successful":true}])`, body)
			require.Equal(t, "text/javascript;charset=UTF-8", r.Header.Get("Content-Type")) // [R-JP-2]
			require.EqualValues(t, len(body), r.ContentLength)
			from, ids := hub.last(t)
			require.Equal(t, CallbackPolling, from.Transport)
			require.Equal(t, c.ids, ids)
		})
	}
}

func TestCallbackOptions(t *testing.T) { // [R-JP-3], [R-JP-6]
	h := NewHandler(simpleHub(), Options{CallbackParameter: "fn", CallbackMaxLength: 3, JSONPPrefix: true})
	r, body := ask(t, h, get("/?fn=abc&message={}"))
	require.Equal(t, 200, r.StatusCode)
	require.Equal(t, `/**/abc([{"successful":true}])`, body)
	r, _ = ask(t, h, get("/?fn=abcd&message={}"))
	require.Equal(t, 400, r.StatusCode)
	r, _ = ask(t, h, get("/?jsonp=abc&message={}"))
	require.Equal(t, 400, r.StatusCode)

	long := strings.Repeat("a", 1000)
	r, body = ask(t, NewHandler(simpleHub(), Options{CallbackMaxLength: -1}), get("/?jsonp="+long+"&message={}"))
	require.Equal(t, 200, r.StatusCode)
	require.True(t, strings.HasPrefix(body, long+"("))
}

func TestCallbackCookie(t *testing.T) { // [R-HS-14]
	out := replies(`{}`)
	out.SetBrowser = "abc"
	hub := hubOf(&fakeExchange{out: out})
	r, _ := ask(t, NewHandler(hub, Options{}), get("/?jsonp=a&message={}", "Cookie: BAYEUX_BROWSER=xyz"))
	require.Equal(t, []string{"BAYEUX_BROWSER=abc; Path=/; HttpOnly"}, r.Header["Set-Cookie"])
	from, _ := hub.last(t)
	require.Equal(t, "xyz", from.Browser)
}

func TestCallbackLimit(t *testing.T) { // [R-HT-9]
	o := Options{CallbackPolling: Bounds{MaxMessageSize: 20}}
	blanks := func(n int) string { return "{}" + strings.Repeat("+", n-2) }
	for query, status := range map[string]int{
		"message=" + blanks(20):                            200,
		"message=" + blanks(21):                            413,
		"message=" + blanks(10) + "&message=" + blanks(10): 200,
		"message=" + blanks(10) + "&message=" + blanks(11): 413,
	} {
		got, page, _ := askFor(t, o, get("/?jsonp=a&"+query))
		require.Equal(t, status, got, page)
	}
	status, _, _ := askFor(t, o, request("GET /?jsonp=a&message={}", strings.Repeat("x", 21)))
	require.Equal(t, 413, status)
	status, _, ids := askFor(t, o, request("GET /?jsonp=a&message={}", strings.Repeat("x", 20)))
	require.Equal(t, 200, status)
	require.Equal(t, []string{""}, ids)
}

func TestScriptEscapes(t *testing.T) { // [R-JP-6]
	for in, want := range map[string]string{
		"":                         "",
		`{"a":"b"}`:                `{"a":"b"}`,
		"\"\u2028\"":               `"\u2028"`,
		"\"\u2029\u2028x\"":        `"\u2029\u2028x"`,
		"\"\u2027\u202a\u2026\"":   "\"\u2027\u202a\u2026\"",
		"\"é\u2028é\"":             `"é\u2028é"`,
		"\xe2\x80":                 "\xe2\x80",
		"\xe2":                     "\xe2",
		"\xe2\xe2\x80\xa8":         "\xe2" + `\u2028`,
		"\xe2\x80\xe2\x80\xa8\xa8": "\xe2\x80" + `\u2028` + "\xa8",
	} {
		require.Equal(t, want, string(appendScript(nil, []byte(in))), "%q", in)
	}
	out := replies("\"\u2028\"")
	out.Handshake = []byte("\"\u2028\"")
	out.Messages = frozen("\"\u2029\"")
	_, body := ask(t, NewHandler(hubOf(&fakeExchange{out: out}), Options{}), get("/?jsonp=a&message={}"))
	require.Equal(t, `a(["\u2028","\u2029","\u2028"])`, body)
}

var callbackModel = regexp.MustCompile(`^[a-zA-Z0-9._\-]+$`)

// FuzzCallbackQuery compares the reading of queries with net/url, where that
// one reads them, and checks what leaves.
func FuzzCallbackQuery(f *testing.F) {
	for _, seed := range []string{
		"", "jsonp=cb&message=[]", "jsonp=a&jsonp=b", "jsonp=a[0]&message={}", "%6asonp=a&message=%7B%7D", "jsonp", "=&=",
		"message=%zz&jsonp=a", "jsonp=a;message=b", "jsonp=a&message=%E2%80%A8", "jsonp=%00", "jsonp=a%2Eb&message=1+2",
	} {
		f.Add(seed, "\"\u2028\"")
	}
	f.Fuzz(func(t *testing.T, query, text string) {
		h, _ := NewHandler(nil, Options{}).(*handler)
		name, ok := h.callback(&http.Request{URL: &url.URL{RawQuery: query}})
		if ok {
			require.Regexp(t, callbackModel, name)
			require.LessOrEqual(t, len(name), 64)
		}
		model, err := url.ParseQuery(query)
		if err == nil {
			for _, field := range []string{"jsonp", "message"} {
				values, err := formValues(query, field)
				require.NoError(t, err)
				require.Equal(t, model[field], values)
			}
			names := model["jsonp"]
			want := len(names) == 1 && callbackModel.MatchString(names[0]) && len(names[0]) <= 64
			require.Equal(t, want, ok)
		}

		script := appendScript(nil, []byte(text))
		require.NotContains(t, string(script), "\u2028")
		require.NotContains(t, string(script), "\u2029")
		if json.Valid([]byte(text)) {
			require.Equal(t, exact(t, []byte(text)), exact(t, script))
		} else if !bytes.Contains([]byte(text), []byte("\xe2\x80")) {
			require.Equal(t, text, string(script))
		}
	})
}

// exact decodes JSON and keeps numbers of any size as their digits.
func exact(t *testing.T, text []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&v))
	return v
}
