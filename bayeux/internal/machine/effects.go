package machine

import (
	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/channels"
)

// Effects are what the caller has to do, in the order of the fields. The
// zero value is nothing to do.
type Effects struct {
	// Reply answers the message of Step. It is nil when the connect is held,
	// and for calls other than Step.
	Reply *bayeux.Message
	// Subscribe are the channels that the session was not subscribed to
	// before, in order of the message ([R-SB-5]). They must be in effect before
	// Reply leaves ([R-SB-14]).
	Subscribe []channels.Name
	// Unsubscribe are the channels that it was subscribed to until now. The end
	// of a session does not list them: see Session.Subscriptions.
	Unsubscribe []channels.Name
	// Ended is the hold that ends; its Cause is zero when none does. Each Hold is
	// in exactly one Ended, sooner or later.
	Ended Ended
	// Hold is the new hold: the connect of Step is answered later, by an
	// Ended of that ID. Its ID is zero when there is none.
	Hold Hold
	// Removed says why the session ended just now; empty when it did not.
	Removed Reason
	// Wake is when Expire wants to be called next, the same as
	// Session.Deadline; zero for never. It replaces the time of earlier Effects.
	Wake instant.Time
}

// Hold is a connect that waits for something to say.
type Hold struct {
	// ID is unique within the session, from 1.
	ID uint64
	// Until is when Expire answers it.
	Until instant.Time
}

// Ended is a hold that ends.
type Ended struct {
	// ID is that of the Hold.
	ID uint64
	// Cause says why.
	Cause Cause
	// Reply answers the connect. It is nil with Replaced, which HTTP answers
	// with the status of a duplicate and a WebSocket not at all, and with
	// Dropped.
	Reply *bayeux.Message
}

// Cause says why a hold ended.
type Cause uint8

// The causes.
const (
	// TimedOut is the end of the hold's time ([R-CN-8]).
	TimedOut Cause = iota + 1
	// Woken is a queued message ([R-CN-9]).
	Woken
	// Replaced is a newer connect, or another carrier, of the same session
	// ([R-CN-20], [R-WS-20], [R-WS-21]). There is no reply.
	Replaced
	// Terminated is the end of the session ([R-CN-15], [R-CN-16]).
	Terminated
	// Released is a graceful stop of the server (WIRE 16).
	Released
	// Dropped is the loss of the carrier, as told by Lost or Detached. There is
	// no reply and nobody to give it to ([R-CN-21], [R-WS-18]).
	Dropped
)

// String returns a name for logs.
func (c Cause) String() string {
	switch c {
	case TimedOut:
		return "timed_out"
	case Woken:
		return "woken"
	case Replaced:
		return "replaced"
	case Terminated:
		return "terminated"
	case Released:
		return "released"
	case Dropped:
		return "dropped"
	}
	return "invalid"
}

// Reason says why a session ended, in a word for logs and metrics.
type Reason string

// The reasons that the server knows; Disconnect and Remove take any other.
const (
	// ReasonDisconnect is a /meta/disconnect of the client.
	ReasonDisconnect Reason = "disconnect"
	// ReasonExpired is silence for longer than interval and maxInterval.
	ReasonExpired Reason = "expired"
	// ReasonMaxProcessing is a reply that could not be written in time.
	ReasonMaxProcessing Reason = "max_processing"
	// ReasonServer is a decision of server code.
	ReasonServer Reason = "server"
	// ReasonRemoved is server code that removes the session without a word.
	ReasonRemoved Reason = "removed"
	// ReasonSlowConsumer is a queue beyond its bounds.
	ReasonSlowConsumer Reason = "slow_consumer"
	// ReasonUnauthorized is server code that ends the session with an error: its
	// credentials have expired or were revoked.
	ReasonUnauthorized Reason = "unauthorized"
	// ReasonStranded is a WebSocket that carried nothing since the handshake.
	ReasonStranded Reason = "stranded"
	// ReasonReplaced is another session that took the place of this one.
	ReasonReplaced Reason = "replaced"
)
