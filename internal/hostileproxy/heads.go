package hostileproxy

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// via is the name of the proxy in Via.
const via = "1.1 hostileproxy"

// has says whether one of the comma-separated values is the token.
func has(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

func asksUpgrade(h http.Header) bool {
	return has(h, "Connection", "Upgrade") && h.Get("Upgrade") != ""
}

// dropHops removes the fields that concern one connection only.
func dropHops(h http.Header) {
	for _, line := range h.Values("Connection") {
		for part := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(part))
		}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade",
	} {
		h.Del(name)
	}
}

// appendTo adds a value to a list that is kept in one field.
func appendTo(h http.Header, name, value string) {
	h.Set(name, strings.Join(append(h.Values(name), value), ", "))
}

// requestHead is the head for the server.
func (r *run) requestHead(target string) []byte {
	h := r.req.Header.Clone()
	upgrade := h.Get("Upgrade")
	dropHops(h)
	if r.rules.StripCookies && h.Get("Cookie") != "" {
		h.Del("Cookie")
		r.did(RuleCookies, 0)
	}
	if !r.rules.Unannounced {
		appendTo(h, "X-Forwarded-For", r.c.addr.String())
		appendTo(h, "Via", via)
	}
	proto := "HTTP/1.1"
	switch {
	case r.rules.HTTP10:
		proto = "HTTP/1.0"
		h.Set("Connection", "close")
		h.Del("Expect")
	case r.up:
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", upgrade)
	}
	if r.req.ContentLength < 0 {
		h.Del("Content-Length")
		h.Set("Transfer-Encoding", "chunked")
	} else if r.req.ContentLength > 0 || h.Get("Content-Length") != "" {
		h.Set("Content-Length", fmt.Sprint(r.req.ContentLength))
	}
	host := r.req.Host
	if r.rules.RewriteHost || host == "" {
		host = target
	}
	uri := r.req.RequestURI
	if r.req.URL.IsAbs() {
		uri = r.req.URL.RequestURI()
	}
	text := new(bytes.Buffer)
	fmt.Fprintf(text, "%s %s %s\r\nHost: %s\r\n", r.req.Method, uri, proto, host)
	_ = h.Write(text)
	text.WriteString("\r\n")
	return text.Bytes()
}

// answerHeader is the header of the server's response, made fit for the client.
func (r *run) answerHeader(resp *http.Response) http.Header {
	h := resp.Header
	dropHops(h)
	if r.rules.StripSetCookies && h.Get("Set-Cookie") != "" {
		h.Del("Set-Cookie")
		r.did(RuleSetCookies, 0)
	}
	if !r.rules.Unannounced {
		appendTo(h, "Via", via)
	}
	return h
}

// acceptsGzip says whether the client takes gzip.
func acceptsGzip(h http.Header) bool {
	for _, line := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(part, ";")
			name, weight = strings.TrimSpace(name), strings.ReplaceAll(weight, " ", "")
			if strings.EqualFold(name, "gzip") && strings.Trim(weight, "0.") != "q=" {
				return true
			}
		}
	}
	return false
}
