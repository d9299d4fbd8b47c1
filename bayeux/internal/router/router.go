package router

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

const (
	shardCount = 256
	// levels is how many depths of wildcard channels are counted apart; deeper
	// ones share the last count.
	levels = 64
)

// Attrs is how a channel behaves. The zero value is an ordinary channel.
type Attrs struct {
	// LazyTimeout is how long messages on a lazy channel may wait; zero is the
	// transport's maxLazyTimeout.
	LazyTimeout time.Duration
	// Persistent keeps the channel from being swept ([R-SB-13]).
	Persistent bool
	// Lazy marks the messages that match this channel as lazy ([R-DL-6]).
	Lazy bool
	// SlowConsumer is the policy for messages on this channel and on those that
	// it matches, unless a narrower one has its own.
	SlowConsumer bayeux.SlowConsumer
	// NoEcho keeps what a session publishes from coming back to it by its
	// subscription to this channel: broadcastToPublisher=false ([R-PB-11]).
	NoEcho bool
}

// Router is the set of channels of a server and of their subscribers, which are
// of type *T. Make one with New. All methods are safe for concurrent use, and do
// nothing for the zero Name or a nil subscriber; names must be valid, as from
// channels.Parse.
type Router[T any] struct {
	// Immutable after construction and Attend.
	seed   maphash.Seed
	births Births

	// The channels. A wildcard channel is kept under its name up to the slash
	// before the wildcard, a piece of every name that it matches, so that
	// Collect looks it up without building a string. A channel and a deep
	// wildcard cannot share such a key, for names have no trailing slash; deep
	// and shallow ones could, so the shallow ones are apart.
	plain   [shardCount]shard[T]
	shallow [shardCount]shard[T]

	// Atomic: how many channels there are, and how many wildcard channels with
	// so many segments. Publishing does not look for those of a depth that has
	// none.
	size      atomic.Int64
	deepAt    [levels]atomic.Int32
	shallowAt [levels]atomic.Int32

	// tables are *table[T], for Collect.
	tables sync.Pool
}

// shard is a part of the channels.
type shard[T any] struct {
	mu sync.RWMutex

	// Guarded by mu.
	nodes    map[string]*node[T]
	creating map[string]*creation
	unused   []channels.Name // what Sweep has to look at
	members  int             // subscriptions in all nodes

	_ [64]byte // a lock is not slowed by the use of its neighbours
}

// node is one channel, guarded by the lock of its shard.
type node[T any] struct {
	name   channels.Name // as it was first spelt in memory
	attrs  *Attrs        // nil: an ordinary channel's; see behaviour
	subs   list[T]
	sweeps atomic.Uint32 // in a row that found it unused; also reset under a read lock
	pins   int32
	listed bool // in shard.unused
}

// behaviour returns the attributes.
func (nd *node[T]) behaviour() Attrs {
	if nd.attrs == nil {
		return Attrs{}
	}
	return *nd.attrs
}

func (nd *node[T]) behave(a Attrs) {
	if nd.attrs = nil; a != (Attrs{}) {
		nd.attrs = &a
	}
}

// New returns an empty router.
func New[T any]() *Router[T] {
	return &Router[T]{seed: maphash.MakeSeed()}
}

// Exists tells whether there is a channel of that name. A channel whose
// initialiser still runs does not exist yet.
func (r *Router[T]) Exists(n channels.Name) bool {
	_, ok := r.Attrs(n)
	return ok
}

// Attrs returns the attributes of a channel, and whether it exists.
func (r *Router[T]) Attrs(n channels.Name) (Attrs, bool) {
	sh, key := r.locate(n)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if nd := sh.nodes[key]; nd != nil {
		return nd.behaviour(), true
	}
	return Attrs{}, false
}

// Intern returns the name with the memory of the channel of that name, so that
// all who keep it keep the same; n itself if there is no such channel.
func (r *Router[T]) Intern(n channels.Name) channels.Name {
	sh, key := r.locate(n)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if nd := sh.nodes[key]; nd != nil {
		return nd.name
	}
	return n
}

// Update changes the attributes of a channel, which is created if missing. The
// function is called without a lock, and again if somebody else changed the
// attributes meanwhile: it must do nothing but set fields. The call counts as
// a use ([R-SB-13]). An error is that of an initialiser of Births.
func (r *Router[T]) Update(n channels.Name, change func(*Attrs)) error {
	if n == "" {
		return nil
	}
	sh, key := r.locate(n)
	for {
		old, known := r.Attrs(n)
		if !known {
			created, err := r.Create(n, func(a *Attrs) error {
				change(a)
				return nil
			})
			if created || err != nil {
				return err
			}
			continue
		}
		attrs := old
		change(&attrs)
		sh.mu.Lock()
		nd := sh.nodes[key]
		same := nd != nil && nd.behaviour() == old
		if same {
			nd.behave(attrs)
			nd.touch()
			sh.suspect(n, nd)
		}
		sh.mu.Unlock()
		if same {
			return nil
		}
	}
}

// Pin keeps the channel from being swept until as many calls of Unpin: for
// channels with listeners or authorizers ([R-SB-13]). It is created if missing;
// an error of its initialiser is returned, and nothing is pinned.
func (r *Router[T]) Pin(n channels.Name) error {
	if n == "" {
		return nil
	}
	sh, key := r.locate(n)
	sh.mu.Lock()
	if c := sh.creating[key]; c != nil {
		// Not waiting lets an initialiser add a listener to its channel.
		c.pins++
		sh.mu.Unlock()
		return nil
	}
	if nd := sh.nodes[key]; nd != nil {
		nd.touch()
		nd.pins++
		sh.mu.Unlock()
		return nil
	}
	sh.mu.Unlock()
	nd, created, err := r.enter(sh, n, key)
	if err != nil {
		return err
	}
	nd.pins++
	sh.mu.Unlock()
	r.tell(n, created)
	return nil
}

// Unpin takes back one call of Pin. Without one it does nothing.
func (r *Router[T]) Unpin(n channels.Name) {
	sh, key := r.locate(n)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c := sh.creating[key]; c != nil {
		c.pins = max(0, c.pins-1)
		return
	}
	if nd := sh.nodes[key]; nd != nil {
		nd.pins = max(0, nd.pins-1)
		sh.suspect(n, nd)
	}
}

// Add subscribes s to a channel, which is created if missing, and tells whether
// it was not subscribed before. Where the channel's initialiser fails nobody is
// subscribed.
func (r *Router[T]) Add(n channels.Name, s *T) (added bool) {
	if n == "" || s == nil {
		return false
	}
	sh, key := r.locate(n)
	nd, created, err := r.enter(sh, n, key)
	if err != nil {
		return false
	}
	if added = nd.subs.add(r.seed, s); added {
		sh.members++
	}
	sh.mu.Unlock()
	r.tell(n, created)
	return added
}

// Remove ends a subscription and tells whether there was one. A Collect that is
// running may still return s.
func (r *Router[T]) Remove(n channels.Name, s *T) (removed bool) {
	sh, key := r.locate(n)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	nd := sh.nodes[key]
	if nd == nil || s == nil || !nd.subs.remove(r.seed, s) {
		return false
	}
	sh.members--
	sh.suspect(n, nd)
	return true
}

// Subscribers returns how many subscribe to the channel itself.
func (r *Router[T]) Subscribers(n channels.Name) int {
	sh, key := r.locate(n)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if nd := sh.nodes[key]; nd != nil {
		return int(nd.subs.live)
	}
	return 0
}

// Members returns who subscribes to the channel itself, in no order.
func (r *Router[T]) Members(n channels.Name) []*T {
	sh, key := r.locate(n)
	sh.mu.RLock()
	var slots []slot[T]
	if nd := sh.nodes[key]; nd != nil {
		slots = nd.subs.slots
	}
	sh.mu.RUnlock()
	var members []*T
	for i := range slots {
		if s := slots[i].Load(); s != nil {
			members = append(members, s)
		}
	}
	return members
}

// Len returns the number of channels. It is cheap, unlike Stats.
func (r *Router[T]) Len() int { return int(r.size.Load()) }

// locate returns where a channel is kept.
func (r *Router[T]) locate(n channels.Name) (sh *shard[T], key string) {
	key = string(n)
	switch {
	case !n.IsWild():
		return r.shard(key), key
	case n.IsDeepWild():
		key = key[:len(key)-2]
		return r.shard(key), key
	default:
		key = key[:len(key)-1]
		return r.shallowShard(key), key
	}
}

func (r *Router[T]) shard(key string) *shard[T] {
	return &r.plain[maphash.String(r.seed, key)%shardCount]
}

func (r *Router[T]) shallowShard(key string) *shard[T] {
	return &r.shallow[maphash.String(r.seed, key)%shardCount]
}

// insert publishes a new node. The shard is locked; the caller calls suspect if
// the node stays unused.
func (r *Router[T]) insert(sh *shard[T], n channels.Name, key string, nd *node[T]) {
	if sh.nodes == nil {
		sh.nodes = make(map[string]*node[T])
	}
	nd.name = n
	sh.nodes[key] = nd
	r.count(n, +1)
}

// count keeps the numbers of channels.
func (r *Router[T]) count(n channels.Name, change int32) {
	r.size.Add(int64(change))
	at := min(n.Segments(), levels-1)
	switch {
	case n.IsDeepWild():
		r.deepAt[at].Add(change)
	case n.IsWild():
		r.shallowAt[at].Add(change)
	}
}

// touch says that the channel is in use. The shard is at least read-locked.
func (nd *node[T]) touch() {
	if nd != nil && nd.sweeps.Load() != 0 {
		nd.sweeps.Store(0)
	}
}

// unused tells whether nothing keeps the channel ([R-SB-13]).
func (nd *node[T]) unused() bool {
	return !nd.behaviour().Persistent && nd.pins == 0 && nd.subs.live == 0
}

// suspect brings a channel that may have become unused to the notice of Sweep.
// The shard is locked.
func (sh *shard[T]) suspect(n channels.Name, nd *node[T]) {
	if !nd.listed && nd.unused() {
		nd.listed = true
		sh.unused = append(sh.unused, n)
	}
}
