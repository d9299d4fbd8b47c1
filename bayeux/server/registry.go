package server

import (
	"crypto/rand"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const registryShards = 64

// registry knows the sessions by id. Its locks are leaves: nothing is called
// while one is held.
type registry struct {
	seed   maphash.Seed
	count  atomic.Int64
	shards [registryShards]struct {
		mu       sync.RWMutex
		sessions map[string]*session
	}
}

func newRegistry() *registry {
	r := &registry{seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].sessions = make(map[string]*session)
	}
	return r
}

func (r *registry) shard(id string) int {
	return int(maphash.String(r.seed, id) % registryShards)
}

// add registers a session; false when the id is taken.
func (r *registry) add(s *session) bool {
	sh := &r.shards[r.shard(s.id())]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, taken := sh.sessions[s.id()]; taken {
		return false
	}
	sh.sessions[s.id()] = s
	r.count.Add(1)
	return true
}

// get returns the session of that id, or nil.
func (r *registry) get(id string) *session {
	if id == "" {
		return nil
	}
	sh := &r.shards[r.shard(id)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sessions[id]
}

// remove forgets a session. Idempotent.
func (r *registry) remove(s *session) {
	sh := &r.shards[r.shard(s.id())]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.sessions[s.id()] == s {
		delete(sh.sessions, s.id())
		r.count.Add(-1)
	}
}

// all returns the sessions there are, shard by shard.
func (r *registry) all() []*session {
	var out []*session
	for i := range r.shards {
		sh := &r.shards[i]
		sh.mu.RLock()
		for _, s := range sh.sessions {
			out = append(out, s)
		}
		sh.mu.RUnlock()
	}
	return out
}

// browsers counts, for each browser cookie, the sessions that hold a connect
// or are deciding about one ([R-MC-1]). A session counts once ([R-MC-5]).
type browsers struct {
	mu   sync.Mutex
	held map[string]presence
}

// presence is the connects of one browser: mostly one, of one session.
type presence struct {
	sess     *session
	connects int              // of sess
	others   map[*session]int // nil: there are none
}

// enter adds a connect of s and reports how many sessions of that browser
// there are now.
func (b *browsers) enter(browser string, s *session) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil {
		b.held = make(map[string]presence)
	}
	p := b.held[browser]
	switch {
	case p.sess == nil || p.sess == s:
		p.sess = s
		p.connects++
	case p.others == nil:
		p.others = map[*session]int{s: 1}
	default:
		p.others[s]++
	}
	b.held[browser] = p
	return 1 + len(p.others)
}

// leave takes one connect of s away. A browser without any is forgotten at
// once, so nothing is left to collect ([R-EX-7]).
func (b *browsers) leave(browser string, s *session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.held[browser]
	if p.sess != s {
		if p.others[s]--; p.others[s] <= 0 {
			delete(p.others, s)
		}
		return
	}
	if p.connects--; p.connects == 0 {
		p.sess = nil
		for other, n := range p.others {
			p.sess, p.connects = other, n
			delete(p.others, other)
			break
		}
	}
	if p.sess == nil {
		delete(b.held, browser)
	} else {
		b.held[browser] = p
	}
}

// size returns the number of browsers with a held connect.
func (b *browsers) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held)
}

// newID returns n random characters of 0-9a-z: 5.17 bits each ([R-HS-13]).
func newID(n int) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	buf := make([]byte, 2*n)
	out := buf[:0] // never ahead of what is read from it
	for len(out) < n {
		from := buf[len(out):]
		_, _ = rand.Read(from) // never fails, by its contract
		for _, c := range from {
			// 252 is the largest multiple of 36 below 256: no digit is likelier.
			if c < 252 && len(out) < n {
				out = append(out, digits[c%36])
			}
		}
	}
	return string(out)
}

const (
	sessionIDChars = 26 // 134 bits
	browserIDChars = 16 // as CometD's ([R-HS-14])
)
