package serve

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyHeaderTimeout bounds how long a proxy may take for its PROXY header.
const proxyHeaderTimeout = 5 * time.Second

// socketPrefix begins the name of a socket that the service manager has opened.
const socketPrefix = "fd:"

// Address is a listen address.
type Address struct {
	// Host and Port as net.Listen takes them; an empty host is every address
	// of the machine.
	Host, Port string
	// Proxy is the version of the PROXY protocol that trusted proxies speak
	// here: v1, v2 or any; empty for none.
	Proxy string
	// Plain keeps TLS off where the other listeners have it.
	Plain bool
	// Socket names sockets that the service manager has opened; Host and Port
	// are empty then.
	Socket string
}

// String returns HOST:PORT or fd:NAME, empty for the zero Address.
func (a Address) String() string {
	switch {
	case a.Socket != "":
		return socketPrefix + a.Socket
	case a.Port == "":
		return ""
	default:
		return net.JoinHostPort(a.Host, a.Port)
	}
}

// loopback tells whether only this machine can reach the address. A name other
// than localhost is taken for an open one: what it resolves to may change. So
// is a socket of the service manager: its address is not ours to know yet.
func (a Address) loopback() bool {
	if strings.EqualFold(a.Host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(a.Host)
	return err == nil && ip.Unmap().IsLoopback()
}

func parseAddress(text string) (Address, error) {
	if rest, ok := strings.CutPrefix(text, socketPrefix); ok {
		return parseSocket(rest)
	}
	if !strings.Contains(text, "://") {
		return splitAddress(text)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "tcp" || u.Path != "" || u.User != nil || u.Fragment != "" {
		return Address{}, fmt.Errorf("%q: want HOST:PORT, tcp://HOST:PORT?proxy=v2 or fd:NAME", text)
	}
	a, err := splitAddress(u.Host)
	if err != nil {
		return a, err
	}
	if err := a.setAll(u.RawQuery); err != nil {
		return a, fmt.Errorf("%q: %w", text, err)
	}
	return a, nil
}

// parseSocket reads what follows "fd:".
func parseSocket(text string) (Address, error) {
	name, query, _ := strings.Cut(text, "?")
	a := Address{Socket: name}
	if name == "" || strings.ContainsAny(name, ":/ ") {
		return a, fmt.Errorf("%q: want fd:NAME, the FileDescriptorName= of a socket unit", socketPrefix+text)
	}
	if err := a.setAll(query); err != nil {
		return a, fmt.Errorf("%q: %w", socketPrefix+text, err)
	}
	return a, nil
}

func (a *Address) setAll(query string) error {
	all, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("want settings such as ?proxy=v2&tls=off")
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if err := a.set(key, last(all[key])); err != nil {
			return err
		}
	}
	return nil
}

func (a *Address) set(key, value string) error {
	switch key {
	case "proxy":
		a.Proxy = value
		return wrap("proxy", oneOf(value, "v1", "v2", "any"))
	case "tls":
		a.Plain = value == "off"
		return wrap("tls", oneOf(value, "on", "off"))
	default:
		return wrap(strconv.Quote(key)+" is unknown", oneOf(key, "proxy", "tls"))
	}
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

func splitAddress(text string) (Address, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, fmt.Errorf("%q: want HOST:PORT such as localhost:8080", text)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || strings.ContainsAny(host, " /") {
		return Address{}, fmt.Errorf("%q: want HOST:PORT such as localhost:8080", text)
	}
	return Address{Host: host, Port: port}, nil
}

// adminAddress completes the address of the admin listener: it is the
// loopback unless a host is given.
func adminAddress(text string) (Address, error) {
	if rest, ok := strings.CutPrefix(text, socketPrefix); ok {
		a, err := parseSocket(rest)
		if err == nil && (a.Proxy != "" || a.Plain) {
			err = fmt.Errorf("%q: the admin listener is plain HTTP, without settings", text)
		}
		return a, err
	}
	if !strings.Contains(text, ":") {
		text = ":" + text
	}
	a, err := splitAddress(text)
	if err != nil {
		return Address{}, errors.New("want HOST:PORT, PORT or fd:NAME")
	}
	if a.Host == "" {
		a.Host = "127.0.0.1"
	}
	return a, nil
}

// withProxy reads PROXY headers where the address asks for it. Connections of
// trusted proxies must then begin with one; what others send of the kind is
// read past and not believed.
func (a Address) withProxy(l net.Listener, trusted []netip.Prefix) net.Listener {
	if a.Proxy == "" {
		return l
	}
	return &proxyproto.Listener{
		Listener:          l,
		ReadHeaderTimeout: proxyHeaderTimeout,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if isTrusted(o.Upstream, trusted) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.IGNORE, nil
		},
		ValidateHeader: func(h *proxyproto.Header) error {
			if a.Proxy == "any" || "v"+strconv.Itoa(int(h.Version)) == a.Proxy {
				return nil
			}
			return fmt.Errorf("PROXY protocol version %d where %s is agreed", h.Version, a.Proxy)
		},
	}
}

func isTrusted(peer net.Addr, trusted []netip.Prefix) bool {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return false
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}
