// Package router holds the channels of a server: which exist, how they behave,
// who subscribes to them, and who is to receive what is published.
//
// It is the concurrent counterpart of channels.Tree, against which it is
// checked. Channels are spread over shards by the hash of their name, each
// shard a map under one lock. A caller holds at most one of these locks, for a
// look-up or a small change, never while it calls foreign code or copies
// receivers: the list of a channel's subscribers grows at its end and loses
// members by single atomic stores, so it can be read without the lock.
//
// The package starts no goroutine and reads no clock: the owner of a Router
// calls Sweep from time to time.
package router
