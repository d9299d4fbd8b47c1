package permissions

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Sizes of caches, in verdicts: of one subject, and of all anonymous sessions
// together. Both are powers of two.
const (
	fewSlots  = 16
	manySlots = 1024
)

// identity is what rules ask of a subject, and the last verdicts on it. It
// keeps neither the subject nor a session alive.
type identity struct {
	rules  *Rules
	has    []principal
	values []string // by parameter; empty for none
	own    [operations][]channels.Pattern
	// slots are the cache: a verdict stands in the slot of its hash and gives way
	// to the next one there. Nothing locks, and nothing grows.
	slots []atomic.Pointer[verdict]
}

// verdict is immutable.
type verdict struct {
	name     channels.Name
	op       operation
	decision int32
}

// identify prepares a subject for these rules.
func (c *Rules) identify(s *bayeux.Subject, slots int) *identity {
	id := &identity{rules: c, has: c.principals.of(s)}
	if len(c.slots) > 0 {
		id.values = make([]string, len(c.slots))
		for i, at := range c.slots {
			if v, ok := at.value(s); ok {
				id.values[i] = strings.Clone(v)
			}
		}
	}
	if s != nil && !c.options.IgnoreGrants {
		id.own[subscribe], id.own[publish], id.own[create] = patternsOf(s, s.Subscribe), patternsOf(s, s.Publish), patternsOf(s, s.Create)
	}
	if slots > 0 {
		id.slots = make([]atomic.Pointer[verdict], slots)
	}
	return id
}

// maxGrants bounds how many channels credentials can grant for an operation;
// those beyond grant nothing.
const maxGrants = 1_000

// patternsOf compiles what credentials grant, {sub} and the like filled in. What
// is no channel grants nothing: whoever made them meant something else.
func patternsOf(s *bayeux.Subject, texts []string) []channels.Pattern {
	var all []channels.Pattern
	for _, text := range texts[:min(len(texts), maxGrants)] {
		p, err := parsePattern(text)
		if err != nil {
			continue
		}
		if own, ok := p.fill(s); ok {
			all = append(all, own)
		}
	}
	return all
}

// grants tells whether the credentials cover what is asked for.
func (id *identity) grants(op operation, name channels.Name) bool {
	for _, p := range id.own[op] {
		if p.Matches(name) {
			return true
		}
	}
	return false
}

// decide returns what decides, from the cache where it is there.
func (id *identity) decide(op operation, name channels.Name, seed maphash.Seed) int32 {
	if op == handshake {
		return id.rules.decide(id, op, name)
	}
	at := &id.slots[(maphash.String(seed, string(name))+uint64(op))%uint64(len(id.slots))]
	if v := at.Load(); v != nil && v.op == op && v.name == name {
		return v.decision
	}
	decision := id.rules.decide(id, op, name)
	if len(name) <= maxCached {
		// A copy: the name shares the memory of a whole request.
		at.Store(&verdict{channels.Name(strings.Clone(string(name))), op, decision})
	}
	return decision
}

// maxCached is the longest name whose verdict is kept, in bytes: a slot holds
// no more than that.
const maxCached = 256
