// Package service writes services in Go types: JSON comes in as a value, and
// results go out as one.
//
// Listen is for messages that need no answer, on any channel. RemoteCall answers
// what clients call with remoteCall: a call of the target "echo" is a message to
// /service/echo, its answer a message of the same channel and id ([R-SV-1]).
// AsyncCall is RemoteCall for answers that come later.
//
// # Data
//
// Data is read as encoding/json reads it: names of fields match whatever their
// case, of a name that comes twice the last counts, and fields that the type does
// not have are ignored, so that newer clients may send more. Strict refuses them.
// Missing data and null leave the value as it is made: zero, or nil for a
// pointer, which tells the two apart from a zero that was sent. Data that does not
// fit the type does not reach the handler: its sender is told which field, and
// what was wanted there. A type that cannot hold JSON, such as a channel, refuses
// everything.
//
// # Errors
//
// What becomes of a handler's error is told at Listen and RemoteCall. Texts of
// errors that are not made for clients stay on the server, in its log.
package service
