package transport

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxForwarded is the longest Forwarded header that is parsed.
const maxForwarded = 8 << 10

// hop is what one proxy says of the peer that it got a request from.
type hop struct {
	addr  netip.AddrPort // not valid where unknown, hidden or malformed
	proto string
	host  string
}

// parsePeer parses a RemoteAddr; the zero value stands for peers without an
// address, such as those of a Unix socket.
func parsePeer(addr string) netip.AddrPort {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// resolveClient returns the address of the client and whether it used https,
// as far as trusted proxies can tell.
//
// Each proxy adds its peer at the right, so the headers are read from there,
// and only as long as the one who wrote the entry is trusted: what stands
// further left is whatever the client made up. Where an entry cannot be read,
// the proxy that wrote it is as far as we see. Ports are 0 where unknown.
func resolveClient(peer netip.AddrPort, header http.Header, trusted []netip.Prefix) (client netip.AddrPort, https bool) {
	if !isTrusted(peer, trusted) {
		return peer, false
	}
	rfc, old := header["Forwarded"], header["X-Forwarded-For"]
	byRFC, via := walkForwarded(peer, rfc, trusted)
	rfcProto := via.proto
	byOld, depth := walkXForwardedFor(peer, old, trusted)
	oldProto := fromRight(header["X-Forwarded-Proto"], depth)
	switch {
	case len(rfc) == 0:
		return byOld, isHTTPS(oldProto)
	case len(old) == 0:
		return byRFC, isHTTPS(rfcProto) || isHTTPS(oldProto)
	case byRFC.Addr() == byOld.Addr():
		return byRFC, isHTTPS(rfcProto) || isHTTPS(oldProto)
	}
	// One of the headers came from the client and the proxy let it pass. As
	// they do not say which, neither is believed.
	return peer, false
}

// resolveHost returns the host that the client has asked for, as far as trusted
// proxies can tell; empty where they do not say, or say two things.
func resolveHost(peer netip.AddrPort, header http.Header, trusted []netip.Prefix) string {
	if !isTrusted(peer, trusted) {
		return ""
	}
	_, via := walkForwarded(peer, header["Forwarded"], trusted)
	_, depth := walkXForwardedFor(peer, header["X-Forwarded-For"], trusted)
	old := fromRight(header["X-Forwarded-Host"], depth)
	switch {
	case old == "":
		return via.host
	case via.host == "" || strings.EqualFold(old, via.host):
		return old
	}
	return ""
}

func isTrusted(a netip.AddrPort, trusted []netip.Prefix) bool {
	addr := a.Addr().WithZone("")
	for _, p := range trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func isHTTPS(proto string) bool {
	return strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
}

// walkXForwardedFor returns the client and how many entries right of its own
// were passed on the way.
func walkXForwardedFor(peer netip.AddrPort, values []string, trusted []netip.Prefix) (client netip.AddrPort, depth int) {
	client, depth = peer, -1
	for _, v := range slices.Backward(values) {
		rest, more := v, true
		for more {
			if !isTrusted(client, trusted) {
				return client, depth
			}
			var entry string
			entry, rest, more = cutLast(rest)
			depth++
			addr, ok := parseNode(entry)
			if !ok {
				return client, depth
			}
			client = addr
		}
	}
	return client, depth
}

// fromRight returns the value that has n others right of it, or the leftmost
// where there are not as many: proxies that set the header but once.
func fromRight(values []string, n int) string {
	value := ""
	for _, v := range slices.Backward(values) {
		rest, more := v, true
		for more {
			value, rest, more = cutLast(rest)
			if n <= 0 {
				return value
			}
			n--
		}
	}
	return value
}

// cutLast cuts the last entry off a comma separated list and tells whether
// there is more.
func cutLast(list string) (entry, rest string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return strings.Trim(list, " \t"), "", false
	}
	return strings.Trim(list[i+1:], " \t"), list[:i], true
}

// walkForwarded returns the client and what was said of its request, by the
// entries of RFC 7239.
func walkForwarded(peer netip.AddrPort, values []string, trusted []netip.Prefix) (client netip.AddrPort, via hop) {
	client = peer
	for _, v := range slices.Backward(values) {
		// Each header on its own: a quote that the client left open must not
		// swallow what a proxy wrote.
		hops, ok := parseForwarded(v)
		if !ok {
			return client, via
		}
		for _, h := range slices.Backward(hops) {
			if !isTrusted(client, trusted) {
				return client, via
			}
			via = h
			if !h.addr.IsValid() {
				return client, via
			}
			client = h.addr
		}
	}
	return client, via
}

// parseForwarded parses one Forwarded header.
func parseForwarded(s string) ([]hop, bool) {
	if len(s) > maxForwarded {
		return nil, false
	}
	var hops []hop
	var current hop
	for {
		name, value, rest, ok := forwardedPair(s)
		if !ok {
			return nil, false
		}
		switch {
		case strings.EqualFold(name, "for"):
			current.addr, _ = parseNode(value)
		case strings.EqualFold(name, "proto"):
			current.proto = value
		case strings.EqualFold(name, "host"):
			current.host = value
		}
		switch {
		case rest == "":
			return append(hops, current), true
		case rest[0] == ',':
			hops, current = append(hops, current), hop{}
		}
		s = rest[1:]
	}
}

// forwardedPair cuts one name=value off s; rest is empty or begins with the
// separator. A pair may be missing altogether.
func forwardedPair(s string) (name, value, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t")
	i := strings.IndexAny(s, "=;,\"")
	if i < 0 {
		return "", "", "", s == ""
	}
	if s[i] != '=' {
		return "", "", s[i:], i == 0 && s[i] != '"'
	}
	name, s = s[:i], s[i+1:]
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ";,\"")
		if end < 0 {
			end = len(s)
		}
		value, rest = strings.TrimRight(s[:end], " \t"), s[end:]
		return name, value, rest, !strings.HasPrefix(rest, `"`)
	}
	value, rest, ok = unquote(s[1:])
	rest = strings.TrimLeft(rest, " \t")
	if rest != "" && rest[0] != ',' && rest[0] != ';' {
		ok = false
	}
	return name, value, rest, ok
}

// unquote reads a quoted string whose first quote is already cut off.
func unquote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// parseNode parses an address with or without port; IPv6 with or without
// brackets.
func parseNode(s string) (netip.AddrPort, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return netip.AddrPortFrom(a.Addr().WithZone("").Unmap(), a.Port()), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if s, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(s, ":") {
			return netip.AddrPort{}, false
		}
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a.WithZone("").Unmap(), 0), true
}
