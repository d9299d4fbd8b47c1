// Package bayeux is the vocabulary of the Bayeux protocol, version 1.0: its
// messages and their JSON, and the contracts of all that takes part in
// processing them. It has no goroutine, no clock, no log and no socket.
//
// Where to find what, by the sections of the Bayeux specification and of
// WIRE.md, whose rules are quoted as [R-…]:
//
//	Message fields, batches (WIRE 1)        message.go fields.go decode.go encode.go
//	JSON itself (WIRE 1, R-MSG-15, -16)     scan.go text.go
//	channel and id checks (R-MSG-6 to -10)  validate.go, and package channels
//	reply base fields (R-MSG-4)             message.go
//	advice field: sent (WIRE 4a)            advice.go
//	advice field: received (R-CN-6, -14)    clientadvice.go
//	ext field (WIRE 9)                      ext.go extension.go note.go content.go
//	subscription field (WIRE 5)             subscription.go
//	broadcast of a publish (WIRE 6)         message.go frozen.go
//	error field (WIRE 12, R-MSG-14)         error.go
//	security policy, authorizers (WIRE 10)  policy.go compose.go authorizer.go
//	listeners and their parameters          extension.go params.go
//	sessions and their times (WIRE 3, 4)    session.go
//	the request behind a message (WIRE 7)   request.go
//	limits (R-HT-7)                         limits.go
//
// Decode turns the bytes of a request into messages, AppendBatch turns messages
// into bytes. Only the envelope is given Go types: data, ext and fields without
// a name here stay the bytes that came, and leave unchanged.
package bayeux
