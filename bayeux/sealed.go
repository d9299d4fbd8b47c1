package bayeux

import (
	"crypto/tls"
	"encoding/binary"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unique"
)

// SealedRequest is a Request in as few bytes as it takes to keep one with each
// connection: what many clients have in common is there once for all of them.
// It is read-only.
type SealedRequest struct {
	shared unique.Handle[string] // method, protocol, host, URL and the headers of every browser of the kind
	own    string                // flags, address, principal, and what other clients hardly send
	tls    *tls.ConnectionState
}

const (
	sealedProxy = 1 << iota
	sealedSecure
)

// wsKey is a header that has served its purpose when the upgrade is answered.
const wsKey = "Sec-Websocket-Key"

// Seal returns r in few bytes, without the header Sec-WebSocket-Key; zero if r
// is nil.
func Seal(r *Request) SealedRequest {
	if r == nil {
		return SealedRequest{}
	}
	shared, own := make([]byte, 0, 1<<10), make([]byte, 0, 64)
	var flags byte
	if r.ViaProxy {
		flags |= sealedProxy
	}
	if r.Secure {
		flags |= sealedSecure
	}
	address, _ := r.Remote.MarshalBinary() // has no errors
	own = append(own, flags)
	own = appendSealed(own, string(address), r.Principal)
	shared = appendSealed(shared, r.Method, r.Proto, r.Host)
	if strings.Contains(r.URL, "?") {
		own, shared = appendSealed(own, r.URL), appendSealed(shared, "")
	} else {
		own, shared = appendSealed(own, ""), appendSealed(shared, r.URL)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if name == wsKey {
			continue
		}
		for _, value := range r.Header[name] {
			if sealedOwn(name) {
				own = appendSealed(own, name, value)
			} else {
				shared = appendSealed(shared, name, value)
			}
		}
	}
	return SealedRequest{shared: unique.Make(string(shared)), own: string(own), tls: r.TLS}
}

// sealedOwn tells whether a header says something else for each client. One that
// is missing here only costs more.
func sealedOwn(name string) bool {
	switch name {
	case "Authorization", "Cookie", "Forwarded", "X-Forwarded-For", "X-Forwarded-Port", "X-Real-Ip", "True-Client-Ip",
		"Cf-Connecting-Ip", "Cf-Ray", "X-Request-Id", "X-Correlation-Id", "X-Amzn-Trace-Id", "Traceparent", "Tracestate",
		"X-B3-Traceid", "X-B3-Spanid", "X-Auth-Token", "X-Csrf-Token", "Sec-Websocket-Protocol":
		return true
	}
	return false
}

// Open returns the request, nil of a zero SealedRequest.
func (s *SealedRequest) Open() *Request {
	if s.own == "" {
		return nil
	}
	r := &Request{Header: make(http.Header), TLS: s.tls, ViaProxy: s.own[0]&sealedProxy != 0, Secure: s.own[0]&sealedSecure != 0}
	own, shared := sealedText(s.own[1:]), sealedText(s.shared.Value())
	var address netip.AddrPort
	if address.UnmarshalBinary([]byte(own.next())) == nil {
		r.Remote = address
	}
	r.Principal = own.next()
	r.Method, r.Proto, r.Host = shared.next(), shared.next(), shared.next()
	r.URL = own.next() + shared.next() // one of them is empty
	for _, text := range []*sealedText{&own, &shared} {
		for *text != "" {
			name := text.next()
			r.Header[name] = append(r.Header[name], text.next())
		}
	}
	return r
}

// appendSealed appends texts with their lengths.
func appendSealed(dst []byte, texts ...string) []byte {
	for _, t := range texts {
		dst = append(binary.AppendUvarint(dst, uint64(len(t))), t...)
	}
	return dst
}

// sealedText is what appendSealed has appended.
type sealedText string

// next takes the first text off.
func (s *sealedText) next() string {
	n, from := binary.Uvarint([]byte((*s)[:min(len(*s), binary.MaxVarintLen64)]))
	to := min(from+int(n), len(*s)) //nolint:gosec // a length of ours
	text := string((*s)[from:to])
	*s = (*s)[to:]
	return text
}
