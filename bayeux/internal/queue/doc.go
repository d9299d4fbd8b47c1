// Package queue holds the outgoing messages of one session, from the moment
// they are routed to it until they are known to have left.
//
// A message is waiting, leased or retained. Take leases messages to a carrier;
// Done reports what became of them: what was written is forgotten, what was not
// waits again at its old place, so the order never changes ([R-DL-10]). Several
// leases may be out at once.
//
// With retained delivery, which the ack extension turns on, what was written
// stays as retained until the client acknowledges its batch. Messages then leave
// with connect and handshake replies only, each of which closes a batch and
// takes everything stored along ([R-ACK-3], [R-ACK-6]).
//
// Bounds count all three kinds. A broadcast is shared by the queues of all its
// receivers; each counts it in full, a Total counts it once.
//
// The package is pure: a Queue is for one goroutine at a time, time is an
// argument, and nothing here blocks or calls back. Only Total is safe for
// concurrent use.
package queue
