package faults

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/halleypush/halley/bayeux/server"
)

// The transports where a fault may act, by their Bayeux names.
const (
	LongPolling     = "long-polling"
	CallbackPolling = "callback-polling"
	WebSocket       = "websocket"
)

// Fault is a way to be wrong. The zero Fault is none: its proxy changes
// nothing. Faults are values that can be copied; what one remembers belongs to
// the instance that Start makes.
type Fault struct {
	// ID is stable: F-, the group of rules, a number.
	ID string
	// Rules are those that the fault breaks, the first above all.
	Rules []string
	// Text says in one sentence what the fault does.
	Text string
	// Transports are those where it acts. On the others its server is right.
	Transports []string
	// Server tells that the fault is made by hooks in the server, not by the
	// proxy alone, and so cannot be put in front of other servers.
	Server bool
	// Tolerated tells that a suite may only say that it is not strict: CometD
	// itself, of one release or another, does what the fault does, or no client
	// can come to harm by it.
	Tolerated bool
	// Needs names what a server must be set up with before a client can see
	// the fault, as words of a test fixture; empty for most.
	Needs string

	make factory
}

// factory makes the hooks of one instance, with a memory of their own.
type factory func(Options) hooks

// hooks are where a fault acts; all may be nil. Those of the proxy are called
// one at a time and must not block.
type hooks struct {
	// config changes the server before it is made, attach after.
	config func(*server.Config)
	attach func(*server.Server) error

	// request sees an HTTP request before it is decoded, response its answer
	// at the very end, aborted that the client has gone before.
	request, response, aborted func(*exchange)
	// in and out see batches of messages, on each transport.
	in, out func(*unit)
	// before sees them ahead of in, when the memory of sessions does not know
	// them yet.
	before func(*unit)

	// upgrade sees the request that opens a WebSocket and may answer it;
	// switched sees the header of the 101 that follows.
	upgrade  func(*exchange)
	switched func(l *link, header http.Header)
	// data sees each WebSocket message before it is decoded, control each
	// control frame; both may change and drop it. opened and closed see the
	// connection itself: closed when the client has ended it.
	data, control  func(*packet)
	opened, closed func(*link)
}

// decodes tells whether frames have to be looked into.
func (h *hooks) decodes() bool {
	return h.in != nil || h.out != nil || h.before != nil || h.data != nil || h.control != nil || h.closed != nil || h.opened != nil
}

// All returns the faults, by group and number.
func All() []Fault {
	return slices.Concat(
		messageFaults(), handshakeFaults(), identityFaults(), connectFaults(), adviceFaults(), browserFaults(),
		expiryFaults(), subscribeFaults(), publishFaults(), deliveryFaults(), httpFaults(), callbackFaults(),
		webSocketFaults(), ackFaults(), timesyncFaults(),
	)
}

// Find returns the fault of that id.
func Find(id string) (Fault, bool) {
	for _, f := range All() {
		if f.ID == id {
			return f, true
		}
	}
	return Fault{}, false
}

// ActsOn tells whether the fault acts on a transport.
func (f Fault) ActsOn(transport string) bool { return slices.Contains(f.Transports, transport) }

// Description is what a table of faults has to say of one.
type Description struct {
	ID         string   `json:"id"`
	Rules      []string `json:"rules"`
	Text       string   `json:"text"`
	Transports []string `json:"transports"`
	Server     bool     `json:"server,omitempty"`
	Tolerated  bool     `json:"tolerated,omitempty"`
	Needs      string   `json:"needs,omitempty"`
}

// Describe returns what a table has to say of the fault.
func (f Fault) Describe() Description {
	return Description{f.ID, f.Rules, f.Text, f.Transports, f.Server, f.Tolerated, f.Needs}
}

// Describe returns the descriptions of all faults, in the order of All.
func Describe() []Description {
	faults := All()
	all := make([]Description, 0, len(faults))
	for _, f := range faults {
		all = append(all, f.Describe())
	}
	return all
}

// ByRule returns the ids of the faults that break each rule.
func ByRule() map[string][]string {
	rules := map[string][]string{}
	for _, f := range All() {
		for _, r := range f.Rules {
			rules[r] = append(rules[r], f.ID)
		}
	}
	for _, ids := range rules {
		slices.SortFunc(ids, cmp.Compare[string])
	}
	return rules
}
