package serve

import (
	"fmt"
	"net/http"
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
	serveProfiles(mux)
	d.serveRevoke(mux)
	return mux
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
