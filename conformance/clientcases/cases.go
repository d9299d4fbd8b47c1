// Package clientcases holds the cases of the client mode: what a client has to
// do when a server does this or that to it. Package clientmode is their frame.
// To add one, write it into its section's function: CONTRIBUTING.md shows how.
package clientcases

import (
	"time"

	"github.com/halleypush/halley/conformance/clientmode"
	"github.com/halleypush/halley/conformance/suite"
)

// Short names for what every case uses.
type (
	// T is a running case.
	T = clientmode.T
	// Case is a fault, and what a client has to do.
	Case = clientmode.Case
	// M is a message, or a part of one.
	M = suite.M
	// Answer changes what the server does with a message.
	Answer = clientmode.Answer
	// In is a message of the client.
	In = clientmode.In
)

// The levels.
const (
	must   = suite.MUST
	should = suite.SHOULD
	cometd = suite.COMETD
	inform = suite.INFO
)

// The transports.
const (
	lp      = suite.LP
	ws      = suite.WS
	anyWay  = suite.Any
	absent  = suite.Absent
	allWays = suite.LP | suite.WS | suite.Any
)

// Sections returns all sections, in the order of the report.
func Sections() []clientmode.Section {
	return []clientmode.Section{
		{Code: "C-BA", Name: "basics", Title: "What a client sends", Cases: basics()},
		{Code: "C-AD", Name: "advice", Title: "Advice", Cases: advice()},
		{Code: "C-SE", Name: "sessions", Title: "Lost sessions and cookies", Cases: sessions()},
		{Code: "C-LO", Name: "losses", Title: "Lost requests and responses", Cases: losses()},
		{Code: "C-OR", Name: "order", Title: "Duplicates, strays and order", Cases: order()},
		{Code: "C-BO", Name: "bodies", Title: "Bodies and frames", Cases: bodies()},
		{Code: "C-TR", Name: "transports", Title: "Transports", Cases: transports()},
		{Code: "C-AK", Name: "ack", Title: "Acknowledged messages", Cases: acks()},
	}
}

// one makes a case.
func one(id, title string, level suite.Level, on suite.On, spec string, rules []string, play func(*T), needs ...suite.Need) Case {
	return Case{
		Case: suite.Case{ID: "BX-C-" + id, Title: title, Level: level, On: on, Spec: spec, Rules: rules, Needs: needs},
		Play: play,
	}
}

func rules(r ...string) []string { return r }

// works expects that the client is well: the application gets what is
// delivered now, after what it got before.
func works(t *T, before ...any) {
	t.Settled()
	t.Deliver("after")
	t.Gets(append(before, "after")...)
}

// waits expects that a message kept the interval, counted from a moment;
// timers may be a little early.
func waits(t *T, from time.Time, m *In) {
	const slack = 20 * time.Millisecond
	if gap := m.At.Sub(from); gap < interval-slack {
		t.Failf("%s came after %v, before the interval of %v was over", m.Channel(), gap.Round(time.Millisecond), interval)
	}
}

// ms is a duration as Bayeux writes it.
func ms(d time.Duration) int64 { return d.Milliseconds() }

// soon is advice for cases in which a client may have to wait for its own
// time-outs: some measure all of them by that of a hold.
func soon() M {
	const hold = 5 * time.Second
	return M{"timeout": ms(hold)}
}

// status answers by an HTTP status; on a WebSocket it is closed.
func status(code int) *Answer { return &Answer{Fault: clientmode.Status(code)} }

// always scripts all messages of a channel.
func always(t *T, channel string, a Answer) {
	t.Script(func(m *In) *Answer {
		if m.Channel() != channel {
			return nil
		}
		return &a
	})
}
