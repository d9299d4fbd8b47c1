package transport

import (
	"net/http"
	"strings"

	"github.com/halleypush/halley/bayeux"
)

// newOrigin describes the sender of a request. Headers are shared with the
// request, not copied: both are read-only from here.
func (h *handler) newOrigin(r *http.Request, transport string) Origin {
	peer := parsePeer(r.RemoteAddr)
	remote, https := resolveClient(peer, r.Header, h.o.Trusted)
	from := Origin{
		Transport: transport,
		HTTP2:     r.ProtoMajor >= 2, // [R-HT-12]
		Request: &bayeux.Request{
			Method:    r.Method,
			URL:       requestURL(r),
			Proto:     r.Proto,
			Host:      r.Host,
			Header:    r.Header,
			Remote:    remote,
			ViaProxy:  isTrusted(peer, h.o.Trusted),
			TLS:       r.TLS,
			Secure:    r.TLS != nil || https,
			Principal: principal(r),
		},
	}
	if transport != WebSocket || h.o.WebSocketCookie { // Sessions over WebSocket need no cookie.
		from.Browser = h.o.cookie(transport).read(r) // [R-ID-3]
	}
	return from
}

// requestURL returns the target as the client sent it: a router in front may
// have cut the mount path off r.URL.
func requestURL(r *http.Request) string {
	if r.RequestURI != "" {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// principal returns whom middleware named, else the subject of the client's
// certificate, if it was verified.
func principal(r *http.Request) string {
	if name := bayeux.PrincipalFrom(r.Context()); name != "" {
		return name
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return ""
	}
	return r.TLS.VerifiedChains[0][0].Subject.String()
}

// isUpgrade tells whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet &&
		hasToken(r.Header["Connection"], "upgrade") &&
		hasToken(r.Header["Upgrade"], "websocket")
}

// hasToken looks for a token in the comma separated values of a header.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}
