package serve

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const readyHelp = "1 while the server takes clients, 0 while it stops."

// adminHandler serves /healthz, /readyz and /metrics, and /auth/revoke where
// clients are authenticated.
func (d *daemon) adminHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collector{d.samples},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "halley_ready",
			Help: readyHelp,
		}, func() float64 {
			if d.ready.Load() {
				return 1
			}
			return 0
		}),
	)
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
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	d.serveRevoke(mux)
	return mux
}

// samples are the figures of the server and of transport security.
func (d *daemon) samples() []Sample {
	all := d.engine.Samples()
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
