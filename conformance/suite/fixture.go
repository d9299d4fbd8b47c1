package suite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Fixture declares what a server was set up with, for cases that cannot be
// tested without. conformance/schema/fixture.json is its schema. What is not
// declared is skipped.
type Fixture struct {
	Name string `json:"name,omitempty"`
	// Lazy are channels whose messages wait.
	Lazy []LazyChannel `json:"lazy,omitempty"`
	// Denied are operations that policy or authorizers refuse.
	Denied []Denial `json:"denied,omitempty"`
	// Granted are channels with authorizers that let everybody subscribe and
	// publish.
	Granted []string `json:"granted,omitempty"`
	// NoEcho is a channel whose publisher does not get its own messages.
	NoEcho string `json:"noEcho,omitempty"`
	// ConnectOnly is an ext for the handshake that makes the session one
	// whose messages leave with connects only.
	ConnectOnly json.RawMessage `json:"connectOnly,omitempty"`
	// HandshakeDenied is a handshake that policy refuses.
	HandshakeDenied *DeniedHandshake `json:"handshakeDenied,omitempty"`
	// Echo is a service channel that answers on itself, to the sender, with
	// the data that came.
	Echo string `json:"echo,omitempty"`
	// Push is a service channel: data {"channel", "data"} makes the server
	// deliver that message to the sender alone, before its request is answered.
	// More fields: "session", the clientId to deliver to instead; "count",
	// deliver so many messages, with data 1 to count; "lazy", mark them lazy;
	// "delayMs", deliver so much later.
	Push string `json:"push,omitempty"`
	// Broadcast is a service channel that takes what Push takes, and makes the
	// server publish the message to all subscribers.
	Broadcast string `json:"broadcast,omitempty"`
	// Kick is a service channel that makes the server disconnect the sender, or
	// the session of the field "session".
	Kick string `json:"kick,omitempty"`
	// Remove is a service channel that makes the server forget the sender, or
	// the session of the field "session", without telling the client.
	Remove string `json:"remove,omitempty"`
	// Veto is a channel whose messages a listener or extension deletes.
	Veto string `json:"veto,omitempty"`
	// Extension are channels on which an extension acts.
	Extension *ExtensionChannels `json:"extension,omitempty"`
	// Remote are targets of remote calls.
	Remote *Remote `json:"remote,omitempty"`
	// Queue is the bound of a session's queue.
	Queue *QueueLimit `json:"queue,omitempty"`
	// Limits are those of sizes, in bytes.
	Limits *SizeLimits `json:"limits,omitempty"`
	// Browser is the limit of sessions that hold, of one browser.
	Browser *BrowserLimit `json:"browser,omitempty"`
	// Transports that the server has, as the suite names them.
	Transports []string `json:"transports,omitempty"`
	// Extensions that the server has: ack, timesync, binary.
	Extensions []string `json:"extensions,omitempty"`
	// Cookie is how the cookie of a browser is set.
	Cookie *BrowserCookie `json:"cookie,omitempty"`
	// ActivityMs is the period of the activity extension.
	ActivityMs int `json:"activityMs,omitempty"`
	// Options are CometD options in force that differ from their defaults, such
	// as handshakeReconnect or ws.messagesPerFrame.
	Options map[string]any `json:"options,omitempty"`
}

// LazyChannel is a channel whose messages wait, and for how long at most. One
// that ends with a wildcard gives each case a channel of its own.
type LazyChannel struct {
	Channel   string `json:"channel"`
	TimeoutMs int    `json:"timeoutMs"`
}

// Denial is an operation that is refused on a channel: create, subscribe or
// publish.
type Denial struct {
	Operation string `json:"operation"`
	Channel   string `json:"channel"`
	Reason    string `json:"reason,omitempty"` // the middle part of the error
}

// DeniedHandshake is an ext with which a handshake is refused.
type DeniedHandshake struct {
	Ext       json.RawMessage `json:"ext"`
	Reconnect string          `json:"reconnect,omitempty"` // the advice; default none
}

// Remote are targets of remote calls, as channels.
type Remote struct {
	Echo     string `json:"echo,omitempty"`     // returns its data
	Failing  string `json:"failing,omitempty"`  // fails
	Throwing string `json:"throwing,omitempty"` // fails by an exception, which the caller is told as {"class", "message"}
	Late     string `json:"late,omitempty"`     // returns its data some time after the publish is answered
	Twice    string `json:"twice,omitempty"`    // returns its data; its second answer has nowhere to go
	Missing  string `json:"missing,omitempty"`  // is none: nobody listens there
}

// ExtensionChannels are channels on which an extension acts.
type ExtensionChannels struct {
	Delete  string `json:"delete,omitempty"`  // it deletes what is published
	Answer  string `json:"answer,omitempty"`  // it answers successfully instead of the server, with an ext
	NoReply string `json:"noReply,omitempty"` // it deletes the reply to what is published
}

// QueueLimit is the bound of a session's queue and what happens beyond.
type QueueLimit struct {
	Messages int    `json:"messages"`
	Beyond   string `json:"beyond"` // drop-oldest, drop-newest, disconnect or nothing
}

// SizeLimits are bounds in bytes; zero is unlimited or unknown.
type SizeLimits struct {
	HTTPBody         int `json:"httpBody,omitempty"`
	WebSocketMessage int `json:"webSocketMessage,omitempty"`
}

// BrowserLimit is how many sessions of one browser may hold a connect, and the
// interval that the others are told.
type BrowserLimit struct {
	Sessions   int `json:"sessions"`
	IntervalMs int `json:"intervalMs"`
}

// BrowserCookie are the attributes of the cookie that handshakes set. Over a
// connection that is not encrypted it may be without Secure.
type BrowserCookie struct {
	Name        string `json:"name"`
	Domain      string `json:"domain,omitempty"`
	Path        string `json:"path,omitempty"`
	MaxAge      int    `json:"maxAge,omitempty"` // in seconds; 0: it has none
	HTTPOnly    bool   `json:"httpOnly,omitempty"`
	Secure      bool   `json:"secure,omitempty"`
	SameSite    string `json:"sameSite,omitempty"` // Lax, Strict, None; empty: it has none
	Partitioned bool   `json:"partitioned,omitempty"`
}

// Entries of the fixture, as needs.
const (
	NeedLazy            Need = "fixture:lazy"
	NeedDenied          Need = "fixture:denied"
	NeedNoEcho          Need = "fixture:noEcho"
	NeedConnectOnly     Need = "fixture:connectOnly"
	NeedHandshakeDenied Need = "fixture:handshakeDenied"
	NeedEcho            Need = "fixture:echo"
	NeedPush            Need = "fixture:push"
	NeedBroadcast       Need = "fixture:broadcast"
	NeedKick            Need = "fixture:kick"
	NeedRemove          Need = "fixture:remove"
	NeedVeto            Need = "fixture:veto"
	NeedExtension       Need = "fixture:extension"
	NeedGranted         Need = "fixture:granted"
	NeedRemote          Need = "fixture:remote"
	NeedQueue           Need = "fixture:queue"
	NeedLimits          Need = "fixture:limits"
	NeedBrowser         Need = "fixture:browser"
	NeedBrowserCookie   Need = "fixture:cookie"
	NeedTransports      Need = "fixture:transports"
	NeedExtensions      Need = "fixture:extensions"
	NeedOptions         Need = "fixture:options"
	NeedActivity        Need = "fixture:activityMs"
)

// ParseFixture reads a fixture file; unknown fields are an error.
func ParseFixture(text []byte) (*Fixture, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	f := &Fixture{}
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("fixture: %w", err)
	}
	for _, d := range f.Denied {
		if d.Operation != "create" && d.Operation != "subscribe" && d.Operation != "publish" {
			return nil, fmt.Errorf("fixture: operation %q of %s; want create, subscribe or publish", d.Operation, d.Channel)
		}
	}
	return f, nil
}

// declares tells whether an entry is there, by its JSON name.
func (f *Fixture) declares(n Need) bool {
	name, ok := strings.CutPrefix(string(n), "fixture:")
	if !ok {
		return false
	}
	text, err := json.Marshal(f)
	if err != nil {
		return false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return false
	}
	_, ok = fields[name]
	return ok
}

// DeniedFor returns the first denial of an operation; ok is false if the
// fixture has none.
func (f *Fixture) DeniedFor(operation string) (d Denial, ok bool) {
	for _, d := range f.Denied {
		if d.Operation == operation {
			return d, true
		}
	}
	return Denial{}, false
}
