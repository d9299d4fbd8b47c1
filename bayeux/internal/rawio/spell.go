package rawio

import "time"

const (
	// spellLength is what the Go scheduler lets a goroutine work in one piece.
	spellLength = 10 * time.Millisecond
	// spellSteps is how often the clock is looked at.
	spellSteps = 32
)

// Spell is a goroutine's work in one piece, with many calls of this package. The
// scheduler's watch over goroutines that do not give way, and over the network
// meanwhile, sleeps while all processors rest. Ordinary system calls wake it, those
// of this package do not: awake it costs more than a short piece of work, but a
// long one must not go unwatched. Not for concurrent use.
type Spell struct {
	begun time.Time
	steps int
}

// Begin says that the work begins, or begins anew after a rest.
func (s *Spell) Begin() { *s = Spell{} }

// Step is called after each piece. It wakes the watch where the work has lasted,
// and tells whether it has.
func (s *Spell) Step() bool {
	if s.steps++; s.steps%spellSteps != 0 {
		return false
	}
	now := time.Now()
	if s.begun.IsZero() {
		s.begun = now
	}
	if now.Sub(s.begun) < spellLength {
		return false
	}
	s.begun = now
	Announce()
	return true
}
