package transport

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; nothing is kept secret by it
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"time"
)

// wsGUID is the constant of RFC 6455, 1.3.
const wsGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// wsUpgrade is the answer to an upgrade that was found good.
type wsUpgrade struct {
	accept     string
	protocol   string
	extensions string
	deflate    bool
}

// checkUpgrade validates the upgrade (RFC 6455, 4.2.1). The path was the
// dispatcher's business: any below the mount will do [R-WS-1].
func (s *WebSocketCarrier) checkUpgrade(r *http.Request) (*wsUpgrade, *wsRefusal) {
	bad := func(text string) (*wsUpgrade, *wsRefusal) {
		return nil, &wsRefusal{status: http.StatusBadRequest, text: text}
	}
	switch {
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return bad("a WebSocket needs HTTP/1.1")
	case r.Method != http.MethodGet:
		return bad("a WebSocket is opened with GET")
	case !wsHasToken(r.Header["Connection"], "upgrade") || !wsHasToken(r.Header["Upgrade"], "websocket"):
		return bad("not a WebSocket upgrade")
	case r.ContentLength > 0 || len(r.TransferEncoding) > 0:
		return bad("a WebSocket upgrade has no body")
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || strings.TrimSpace(v[0]) != "13" {
		return nil, &wsRefusal{
			http.StatusUpgradeRequired, "only version 13 of WebSocket is spoken here",
			[2]string{"Sec-WebSocket-Version", "13"},
		}
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) != 1 {
		return bad("one Sec-WebSocket-Key is needed")
	}
	key := strings.TrimSpace(keys[0])
	if raw, err := base64.StdEncoding.Strict().DecodeString(key); err != nil || len(raw) != 16 {
		return bad("Sec-WebSocket-Key is not 16 bytes in base64")
	}
	up := &wsUpgrade{accept: wsAcceptKey(key)}
	if s.o.Protocol != "" { // [R-WS-2]
		if !wsOffers(r.Header["Sec-Websocket-Protocol"], s.o.Protocol) {
			return nil, &wsRefusal{status: http.StatusInternalServerError, text: "the subprotocol " + s.o.Protocol + " must be offered"}
		}
		up.protocol = s.o.Protocol
	}
	if s.o.Deflate { // [R-WS-3]
		up.extensions, up.deflate = wsNegotiate(r.Header["Sec-Websocket-Extensions"])
	}
	return up, nil
}

// answer writes the 101, with nothing in it that is not of the upgrade: no
// cookie either [R-WS-5]. It returns what the client has sent since.
func (u *wsUpgrade) answer(conn net.Conn, rw *bufio.ReadWriter, timeout time.Duration) wsEarly {
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(u.accept)
	for _, h := range [][2]string{
		{"Sec-WebSocket-Protocol", u.protocol}, {"Sec-WebSocket-Extensions", u.extensions},
	} {
		if h[1] != "" {
			b.WriteString("\r\n" + h[0] + ": " + h[1])
		}
	}
	b.WriteString("\r\n\r\n")
	// Deadlines of the HTTP server end here.
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return wsEarly{err: err}
	}
	if err := conn.SetWriteDeadline(deadline(timeout)); err != nil {
		return wsEarly{err: err}
	}
	if _, err := conn.Write([]byte(b.String())); err != nil {
		return wsEarly{err: err}
	}
	n := rw.Reader.Buffered()
	if n == 0 {
		return wsEarly{}
	}
	p, err := rw.Reader.Peek(n)
	return wsEarly{data: append([]byte(nil), p...), err: err}
}

func wsAcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + wsGUID)) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// wsHasToken tells whether a comma separated header has the token, in any
// case.
func wsHasToken(headers []string, token string) bool {
	for _, h := range headers {
		for t := range strings.SplitSeq(h, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// wsOffers tells whether a subprotocol is among those offered.
func wsOffers(headers []string, protocol string) bool {
	for _, h := range headers {
		for p := range strings.SplitSeq(h, ",") {
			if strings.TrimSpace(p) == protocol {
				return true
			}
		}
	}
	return false
}
