package pathprofile

import (
	"iter"
	"strings"
)

// News is what was learned by a call: a set.
type News uint32

// What can be learned.
const (
	// Cut: a connect was cut on its way.
	Cut News = 1 << iota
	// Ignored: a client left its connect, and that tells nothing of the path.
	Ignored
	// CeilingSet: the session's holds are shorter from now on.
	CeilingSet
	// CeilingShared: newcomers begin with that.
	CeilingShared
	// CeilingWithdrawn: they do no more, for somebody holds longer.
	CeilingWithdrawn
	// ProbeHeld: a longer hold was tried, and carried.
	ProbeHeld
	// ProbeFailed: it was cut.
	ProbeFailed
	// SizeLowered: an answer was lost for its size, and the next are smaller.
	SizeLowered
	// SizeRaised: one arrived, and the next may be larger.
	SizeRaised
	// SizeShared: newcomers begin with that limit.
	SizeShared
	// SizeWithdrawn: they do no more.
	SizeWithdrawn
	// SocketDead: a WebSocket was opened, and nothing came through.
	SocketDead
	// UpgradesRefused: no more are opened for a time.
	UpgradesRefused
	// UpgradesBack: one lives again.
	UpgradesBack
	// ShortPolling: nothing is held for the session.
	ShortPolling

	end
)

func names() []string {
	return []string{
		"cut", "ignored", "ceiling_set", "ceiling_shared", "ceiling_withdrawn", "probe_held", "probe_failed",
		"size_lowered", "size_raised", "size_shared", "size_withdrawn", "socket_dead", "upgrades_refused", "upgrades_back", "short_polling",
	}
}

// All returns each piece by itself.
func (n News) All() iter.Seq[News] {
	return func(yield func(News) bool) {
		for one := Cut; one < end; one <<= 1 {
			if n&one != 0 && !yield(one) {
				return
			}
		}
	}
}

// String names all pieces, with commas between them.
func (n News) String() string {
	var all []string
	for i, name := range names() {
		if n&(1<<i) != 0 {
			all = append(all, name)
		}
	}
	return strings.Join(all, ",")
}
