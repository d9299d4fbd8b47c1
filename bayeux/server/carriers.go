package server

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// carriers builds the HTTP handler of the server from its options.
func (srv *Server) carriers() (http.Handler, *transport.WebSocketCarrier) {
	sockets := transport.NewWebSocket(srv, srv.wsOptions())
	lp := srv.config.lookup(transport.LongPolling)
	jp := srv.config.lookup(transport.CallbackPolling)
	callback := cookie(jp)
	o := transport.Options{
		Cookie:             cookie(lp),
		CallbackCookie:     &callback,
		LongPolling:        srv.bounds(lp),
		CallbackPolling:    srv.bounds(jp),
		MaxLimits:          srv.config.Limits.Messages,
		Allowed:            srv.supported,
		CallbackParameter:  jp.text("callbackParameter", "jsonp"),
		CallbackMaxLength:  jp.number("callbackParameterMaxLength", 64),
		JSONPPrefix:        jp.flag("callbackPrefix", false),
		CallbackIdentifier: jp.flag("callbackIdentifier", false),
		Guard:              srv.guard(lp),
		WebSocketCookie:    srv.settings[transport.WebSocket].needsCookie,
		CheckContentType:   lp.flag("checkContentType", false),
		Trusted:            srv.config.TrustedProxies,
		WebSocket:          sockets.Serve,
		Observer:           &srv.stats,
	}
	return transport.NewHandler(srv, o), sockets
}

// guard checks origins where that is on; else it is nil.
func (srv *Server) guard(l lookup) *transport.Guard {
	if !l.flag("checkOrigin", false) {
		return nil
	}
	return &transport.Guard{
		Allowed: splitList(strings.ToLower(l.text("allowedOrigins", ""))),
		Refused: func(reason string, from *bayeux.Request) {
			srv.quiet.notice("origin").Stringer("address", from.Remote.Addr()).Str("reason", reason).
				Msg("request of another origin refused; allowedOrigins lets it in, trustedProxies tells what clients see of this server")
		},
	}
}

// cookie is the browser cookie of a transport ([R-HS-15]).
func cookie(l lookup) transport.Cookie {
	return transport.Cookie{
		Name:           l.text("browserCookieName", "BAYEUX_BROWSER"),
		Domain:         l.text("browserCookieDomain", ""),
		Path:           l.text("browserCookiePath", "/"),
		MaxAge:         l.number("browserCookieMaxAge", -1),
		Secure:         l.flag("browserCookieSecure", false),
		ScriptReadable: !l.flag("browserCookieHttpOnly", true),
		SameSite:       l.text("browserCookieSameSite", ""),
		Partitioned:    l.flag("browserCookiePartitioned", false),
	}
}

// park gets the platform's poller, where it is wanted.
func (srv *Server) park() error {
	if !srv.config.Park || srv.poller != nil {
		return nil
	}
	poller, err := transport.NewPlatformPoller()
	if err != nil {
		return fmt.Errorf("park connections: %w", err)
	}
	srv.poller = poller
	return nil
}

func (srv *Server) bounds(l lookup) transport.Bounds {
	return transport.Bounds{
		MaxMessageSize: srv.settings[l.transport].maxMessageSize,
		ResponseBytes:  l.number("maxResponseSize", srv.config.Limits.ResponseBytes),
	}
}

func (srv *Server) wsOptions() transport.WSOptions {
	l := srv.config.lookup(transport.WebSocket)
	o := transport.WSOptions{
		Protocol:          l.text("protocol", ""),
		MaxMessageSize:    srv.settings[transport.WebSocket].maxMessageSize,
		MessagesPerFrame:  l.number("messagesPerFrame", 1),
		Deflate:           true,
		AckMessageLimit:   l.number("ackMessageLimit", 60_000),
		AckFramesSeparate: strings.EqualFold(l.text("ackFrames", "joined"), "separate"),
		MaxTake:           srv.config.Limits.ResponseBytes,
		Limits:            srv.config.Limits.Messages,
		Poller:            srv.poller,
		Observer:          &srv.stats,
	}
	if srv.paths != nil {
		o.Paths, o.Silence = gate{srv}, srv.config.lookup("").silence()
	}
	if srv.config.Limits.WebSocketsPerAddress > 0 {
		o.Admit = srv.openSocket
	}
	if o.MessagesPerFrame <= 0 {
		o.MessagesPerFrame = -1 // all in one ([R-WS-10])
	}
	for name, value := range srv.config.Options {
		if ext, ok := strings.CutPrefix(name, "ws.enableExtension."); ok && strings.TrimSpace(value) == "false" {
			o.ExtensionsDisabled = append(o.ExtensionsDisabled, ext)
		}
	}
	return o
}
