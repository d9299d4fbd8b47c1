package router

import (
	"slices"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Receiver is somebody who is to get a message.
type Receiver[T any] struct {
	S *T
	// NoEcho tells not to send the message if S is its publisher: each
	// subscription of S that matches is to a channel with NoEcho ([R-PB-11]).
	NoEcho bool
}

// Delivery is how a message is to be delivered.
type Delivery struct {
	// Lazy tells that a matching channel, exact or wildcard, is lazy ([R-DL-6]).
	Lazy bool
	// Unset tells that a matching lazy channel has no timeout of its own, so
	// that the transport's maxLazyTimeout is one of those to compare.
	Unset bool
	// LazyTimeout is the smallest timeout of the matching lazy channels that
	// have one, else zero.
	LazyTimeout time.Duration
	// SlowConsumer is the policy of the narrowest matching channel that has one.
	SlowConsumer bayeux.SlowConsumer
}

// Timeout returns how long the message may wait, given the transport's
// maxLazyTimeout: the earliest of what the matching channels allow ([R-DL-6]).
// It is zero for a message that is not lazy.
func (d Delivery) Timeout(maxLazyTimeout time.Duration) time.Duration {
	switch {
	case !d.Lazy:
		return 0
	case d.LazyTimeout == 0:
		return maxLazyTimeout
	case d.Unset:
		return min(d.LazyTimeout, maxLazyTimeout)
	default:
		return d.LazyTimeout
	}
}

// include adds a matching channel; they come from the widest to the narrowest.
func (d *Delivery) include(a Attrs) {
	if a.SlowConsumer != bayeux.SlowUnset {
		d.SlowConsumer = a.SlowConsumer
	}
	if !a.Lazy {
		return
	}
	d.Lazy = true
	switch {
	case a.LazyTimeout <= 0:
		d.Unset = true
	case d.LazyTimeout == 0 || a.LazyTimeout < d.LazyTimeout:
		d.LazyTimeout = a.LazyTimeout
	}
}

// audience is the subscribers of one channel as they were at one time.
type audience[T any] struct {
	slots  []slot[T]
	noEcho bool
}

// Collect appends to dst who is to get a message published to n: the
// subscribers of n and of the wildcard channels that match it, from /** down to
// n ([R-PB-10]), each once ([R-PB-9]). To a wildcard channel, messages can be
// published like to others ([R-PB-8]). Meta and service channels have no
// receivers, nor are they matched by /** ([R-SB-10]). Publishing creates no
// channel; if n exists, it counts as a use ([R-SB-13]).
//
// The receivers are copied after all locks are released. Who unsubscribes
// meanwhile may be among them, who subscribes meanwhile may not.
func (r *Router[T]) Collect(n channels.Name, dst []Receiver[T]) ([]Receiver[T], Delivery) {
	var how Delivery
	if !n.IsBroadcast() {
		return dst, how
	}
	var few [8]audience[T]
	found := r.match(n, few[:0], &how)
	if len(found) > 1 {
		return r.merge(dst, found), how
	}
	for _, a := range found {
		dst = a.appendTo(dst)
	}
	return dst, how
}

// Heard tells whether Collect would find anybody. It counts as a use too.
func (r *Router[T]) Heard(n channels.Name) bool {
	var how Delivery
	var few [8]audience[T]
	return n.IsBroadcast() && len(r.match(n, few[:0], &how)) > 0
}

// match appends to found the audiences of n that are not empty, the outermost
// first.
func (r *Router[T]) match(n channels.Name, found []audience[T], how *Delivery) []audience[T] {
	wild, deep := n.IsWild(), n.IsDeepWild()
	last, depth := 0, 0
	for i := range len(n) {
		if n[i] != '/' {
			continue
		}
		last = i + 1
		depth++
		prefix := string(n[:last])
		// The last prefix of a deep wildcard is the key of the channel itself.
		own := deep && last == len(n)-2
		if !own && r.deepAt[min(depth, levels-1)].Load() != 0 {
			found = r.shard(prefix).audience(prefix, found, how, false)
		}
	}
	if !wild && r.shallowAt[min(depth, levels-1)].Load() != 0 {
		prefix := string(n[:last])
		found = r.shallowShard(prefix).audience(prefix, found, how, false)
	}
	sh, key := r.locate(n)
	return sh.audience(key, found, how, true)
}

// audience appends who subscribes under one key.
func (sh *shard[T]) audience(key string, found []audience[T], how *Delivery, use bool) []audience[T] {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	nd := sh.nodes[key]
	if nd == nil {
		return found
	}
	if use {
		nd.touch()
	}
	attrs := nd.behaviour()
	how.include(attrs)
	if nd.subs.live == 0 {
		return found
	}
	return append(found, audience[T]{nd.subs.slots, attrs.NoEcho})
}

func (a audience[T]) appendTo(dst []Receiver[T]) []Receiver[T] {
	dst = slices.Grow(dst, len(a.slots))
	for i := range a.slots {
		if s := a.slots[i].Load(); s != nil {
			dst = append(dst, Receiver[T]{s, a.noEcho})
		}
	}
	return dst
}
