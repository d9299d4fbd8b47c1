package serve

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// roomyHeap is what the heap may grow to before it is collected, however little
	// of it is alive: a small server under load would collect some times a second
	// for the sake of a few megabytes.
	roomyHeap = 16 << 20
	// The collector's own rule, for all larger heaps, and the most that is set for
	// small ones.
	usualPercent, mostPercent = 100, 400
	percentStep               = 25
)

// gcPercent is the GOGC that has a heap, of which that many bytes are alive, grow
// to roomyHeap or to twice as many.
func gcPercent(alive uint64) int {
	if alive == 0 {
		return mostPercent
	}
	percent := int(min(roomyHeap*100/alive, 1<<20)) - 100
	return min(max(percent-percent%percentStep, usualPercent), mostPercent)
}

// keepRoom has each collection set the goal of the next one by gcPercent, unless
// somebody has set GOGC.
func keepRoom(lookup func(string) (string, bool)) {
	if _, set := lookup("GOGC"); set {
		return
	}
	debug.SetGCPercent(mostPercent)
	onCollection(mostPercent)
}

// onCollection has collected called after the next collection.
func onCollection(percent int) {
	// Garbage from the beginning, and too large to share its place.
	runtime.AddCleanup(new([8]uint64), collected, percent)
}

func collected(percent int) {
	alive := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(alive)
	want := gcPercent(alive[0].Value.Uint64())
	if want != percent {
		debug.SetGCPercent(want) // stops the world for a moment
	}
	onCollection(want)
}
