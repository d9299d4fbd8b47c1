package clientmode

import (
	"context"
	"encoding/json"
	"time"
)

// The channels of the application.
const (
	Control = "/bx/control" // what the application is to do
	Data    = "/bx/data"    // what it receives
	Report  = "/bx/report"  // by which it may tell events
)

// Job says what a client under test is started for.
type Job struct {
	Client    string // a name, different for each start
	URL       string
	Transport string // long-polling, websocket, or any: what the client prefers
	Ack       bool   // ask for acknowledged messages
	// How the client is to be set up, if it can be: what a reply may take on top
	// of a hold, the first pause after a failure, and the longest.
	NetworkDelay, Backoff, MaxBackoff time.Duration
}

// EventKind is the kind of an Event.
type EventKind string

// The kinds of events.
const (
	EventMessage    EventKind = "message"    // a message of a subscription; Channel, Data
	EventPublished  EventKind = "published"  // what became of a publish; OK, Error
	EventSubscribed EventKind = "subscribed" // what became of a subscription; Channel, OK, Error
	EventUp         EventKind = "up"         // the connection works
	EventDown       EventKind = "down"       // it is broken, or the session was lost
	EventEnd        EventKind = "end"        // the client has given up, or left
)

// Event is something that the application under test tells.
type Event struct {
	Kind    EventKind       `json:"kind"`
	Channel string          `json:"channel,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	OK      bool            `json:"ok,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// Client is a client under test.
type Client struct {
	// Start starts an application for a job. tell may be called until stop has
	// returned, which ends the application without a word to the server.
	Start func(ctx context.Context, job Job, tell func(Event)) (stop func(), err error)
	// Cannot gives the reason for each ability that the client lacks; its cases
	// are skipped.
	Cannot map[string]string
}
