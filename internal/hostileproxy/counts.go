package hostileproxy

import (
	"maps"
	"net/netip"
	"time"
)

// Rule names a rule in counts. Its text is fit for messages of tests.
type Rule string

// The rules that are counted, each time they do something to somebody.
const (
	RuleDuration        Rule = "max duration"
	RuleTunnelLife      Rule = "max life of a tunnel"
	RuleIdle            Rule = "idle cut"         // with a request or a tunnel.
	RuleIdleUnused      Rule = "idle cut, unused" // between requests.
	RuleResponse        Rule = "max response"
	RuleMessage         Rule = "max message"
	RuleTunnelBytes     Rule = "max bytes of a tunnel"
	RuleStore           Rule = "store and forward"
	RuleHoldFirst       Rule = "first bytes held" // when they go, with the time they were held.
	RuleHoldLast        Rule = "last piece held"  // when it goes, with the time it was held.
	RuleUpgradeStripped Rule = "upgrade stripped"
	RuleUpgradeRefused  Rule = "upgrade refused"
	RuleBlackHole       Rule = "black hole" // once for each tunnel, with the bytes that had passed to the client.
	RuleConns           Rule = "max connections"
	RuleConnsWait       Rule = "max connections, waited" // when it is served, with the time it waited.
	RuleCookies         Rule = "cookies stripped"
	RuleSetCookies      Rule = "set-cookies stripped"
	RuleHTTP10          Rule = "HTTP/1.0"
	RuleGzip            Rule = "gzip" // with the bytes before.
	RuleLoss            Rule = "loss" // with the time of the stall and the bytes that came with it.
	RuleHalfServer      Rule = "half-close to the server"
	RuleHalfClient      Rule = "half-close to the client"
	RuleRotation        Rule = "rotation" // when the target is another than that of the client's last request.
	RuleCutAll          Rule = "cut by the test"
)

// Tally says how often a rule did something, and how late and how large that was each time: the time since the head of the
// request, the 101 or the last byte, whatever the rule counts from, and bytes of the body or tunnel to the client.
type Tally struct {
	Times            int
	MinTime, MaxTime time.Duration
	MinBytes         int64
	MaxBytes         int64
}

func (t Tally) with(after time.Duration, bytes int64) Tally {
	if t.Times == 0 {
		t.MinTime, t.MinBytes = after, bytes
	}
	t.Times++
	t.MinTime, t.MaxTime = min(t.MinTime, after), max(t.MaxTime, after)
	t.MinBytes, t.MaxBytes = min(t.MinBytes, bytes), max(t.MaxBytes, bytes)
	return t
}

// Counts is what an HTTP proxy has done since it was made, for all clients or for one.
type Counts struct {
	// Conns counts connections taken, Refused those beyond what the proxy bears, Open those of now.
	Conns, Refused, Open int
	// Requests counts requests whose head has come, Running those without an end yet (tunnels included), Tunnels those
	// answered with 101.
	Requests, Running, Tunnels int
	// Failed counts requests whose server could not be reached or went away before its response was whole.
	Failed int
	// Done says what the rules did; a rule that did nothing is missing.
	Done map[Rule]Tally
}

// Times says how often the rule did something.
func (c Counts) Times(r Rule) int { return c.Done[r].Times }

// Cuts says how often a rule ended a request, a tunnel or a connection.
func (c Counts) Cuts() int {
	n := 0
	for _, r := range []Rule{RuleDuration, RuleTunnelLife, RuleIdle, RuleIdleUnused, RuleResponse, RuleMessage, RuleTunnelBytes, RuleBlackHole, RuleConns, RuleCutAll} {
		n += c.Times(r)
	}
	return n
}

func (c Counts) clone() Counts {
	c.Done = maps.Clone(c.Done)
	return c
}

// Exchange is a request that is over, or a tunnel.
type Exchange struct {
	Client       netip.Addr
	Method, Path string // the path is at most 256 bytes of the request's URI.
	// Status is what the client was answered; zero if no head of a response has left.
	Status int
	// Start is when the head of the request had come, Took the time until the end.
	Start time.Time
	Took  time.Duration
	// Sent and Received are bytes of bodies or of the tunnel, from the client and to it.
	Sent, Received int64
	// Cut is the rule that ended it, empty if none did.
	Cut Rule
	// Whole says that the response left whole; of a tunnel, that its ends ended it.
	Whole bool
}
