//go:build interop

package proxies

import (
	"fmt"
	"strconv"
	"strings"
)

// vector is a way to have proxy and server differ about where a request ends, or about what it is.
type vector struct {
	name    string
	raw     string
	refused bool // no part of it may be served; otherwise it may be, as long as nothing is smuggled
	frames  []frame
}

// request is a handshake; fields are whole lines.
func request(host, target, fields, body string) string {
	return "POST " + target + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\n" + fields + "\r\n" + body
}

func length(body string) string { return "Content-Length: " + strconv.Itoa(len(body)) + "\r\n" }

// inner is the request that shall be smuggled.
func inner(host string) string {
	return request(host, "/cometd", "X-Forwarded-For: "+stranger+"\r\n"+length(handshake), handshake)
}

func chunk(body string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(body), body) }

// vectors are those of HTTP/1.1.
func vectors(host string) []vector {
	all := lengths(host)
	all = append(all, codings(host)...)
	all = append(all, chunks(host)...)
	all = append(all, lines(host)...)
	return append(all, upgrades(host)...)
}

// lengths differ about the length of the body.
func lengths(host string) []vector {
	in := inner(host)
	both := handshake + in
	with := func(name string, refused bool, fields, body string) vector {
		return vector{name: name, raw: request(host, "/cometd", fields, body), refused: refused}
	}
	n, all := strconv.Itoa(len(handshake)), strconv.Itoa(len(both))
	return []vector{
		with("CL.TE", false, length(chunk(handshake)+"0\r\n\r\n"+in)+"Transfer-Encoding: chunked\r\n", chunk(handshake)+"0\r\n\r\n"+in),
		with("TE.CL", false, "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunk(in)+"0\r\n\r\n"),
		with("CL.0", false, length(in), in),
		with("CL twice, first short", true, "Content-Length: "+n+"\r\nContent-Length: "+all+"\r\n", both),
		with("CL twice, first long", true, "Content-Length: "+all+"\r\nContent-Length: "+n+"\r\n", both),
		with("CL twice, zero", true, "Content-Length: 0\r\nContent-Length: "+all+"\r\n", both),
		with("CL list", true, "Content-Length: "+n+", "+all+"\r\n", both),
		with("CL list of equals", false, "Content-Length: "+n+", "+n+"\r\n", both),
		with("CL plus", true, "Content-Length: +"+n+"\r\n", both),
		with("CL minus", true, "Content-Length: -1\r\n", both),
		with("CL hex", true, "Content-Length: 0x"+strconv.FormatInt(int64(len(handshake)), 16)+"\r\n", both),
		with("CL inner space", true, "Content-Length: "+n[:1]+" "+n[1:]+"\r\n", both),
		with("CL trailing junk", true, "Content-Length: "+n+"a\r\n", both),
		with("CL underscore", true, "Content-Length: "+n[:1]+"_"+n[1:]+"\r\n", both),
		with("CL vertical tab", true, "Content-Length: \v"+n+"\r\n", both),
		with("CL overflow", true, "Content-Length: 18446744073709551616"+n+"\r\n", both),
		with("CL empty", true, "Content-Length:\r\n", in),
		with("CL space before colon", true, "Content-Length : "+n+"\r\n", both),
		with("CL folded", true, "Content-Length:\r\n "+all+"\r\nContent-Length: "+n+"\r\n", both),
		{name: "GET with a body", raw: "GET /cometd HTTP/1.1\r\nHost: " + host + "\r\n" + length(in) + "\r\n" + in},
		{name: "HEAD with a body", raw: "HEAD /cometd HTTP/1.1\r\nHost: " + host + "\r\n" + length(in) + "\r\n" + in},
		with("expectation", false, "Expect: 100-continue\r\n"+length(in), in),
		with("expectation unknown", false, "Expect: 100-continue, smuggle\r\n"+length(in), in),
	}
}

// codings differ about whether the body comes in chunks.
func codings(host string) []vector {
	in := inner(host)
	var all []vector
	for _, c := range []struct {
		name, fields string
		refused      bool
	}{
		{"TE.TE x", "Transfer-Encoding: xchunked\r\n", true},
		{"TE.TE identity last", "Transfer-Encoding: chunked, identity\r\n", true},
		{"TE.TE identity first", "Transfer-Encoding: identity, chunked\r\n", false},
		{"TE.TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", true},
		{"TE.TE twice, last chunked", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", false},
		{"TE.TE chunked twice", "Transfer-Encoding: chunked, chunked\r\n", false},
		{"TE.TE vertical tab", "Transfer-Encoding: \vchunked\r\n", true},
		{"TE.TE form feed", "Transfer-Encoding: chunked\f\r\n", true},
		{"TE.TE quoted", "Transfer-Encoding: \"chunked\"\r\n", true},
		{"TE.TE space before colon", "Transfer-Encoding : chunked\r\n", true},
		{"TE.TE tab before colon", "Transfer-Encoding\t: chunked\r\n", true},
		{"TE.TE leading space", " Transfer-Encoding: chunked\r\n", false},
		{"TE.TE folded", "Transfer-Encoding:\r\n chunked\r\n", false},
		{"TE.TE case", "tRANSFER-eNCODING: cHuNkEd\r\n", false},
		{"TE.TE underscore", "Transfer_Encoding: chunked\r\n", false},
		{"TE.TE bare LF", "X: y\nTransfer-Encoding: chunked\r\n", false},
		{"TE.TE bare CR", "X: y\rTransfer-Encoding: chunked\r\n", false},
		{"TE.TE NUL", "Transfer-Encoding: chunked\x00\r\n", true},
		{"TE.TE parameter", "Transfer-Encoding: chunked;q=1\r\n", true},
		{"TE.TE empty", "Transfer-Encoding:\r\n", false},
		{"TE as a field of the hop", "Connection: Content-Length\r\n", false},
	} {
		// By its length the body is all of it; by its chunks it ends at once, and the rest is a request.
		body := "0\r\n\r\n" + in
		all = append(all, vector{name: c.name, raw: request(host, "/cometd", length(body)+c.fields, body), refused: c.refused})
		// And without a length: the body is chunked, or there is none.
		all = append(all, vector{name: c.name + ", no CL", raw: request(host, "/cometd", c.fields, body)})
	}
	old := request(host, "/cometd", "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"+length("0\r\n\r\n"+in), "0\r\n\r\n"+in)
	return append(all, vector{name: "TE of HTTP 1.0", raw: strings.Replace(old, "HTTP/1.1", "HTTP/1.0", 1)})
}

// chunks differ about where a chunk ends.
func chunks(host string) []vector {
	in := inner(host)
	var all []vector
	for _, c := range []struct {
		name, body string
		refused    bool
	}{
		{"chunk size overflow", "10000000000000000\r\n" + in, true},
		{"chunk size overflow to its length", "1000000000000000" + fmt.Sprintf("%x", len(handshake)) + "\r\n" + handshake + "\r\n0\r\n\r\n" + in, true},
		{"chunk size negative", "-1\r\n" + in, true},
		{"chunk size 0x", "0x0\r\n\r\n" + in, true},
		{"chunk size plus", "+0\r\n\r\n" + in, true},
		{"chunk size with spaces", "0 \r\n\r\n" + in, false},
		{"chunk size empty", "\r\n" + in, true},
		{"chunk extension", chunk(handshake) + "0;a=" + strings.Repeat("b", 64) + "\r\n\r\n" + in, false},
		{"chunk extension bare LF", fmt.Sprintf("%x;\n", len(handshake)) + handshake + "\r\n0\r\n\r\n" + in, false},
		{"chunk extension bare CR", fmt.Sprintf("%x;\rx\r\n", len(handshake)) + handshake + "\r\n0\r\n\r\n" + in, false},
		{"chunk extension quoted line", fmt.Sprintf("%x;a=\"\r\n", len(handshake)) + handshake + "\r\n0\r\n\r\n" + in, false},
		{"chunk extension huge", "0;" + strings.Repeat("x", 100_000) + "\r\n\r\n" + in, false},
		{"chunk data too long", fmt.Sprintf("%x\r\n", len(handshake)-2) + handshake + "\r\n0\r\n\r\n" + in, true},
		{"chunk without its end", fmt.Sprintf("%x\r\n", len(handshake)) + handshake + "XX0\r\n\r\n" + in, true},
		{"chunk end bare LF", fmt.Sprintf("%x\n", len(handshake)) + handshake + "\n0\n\n" + in, false},
		{"trailer names a client", chunk(handshake) + "0\r\nX-Forwarded-For: " + stranger + "\r\nForwarded: for=" + stranger + "\r\n\r\n", false},
		{"trailer names a length", chunk(handshake) + "0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n" + in, false},
		{"trailer without an end", chunk(handshake) + "0\r\nX: y\r\n" + in, false},
	} {
		all = append(all, vector{name: c.name, raw: request(host, "/cometd", "Transfer-Encoding: chunked\r\n", c.body), refused: c.refused})
	}
	return all
}

// lines differ about what the lines of the header say.
func lines(host string) []vector {
	in := inner(host)
	whole := length(handshake)
	body := handshake + in
	named := "X-Forwarded-For: " + stranger
	return []vector{
		{name: "bare LF", raw: strings.ReplaceAll(request(host, "/cometd", whole, ""), "\r\n", "\n") + body},
		{name: "field by bare LF", raw: request(host, "/cometd", "X: y\n"+named+"\r\n"+whole, body)},
		{name: "field by bare CR", raw: request(host, "/cometd", "X: y\r"+named+"\r\n"+whole, body)},
		{name: "field with space before colon", raw: request(host, "/cometd", "X-Forwarded-For : "+stranger+"\r\n"+whole, body)},
		{name: "field with underscores", raw: request(host, "/cometd", "X_Forwarded_For: "+stranger+"\r\n"+whole, body)},
		{name: "field folded", raw: request(host, "/cometd", "X: y\r\n "+named+"\r\n"+whole, body)},
		{name: "field without a colon", raw: request(host, "/cometd", "Nothing\r\n"+named+"\r\n"+whole, body)},
		{name: "field with NUL", raw: request(host, "/cometd", "X: y\x00\r\n"+whole, body), refused: true},
		{name: "field without a name", raw: request(host, "/cometd", ": y\r\n"+whole, body), refused: true},
		{name: "field of the hop", raw: request(host, "/cometd", "Connection: close, X-Forwarded-For, X-Forwarded-Proto, Host\r\n"+whole, body)},
		{name: "first line folded", raw: "POST /cometd HTTP/1.1\r\n " + named + "\r\nHost: " + host + "\r\nContent-Type: application/json\r\n" + whole + "\r\n" + body},
		{name: "HTTP 0.9", raw: "GET /cometd\r\n" + in},
		{name: "HTTP 0.9, POST", raw: "POST /cometd\r\n\r\n" + in, refused: true},
		{name: "HTTP 2.0", raw: strings.Replace(request(host, "/cometd", whole, body), "HTTP/1.1", "HTTP/2.0", 1)},
		{name: "HTTP 1.1 twice in the line", raw: strings.Replace(request(host, "/cometd", whole, body), "HTTP/1.1", "HTTP/1.1 HTTP/1.1", 1), refused: true},
		{name: "preface of HTTP 2", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" + in, refused: true},
		{name: "tabs in the line", raw: strings.Replace(request(host, "/cometd", whole, body), " /cometd ", "\t/cometd\t", 1)},
		{name: "bare CR in the target", raw: request(host, "/cometd\rX", whole, body), refused: true},
		{name: "no Host", raw: strings.Replace(request(host, "/cometd", whole, body), "Host: "+host+"\r\n", "", 1)},
		{name: "Host twice", raw: request(host, "/cometd", "Host: elsewhere.example\r\n"+whole, body), refused: true},
		{name: "Host elsewhere", raw: request("elsewhere.example", "/cometd", whole, body)},
		{name: "absolute elsewhere", raw: request(host, "https://elsewhere.example/cometd", whole, body)},
		{name: "absolute here, Host elsewhere", raw: request("elsewhere.example", "https://"+host+"/cometd", whole, body)},
		{name: "another path", raw: request(host, "/metrics", whole, body)},
		{name: "path with dots", raw: request(host, "/cometd/../metrics", whole, body)},
		{name: "asterisk", raw: request(host, "*", whole, body)},
		{name: "CONNECT", raw: strings.Replace(request(host, host, whole, body), "POST", "CONNECT", 1)},
		{name: "pipelined", raw: request(host, "/cometd", whole, body)},
	}
}

// upgrades would have the proxy take the connection for one that is not its business any more.
func upgrades(host string) []vector {
	in := inner(host)
	get := func(fields string) string {
		return "GET /cometd HTTP/1.1\r\nHost: " + host + "\r\n" + fields + "\r\n" + in
	}
	h2c := "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
	return []vector{
		{name: "h2c", raw: get(h2c)},
		{name: "h2c and WebSocket", raw: get(strings.Replace(h2c, "Upgrade: h2c", "Upgrade: websocket, h2c", 1))},
		{name: "h2c by POST", raw: request(host, "/cometd", h2c+length(handshake), handshake+in)},
		{name: "h2c without its settings", raw: get("Connection: Upgrade\r\nUpgrade: h2c\r\n")},
		{name: "WebSocket of an unknown version", raw: get(strings.Replace(upgradeLines, "Version: 13", "Version: 1777", 1))},
		{name: "WebSocket without a key", raw: get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")},
		{name: "WebSocket by POST", raw: request(host, "/cometd", upgradeLines+length(handshake), handshake+in)},
		{name: "WebSocket to another path", raw: "GET /metrics HTTP/1.1\r\nHost: " + host + "\r\n" + upgradeLines + "\r\n" + in},
		{name: "WebSocket with a body", raw: get(upgradeLines + length(in) + "Sec-WebSocket-Version: 1\r\n")},
		{name: "WebSocket without Connection", raw: get("Upgrade: websocket\r\nSec-WebSocket-Version: 1777\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")},
		{name: "TLS by Upgrade", raw: get("Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n")},
	}
}
