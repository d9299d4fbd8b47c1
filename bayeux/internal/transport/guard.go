package transport

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/halleypush/halley/bayeux"
)

// Guard refuses what pages of other origins have a browser send, with 403. An
// origin is scheme, host and port, of the page and of the server as clients
// see it, behind trusted proxies. The rules, in this order:
//
//  1. One Origin header: it must be the server's own, or an allowed one. The
//     origin null is nobody's; neither are two Origin headers.
//  2. No Origin, but Sec-Fetch-Site, by which browsers say whence a request
//     comes: same-origin and none (the user himself) may pass; for same-site
//     and cross-site, which scripts of callback-polling are, the Referer must
//     have an allowed origin.
//  3. Neither, but a Referer: its origin must be the server's own or an allowed
//     one.
//  4. None of them: it is no browser, or one so old that it does not say. A POST
//     of JSON may pass, for no page can send that elsewhere without being asked
//     for its Origin first. All else (forms, callbacks, WebSockets) may pass as
//     long as nothing speaks for a user that a browser would add by itself:
//     cookies other than ours, HTTP credentials other than a bearer token, a
//     client certificate. Our own cookie speaks for nobody without a clientId.
type Guard struct {
	// Allowed are origins besides the server's own, as browsers write them. "*"
	// allows all, where nothing speaks for a user (rule 4).
	Allowed []string
	// Refused, when not nil, is told of each refusal. It must not block.
	Refused func(reason string, from *bayeux.Request)
}

// check returns why the request is refused, empty if it is not.
func (g *Guard) check(r *http.Request, from *bayeux.Request, own Cookie) string {
	ambient := func() bool { return speaksForUser(r, own.Name) }
	switch origins := r.Header["Origin"]; len(origins) {
	case 0:
	case 1:
		return g.admit("Origin", origins[0], from, ambient)
	default:
		return "two Origin headers"
	}
	referer := originOf(r.Header.Get("Referer"))
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "same-origin", "none":
		return ""
	case "same-site", "cross-site":
		return g.admit("Sec-Fetch-Site is "+site+" and the Referer", referer, from, ambient)
	case "":
	default:
		return "an unknown Sec-Fetch-Site"
	}
	switch {
	case r.Header["Referer"] != nil:
		return g.admit("Referer", referer, from, ambient)
	case r.Method == http.MethodPost && isJSON(r.Header.Get("Content-Type")), !ambient():
		return ""
	}
	return "cookies or credentials come without an Origin"
}

// admit checks an origin that the header of that name has.
func (g *Guard) admit(header, origin string, from *bayeux.Request, ambient func() bool) string {
	own := ownOrigin(from)
	origin = strings.ToLower(origin)
	switch {
	case origin == "null" || origin == "":
		return header + " tells no origin"
	case origin == own, slices.Contains(g.Allowed, origin):
		return ""
	case !slices.Contains(g.Allowed, "*"):
		return header + " " + limited(origin) + " is neither " + limited(own) + " nor among allowedOrigins"
	case ambient():
		return header + " " + limited(origin) + " is not among allowedOrigins by name, which cookies and credentials need"
	}
	return ""
}

// limited bounds what goes into a reason.
func limited(text string) string { return text[:min(len(text), 100)] }

// ownOrigin is the server's origin as the client sees it.
func ownOrigin(from *bayeux.Request) string {
	scheme, port := "http://", ":80"
	if from.Secure {
		scheme, port = "https://", ":443"
	}
	return scheme + strings.TrimSuffix(strings.ToLower(from.Host), port)
}

// originOf is the origin of an address, empty if it has none.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return ownOrigin(&bayeux.Request{Host: u.Host, Secure: strings.EqualFold(u.Scheme, "https")})
}

// speaksForUser tells whether something comes along that browsers add by
// themselves and that may say who the user is.
func speaksForUser(r *http.Request, own string) bool {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return true
	}
	for _, v := range r.Header["Authorization"] {
		if scheme, _, _ := strings.Cut(v, " "); !strings.EqualFold(scheme, "Bearer") {
			return true
		}
	}
	for _, line := range r.Header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(pair, "=")
			if name = strings.TrimSpace(name); name != "" && name != own {
				return true
			}
		}
	}
	return false
}

// guarded refuses the request where the guard does.
func (h *handler) guarded(w http.ResponseWriter, r *http.Request, from Origin) bool {
	if h.o.Guard == nil {
		return false
	}
	request := *from.Request
	if host := resolveHost(parsePeer(r.RemoteAddr), r.Header, h.o.Trusted); host != "" {
		request.Host = host
	}
	reason := h.o.Guard.check(r, &request, *h.o.cookie(from.Transport))
	if reason == "" {
		return false
	}
	h.o.Observer.Count(EventOriginRefused)
	if h.o.Guard.Refused != nil {
		h.o.Guard.Refused(reason, &request)
	}
	h.newTurn(w, r, h.o.LongPolling).refuse(&StatusError{Status: http.StatusForbidden, Reason: "checkOrigin: " + reason})
	return true
}
