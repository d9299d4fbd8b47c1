//go:build pprof

package serve

import (
	"net/http"
	"net/http/pprof"
	"runtime"
)

const (
	// contention is how many waits for a lock there are for each one that is noted.
	contention = 100
	// blocked is how long goroutines wait, in nanoseconds, for each wait that is noted.
	blocked = 1_000_000
)

// serveProfiles serves the profiles of the Go runtime, of contended locks too, in
// programs that are built with the tag pprof.
func serveProfiles(mux *http.ServeMux) {
	runtime.SetMutexProfileFraction(contention)
	runtime.SetBlockProfileRate(blocked)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
