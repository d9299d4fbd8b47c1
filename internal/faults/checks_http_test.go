package faults

import (
	"net/url"
	"strconv"
)

// request is an HTTP request as text.
func request(line, body string) string {
	return line + "\r\nHost: memory\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

func httpChecks() []check {
	first := talk("a", hello)
	held := begun(connect, "~3000")
	const given = `"clientId":"<a1>"`
	return []check{
		{"F-HT-01", talk("a", "!suffix /handshake", hello), given, `^a 0 404`},
		{"F-HT-02", talk("a", "!suffix /", hello), given, `^a 0 301`},
		{"F-HT-03", talk("a", "!query x=1", hello), given, `^a 0 400`},
		{"F-HT-04", talk("a", "=GET"), `^a 0 400`, `^a 0 200 .*\[\]`},
		{"F-HT-05", talk("a", "=PUT "+hello), `^a 0 400`, given},
		{"F-HT-06", talk("a", "=HEAD", "=DELETE"), `^a 0 400`, `^a 0 200`},
		{"F-HT-07", talk("a", "=OPTIONS"), `^a 0 200`, `^a 0 405`},
		{"F-HT-08", talk("a", "=OPTIONS"), ``, `^a 0 200 .*Access-Control-Allow-Origin: \*`},
		{"F-HT-09", talk("a", "!header Origin: http://elsewhere", hello), ``, `Access-Control-Allow-Origin: http://elsewhere`},
		{"F-HT-10", talk("a", "!header Origin: http://elsewhere", hello), given, `^a 0 403`},
		{"F-HT-11", first, ``, `Cache-Control: no-cache, no-store`},
		{"F-HT-12", first, `Content-Type`, ``},
		{"F-HT-13", first, given, `Content-Encoding: gzip`},
		{"F-HT-14", begun(noSubscription), `^a 0 200 .*subscription_missing`, `^a 0 500 .*subscription_missing`},
		{"F-HT-15", first, `^a 0 200`, `^a 0 202`},
		{"F-HT-16", begun(pub("/x", "1")), `"id":"p"`, `^a 0 204`},
		{"F-HT-17", held, `^a 2000 200`, `^a 1000 failed`},
		{"F-HT-18", held, `^a 2000 200`, `^a 1000 504`},
		{"F-HT-19", talk("a", "not json"), `^a 0 400`, `^a 0 200 .*\[\]`},
		{"F-HT-20", talk("a", "not json"), `^a 0 400`, `^a 0 500`},
		{"F-HT-21", begun("not json", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-HT-22", talk("a", "=POST"), `^a 0 400`, `^a 0 200 .*\[\]`},
		{"F-HT-23", talk("a", hello+"x"), `^a 0 400`, given},
		{"F-HT-24", talk("a", "5"), `^a 0 400`, `^a 0 200 .*\[\]`},
		{"F-HT-25", talk("a", "!header Content-Encoding: gzip", string(zipped([]byte(hello)))), `^a 0 4`, given},
		{"F-HT-26", begun(pub("/x", quote(long(1_100_000)))), `^a 0 413`, `"id":"p","successful":true`},
		{"F-HT-27", talk("a", "!raw "+request("POST /cometd HTTP/1.0", hello)), `^a 0 raw 200`, `^a 0 raw 505`},
		{"F-HT-28", talk("a", "!http2", hello), given, `^a 0 505`},
		{"F-HT-29", talk("a", "!raw "+request("POST /cometd HTTP/1.1", hello)), `^a 0 raw 200 \[`, `^a 0 raw 200 in chunks`},
		{"F-HT-30", talk("a", "<b>not json"), ``, `^a 0 400 .*text/html.*<b>not json`},
		{"F-LP-01", talk("a", "!header Content-Type: text/plain", hello), given, `^a 0 415`},
		{"F-LP-02", talk("a", "!header Content-Type: application/x-www-form-urlencoded", hello), given, `^a 0 415`},
		{"F-LP-03", first, `Content-Type: application/json\}`, `Content-Type: text/html`},
		{"F-LP-04", first, `Content-Type: application/json\}`, `charset=ISO-8859-1`},
		{"F-LP-05", begun(sub("/x"), "!header Content-Type: application/json;charset=ISO-8859-1", pub("/x", "\"\xe9\""), poll), `"data":"é"`, ``},
		{"F-LP-06", talk("a", "!raw "+request("post /cometd HTTP/1.1", hello)), `^a 0 raw 400`, `^a 0 raw 200`},
		{"F-LP-07", first, ``, `\] {100,}$`},
	}
}

func callbackChecks() []check {
	first := talk("a", hello)
	say := func(query string, bodies ...string) string {
		for _, b := range bodies {
			query += "&message=" + url.QueryEscape(b)
		}
		return "?" + query
	}
	// The ids of sessions come in when the words are said, and need no escapes.
	x, y := `[{"channel":"/meta/subscribe","clientId":"$","subscription":"/x"}]`, `[{"channel":"/meta/subscribe","clientId":"$","subscription":"/y"}]`
	several := begun("?jsonp=cb&message=" + raw(x) + "&message=" + raw(y))
	return []check{
		{"F-JP-01", first, ``, `\]\);$`},
		{"F-JP-02", first, ``, `// bayeux`},
		{"F-JP-03", first, `text/javascript`, `application/json`},
		{"F-JP-04", first, `text/javascript`, `text/html`},
		{"F-JP-05", first, `cb\(\[`, ` \[\{"channel"`},
		{"F-JP-06", first, `cb\(\[`, `cb\("\[\{\\"channel`},
		{"F-JP-07", first, ` cb\(\[`, `jsonpcallback\(\[`},
		{"F-JP-08", own("/x", "/x", "\"\u2028\""), `\\u2028`, "\u2028"},
		{"F-JP-09", first, ``, `\{sniffing\}`},
		{"F-JP-10", talk("a", say("jsonp=a%5B0%5D", hello)), `^a 0 400`, `a\[0\]\(\[`},
		{"F-JP-11", talk("a", say("jsonp="+long(65), hello)), `^a 0 400`, `^a 0 200 .*z{65}\(`},
		{"F-JP-12", talk("a", say("jsonp=one&jsonp=two", hello)), `^a 0 400`, `one\(\[`},
		{"F-JP-13", talk("a", say("jsonp=a.b", hello)), `a\.b\(\[`, `^a 0 400`},
		{"F-JP-14", talk("a", say("jsonp="+long(64), hello)), `z{64}\(\[`, `^a 0 400`},
		{"F-JP-15", talk("a", say("jsonp=", hello)), `^a 0 400`, `^a 0 200.* \[\{"channel"`},
		{"F-JP-16", several, `"/y","successful":true`, ``},
		{"F-JP-17", several, `"/x".*"/y"`, `"/y".*"/x"`},
		{"F-JP-18", talk("a", "?jsonp=cb"), `^a 0 400`, `cb\(\[\]\)`},
		{"F-JP-19", talk("a", say("jsonp=cb", "not json")), `^a 0 400`, `cb\(\[\]\)`},
		{"F-JP-20", talk("a", say("jsonp=cb", `{"channel":"/meta/handshake"}`)), `"successful":true`, `^a 0 400`},
		{"F-JP-21", several, `"/x","successful":true\},\{`, `\]\)cb\(\[`},
	}
}

// raw escapes a body for a query but for the $ in it.
func raw(body string) string {
	u := url.QueryEscape(body)
	for i := 0; i+3 <= len(u); i++ {
		if u[i:i+3] == "%24" {
			u = u[:i] + "$" + u[i+3:]
		}
	}
	return u
}
