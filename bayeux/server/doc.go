// Package server puts the house together: it runs the pipeline between the
// carriers of package transport and the pure parts below (machine, queue,
// router), and owns the locks, the clock, the goroutines and the logs.
//
// A Server is an http.Handler. The way of a message through this package:
//
//	exchange.go, port.go   a batch arrives from a carrier; its session is found
//	hub.go                 validation, extensions, session check, dispatch [R-MSG-9]
//	subscribe.go           /meta/subscribe, /meta/unsubscribe: policy, then the machine
//	publish.go             policy, listeners, fan-out to the sessions' queues
//	view.go                what extensions and listeners see of a session
//	session.go             steps of the machine under the lock, effects after it
//	deadlines.go           one heap for all holds, expiries and lazy messages
//	pipeline.go            extensions and policy, called outside all locks
//
// Locks: a session's own, the registry's shards, the router's, the deadlines',
// the browsers'. At most one is held at any time, and none while an extension,
// a policy, a listener or a socket is called. Effects that touch the router or
// the registry are carried out in the order of the steps that caused them:
// each step takes a turn under the lock and hands it on when it is done.
//
// Goroutines: one for deadlines, one that sweeps; both end with Shutdown. Those
// of connections belong to net/http and to package transport.
package server
