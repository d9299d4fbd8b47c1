package pathprofile

import (
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
)

// Key names a path: a number for a client's address, whose choice is the server's.
type Key uint64

// Adaptations are the things that are learned.
type Adaptations uint8

// The adaptations.
const (
	Holds      Adaptations = 1 << iota // how long connects are held
	Responses                          // how large answers are
	Upgrades                           // whether WebSockets are opened
	ShortPolls                         // polling where nothing can be held
)

// Config configures a Book. Zeros mean the defaults.
type Config struct {
	// MinHold is the shortest ceiling of a hold. Default 1 s.
	MinHold time.Duration
	// ProbeEvery is how often more than what was learned is tried on a path. It
	// doubles with each failure, 16-fold at most. Default 30 min; negative: never.
	ProbeEvery time.Duration
	// TTL is how long an unused path is remembered. Default 24 h.
	TTL time.Duration
	// MaxPaths bounds the paths that are remembered; of those that are in the way,
	// one not used for long goes. Default 65,536.
	MaxPaths int
	// MinResponse is the least limit of a response, in bytes. Default 8 KiB.
	MinResponse int
	// DeadSockets in a row have WebSockets refused for RefuseUpgrades. That
	// doubles each time, up to a day, while no socket lives. Defaults 2 and 1 h.
	DeadSockets    int
	RefuseUpgrades time.Duration
	// ShortPollInterval and MaxShortPollInterval bound the pause between polls
	// where nothing can be held. Defaults 1 s and 10 s.
	ShortPollInterval    time.Duration
	MaxShortPollInterval time.Duration
	// Off are the adaptations that are switched off.
	Off Adaptations
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&c.MinHold, time.Second},
		{&c.ProbeEvery, 30 * time.Minute},
		{&c.TTL, 24 * time.Hour},
		{&c.RefuseUpgrades, time.Hour},
		{&c.ShortPollInterval, time.Second},
		{&c.MaxShortPollInterval, 10 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	for _, n := range []struct {
		value *int
		def   int
	}{{&c.MaxPaths, 1 << 16}, {&c.MinResponse, Large}, {&c.DeadSockets, 2}} {
		if *n.value <= 0 {
			*n.value = n.def
		}
	}
	c.MaxShortPollInterval = min(max(c.MaxShortPollInterval, c.ShortPollInterval), time.Minute)
	return c
}

func (c *Config) off(a Adaptations) bool { return c.Off&a != 0 }

// Book is all paths.
type Book struct {
	config Config
	shards [shardCount]shard
}

const (
	shardBits  = 4
	shardCount = 1 << shardBits
)

type shard struct {
	mu    sync.RWMutex
	paths map[Key]*Path
}

// New returns an empty book.
func New(c Config) *Book {
	b := &Book{config: c.withDefaults()}
	for i := range b.shards {
		b.shards[i].paths = make(map[Key]*Path)
	}
	return b
}

func (b *Book) shard(k Key) *shard {
	const spread = 0x9e3779b97f4a7c15
	return &b.shards[uint64(k)*spread>>(64-shardBits)]
}

// Path returns the path of that key; nil if nothing has happened on it.
func (b *Book) Path(k Key, now instant.Time) *Path {
	s := b.shard(k)
	s.mu.RLock()
	p := s.paths[k]
	s.mu.RUnlock()
	if p != nil {
		p.use(now)
	}
	return p
}

// Make is Path for when something has: a path that is missing is made.
func (b *Book) Make(k Key, now instant.Time) *Path {
	if p := b.Path(k, now); p != nil {
		return p
	}
	return b.shard(k).add(b, k, now)
}

func (s *shard) add(b *Book, k Key, now instant.Time) *Path {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.paths[k]; p != nil {
		return p
	}
	if len(s.paths) >= max(1, b.config.MaxPaths/shardCount) {
		s.evict()
	}
	p := &Path{key: k, config: &b.config}
	p.use(now)
	s.paths[k] = p
	return p
}

// evict forgets the least recently used of a few paths. Sessions that go by it
// keep it for as long as they live.
func (s *shard) evict() {
	const few = 8
	var oldest *Path
	n := 0
	for _, p := range s.paths { // in no order
		if oldest == nil || p.used.Load() < oldest.used.Load() {
			oldest = p
		}
		if n++; n == few {
			break
		}
	}
	if oldest != nil {
		delete(s.paths, oldest.key)
	}
}

// Sweep forgets paths that have not been used for the TTL, and returns how many.
func (b *Book) Sweep(now instant.Time) int {
	gone := 0
	for i := range b.shards {
		s := &b.shards[i]
		if !s.stale(now, b.config.TTL) {
			continue
		}
		s.mu.Lock()
		for k, p := range s.paths {
			if now.Sub(instant.Time(p.used.Load())) > b.config.TTL {
				delete(s.paths, k)
				gone++
			}
		}
		s.mu.Unlock()
	}
	return gone
}

// stale tells whether one of a few paths is too old: where many are, the chance is
// good, and Sweep is called often.
func (s *shard) stale(now instant.Time, ttl time.Duration) bool {
	const few = 16
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for _, p := range s.paths {
		if now.Sub(instant.Time(p.used.Load())) > ttl {
			return true
		}
		if n++; n == few {
			break
		}
	}
	return false
}

// Stats are how many paths there are, and of how many something is known that
// newcomers begin with.
type Stats struct {
	Paths           int
	Ceilings        int // shorter holds
	Sizes           int // smaller responses
	UpgradesRefused int
	ShortPolls      int
}

// Stats counts them.
func (b *Book) Stats(now instant.Time) (all Stats) {
	for i := range b.shards {
		s := &b.shards[i]
		s.mu.RLock()
		for _, p := range s.paths {
			all.Paths++
			if p.Quiet() && !p.gated.Load() {
				continue
			}
			p.count(&all, now)
		}
		s.mu.RUnlock()
	}
	return all
}
