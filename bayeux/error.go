package bayeux

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
)

// Sentinels that extensions and listeners return.
var (
	// Drop deletes the message: an incoming one is answered with
	// 404::message_deleted ([R-PB-4]), an outgoing one is not sent.
	Drop = errors.New("bayeux: message dropped") //nolint:errname,gochecknoglobals,revive,staticcheck // a constant that reads as a verdict: return bayeux.Drop
	// Handled ends the processing of an incoming message: the caller has filled
	// in its Reply ([R-SV-4]).
	Handled = errors.New("bayeux: message handled") //nolint:errname,gochecknoglobals,revive,staticcheck // a constant that reads as a verdict: return bayeux.Handled
)

// Error is a Bayeux error, "code:args:text" on the wire ([R-MSG-14]).
//
// A Policy or an Extension returns one to refuse a message. A zero Code means
// 403; an empty Text lets the server name the refused operation, as in
// "403:no_such_room:subscribe_denied".
type Error struct {
	// Code is the status number: 400, 401, 402, 403, 404, 405.
	Code int
	// Args are the arguments, comma separated; the reason of a refusal.
	Args string
	// Text is the literal that clients see, such as "session_unknown".
	Text string
	// Advice goes into the reply where not nil. Without it a refused handshake
	// gets reconnect none ([R-HS-10]).
	Advice *Advice
	// Ext goes into the reply where not nil: a JSON object.
	Ext Raw
}

// Error returns the wire form ([R-MSG-14]).
func (e *Error) Error() string {
	return strconv.Itoa(cmp.Or(e.Code, 403)) + ":" + e.Args + ":" + e.Text
}

// ParseError reads the wire form "code:args:text" ([R-MSG-14]). Whatever else
// is all text, with code 0.
func ParseError(s string) *Error {
	parts := strings.SplitN(s, ":", 3)
	code, err := strconv.Atoi(parts[0])
	if err != nil || len(parts) < 3 {
		return &Error{Text: s}
	}
	return &Error{Code: code, Args: parts[1], Text: parts[2]}
}

// Deny returns an Error that refuses an operation for a reason, which clients
// see between the colons: 403:reason:publish_denied ([R-SB-9]).
func Deny(reason string) *Error { return &Error{Code: 403, Args: reason} }

// Errors of the protocol, as CometD 5 and later spell them ([R-ERR-6], WIRE 12).
// They are immutable; copy one to change it.
var (
	ErrChannelMissing      = &Error{Code: 400, Text: "channel_missing"}
	ErrSessionUnknown      = &Error{Code: 402, Text: "session_unknown"}
	ErrHandshakeDenied     = &Error{Code: 403, Text: "handshake_denied"}
	ErrHandshakeFailed     = &Error{Code: 403, Text: "handshake_failed"}
	ErrSubscriptionMissing = &Error{Code: 403, Text: "subscription_missing"}
	ErrSubscriptionInvalid = &Error{Code: 403, Text: "subscription_invalid"}
	ErrSubscribeFailed     = &Error{Code: 403, Text: "subscribe_failed"}
	ErrUnsubscribeFailed   = &Error{Code: 403, Text: "unsubscribe_failed"}
	ErrMessageDeleted      = &Error{Code: 404, Text: "message_deleted"}
	ErrChannelInvalid      = &Error{Code: 405, Text: "channel_invalid"}
	ErrMessageIDInvalid    = &Error{Code: 405, Text: "message_id_invalid"}
)

// Reasons and operations of refusals (WIRE 12).
const (
	ReasonSecurityPolicy = "denied_by_security_policy"
	ReasonNotGranting    = "denied_by_not_granting" // for policies that work as authorizers do [R-SP-3]

	DeniedCreate        = "create_denied"
	DeniedSubscribe     = "subscribe_denied"
	DeniedChannelCreate = "channel_create_denied"
	DeniedPublish       = "publish_denied"
)
