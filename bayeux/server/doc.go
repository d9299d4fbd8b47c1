// Package server puts the house together: it runs the pipeline between the
// carriers of package transport and the pure parts below (machine, queue,
// router), and owns the locks, the clock, the goroutines and the logs.
//
// A Server is an http.Handler. The way of a message through this package:
//
//	exchange.go, port.go   a batch arrives from a carrier; its session is found
//	admission.go, addresses.go   is there room for one more session, and for whom
//	hub.go                 validation, extensions, session check, dispatch [R-MSG-9]
//	subscribe.go           /meta/subscribe, /meta/unsubscribe: policy, then the machine
//	publish.go             policy, listeners, fan-out to the sessions' queues
//	view.go                what extensions and listeners see of a session
//	session.go             steps of the machine under the lock, effects after it
//	deadlines.go           one heap for all holds, expiries and lazy messages
//	pipeline.go, call.go   extensions and policy, called outside all locks
//
// The postures and what they change are in posture.go, limits.go and origins.go;
// quiet.go bounds what clients can have written to the log.
//
// What server code uses besides:
//
//	api.go                 publish, deliver, sessions
//	listeners.go           Listen: channels, wildcards, templates, meta channels
//	channel.go             channels' options, initialisers
//	lifecycle.go           OnSession, OnSubscription, OnUser, OnChannel
//	users.go               the sessions of a user
//	members.go             who is subscribed; subscribing and publishing for a session
//	local.go               sessions of server code: a carrier without a network
//
// Services in Go types are in package service, filters of data in package filter.
//
// Locks: a session's own, the registry's and the users' shards, the router's, the
// deadlines', the browsers', the addresses', those of what is registered. At most one is held at
// any time, and none while an extension, a policy, a listener or a socket is
// called. Effects that touch the router, the registry or the users are carried
// out in the order of the steps that caused them: each step takes a turn under
// the lock and hands it on when it is done.
//
// Goroutines: one for deadlines, one that sweeps; both end with Shutdown. Those
// that tell listeners of what happens, and those of local sessions, exist only
// while there is something to tell or to receive. Those of connections belong to
// net/http and to package transport.
package server
