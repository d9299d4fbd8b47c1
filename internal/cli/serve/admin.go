package serve

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"runtime"
)

const readyHelp = "1 while the server takes clients, 0 while it stops."

// adminHandler serves /healthz, /readyz and /metrics, and /auth/revoke where
// clients are authenticated.
func (d *daemon) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !d.ready.Load() {
			answer(w, http.StatusServiceUnavailable, "stopping")
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", metricsHandler(d.samples))
	if d.settings.AdminPprof {
		profiles(mux)
	}
	d.serveRevoke(mux)
	return mux
}

// contention is how many waits for a lock there are for each one that is noted.
const contention = 100

// profiles serves those of the runtime, of contended locks too.
func profiles(mux *http.ServeMux) {
	runtime.SetMutexProfileFraction(contention)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// samples are the figures of the server and of transport security.
func (d *daemon) samples() []Sample {
	ready := Sample{Name: "ready", Help: readyHelp}
	if d.ready.Load() {
		ready.Value = 1
	}
	all := append(d.engine.Samples(), ready)
	if d.certs != nil {
		all = append(all, tlsSamples(d.certs.Stats())...)
	}
	return all
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
}
