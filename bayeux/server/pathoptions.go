package server

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux/internal/pathprofile"
)

// The values of the options for what is learned of networks, besides numbers.
const (
	pathLearn = "learn"
	pathOff   = "off"
)

// pathOptionTable lists the options for what is learned of the networks that
// clients come through.
func pathOptionTable() []OptionInfo {
	return []OptionInfo{
		{"paths", "text", pathLearn, "server", "learn what the networks carry that clients come through, and keep within it: learn or off; off switches all of the following off"},
		{"pathHolds", "text", pathLearn, "server", "how long networks let a /meta/connect be held: learn, off, or a time in ms that no hold passes"},
		{"pathMinHold", "ms", "1000", "server", "the shortest hold that is learned; below it clients poll instead, see pathShortPolls"},
		{"pathShortPolls", "text", pathLearn, "server", "where nothing is let through that takes long, answer at once and have clients come back after one to ten seconds: learn or off"},
		{"pathResponses", "text", pathLearn, "server", "how large a response networks carry: learn, off, or a number of bytes that no response passes"},
		{"pathUpgrades", "text", pathLearn, "server", "refuse WebSockets for an hour where two in a row were opened and carried nothing, so that clients take long-polling: learn or off"},
		{"pathSilence", "ms", "1200", "server", "how long a new WebSocket may be silent before it is asked for a sign of life, and how long that may take; 0: it is never asked"},
		{"pathProbe", "ms", "1800000", "server", "how often more is tried than what was learned, by one client of a network; twice as long after each failure; negative: never"},
		{"pathTrickle", "ms", "0", "server", "send a blank into each held long poll so often, so that what waits for bytes has some; 0: never"},
		{"pathTrickleFrom", "list", "", "server", "with pathTrickle: the networks whose clients get blanks, such as 10.1.0.0/16; empty: all"},
	}
}

// wrongPath tells what the value of such an option should be, "" when it is fine
// or the option another one.
func wrongPath(name, value string) string {
	switch name {
	case "paths", "pathShortPolls", "pathUpgrades":
		if value != pathLearn && value != pathOff {
			return "learn or off"
		}
	case "pathHolds":
		if d, err := parseMillis(value); value != pathLearn && value != pathOff && (err != nil || d <= 0) {
			return "learn, off, or a time above 0 in milliseconds or such as 20s"
		}
	case "pathResponses":
		if n, err := strconv.Atoi(value); value != pathLearn && value != pathOff && (err != nil || n <= 0) {
			return "learn, off, or a number of bytes above 0"
		}
	case "pathTrickleFrom":
		if _, err := parseNetworks(value); err != nil {
			return "networks such as 10.1.0.0/16 or addresses, with commas between them"
		}
	}
	return ""
}

// ParseNetwork reads a network such as 10.1.0.0/16, or an address as the network of
// itself.
func ParseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr.Unmap().WithZone(""), addr.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}

func parseNetworks(list string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range splitList(list) {
		p, err := ParseNetwork(text)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// book makes what remembers networks, nil where nothing is to be learned, and tells
// what holds and responses (bytes) are bounded by instead, 0 for nothing.
func (l lookup) book() (b *pathprofile.Book, hold time.Duration, response int) {
	if l.text("paths", pathLearn) == pathOff {
		return nil, 0, 0
	}
	c := pathprofile.Config{
		MinHold:    l.millis("pathMinHold", 0),
		ProbeEvery: l.millis("pathProbe", 0),
	}
	value := func(name string, what pathprofile.Adaptations) string {
		text := l.text(name, pathLearn)
		if text != pathLearn {
			c.Off |= what
		}
		return text
	}
	value("pathUpgrades", pathprofile.Upgrades)
	value("pathShortPolls", pathprofile.ShortPolls)
	// 0 for what is no number.
	hold, _ = parseMillis(value("pathHolds", pathprofile.Holds))
	response, _ = strconv.Atoi(value("pathResponses", pathprofile.Responses))
	return pathprofile.New(c), hold, response
}

// trickle is what is done about networks that wait for bytes.
type trickle struct {
	every time.Duration // 0: nothing
	from  []netip.Prefix
}

func (l lookup) trickle() trickle {
	t := trickle{every: max(0, l.millis("pathTrickle", 0))}
	t.from, _ = parseNetworks(l.text("pathTrickleFrom", "")) // it has been checked
	return t
}

// to is how often a client at that address gets a blank, 0 for never.
func (t *trickle) to(addr netip.Addr) time.Duration {
	if t.every == 0 || len(t.from) == 0 {
		return t.every
	}
	addr = addr.Unmap()
	if slices.ContainsFunc(t.from, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return t.every
	}
	return 0
}

// silence is how long a new WebSocket may say nothing before it is looked after,
// where anything is learned.
func (l lookup) silence() time.Duration {
	if l.text("pathUpgrades", pathLearn) == pathOff {
		return 0
	}
	return max(0, l.millis("pathSilence", 1200*time.Millisecond))
}
