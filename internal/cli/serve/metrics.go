package serve

import (
	"github.com/prometheus/client_golang/prometheus"
)

// Sample is one figure of the server.
type Sample struct {
	// Name is without the prefix "halley_".
	Name, Help string
	// Counter tells a count that only grows from a gauge.
	Counter bool
	// Label and LabelValue tell figures of one name apart; empty for none.
	Label, LabelValue string
	Value             float64
}

// collector exports the samples of an engine. They are read when asked for, so
// that counting costs the hot path nothing.
type collector struct{ engine Engine }

// Describe sends nothing: the collector is an unchecked one, for the values of
// its labels are known only to the server.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.engine.Samples() {
		out <- s.metric()
	}
}

func (s Sample) metric() prometheus.Metric {
	kind := prometheus.GaugeValue
	if s.Counter {
		kind = prometheus.CounterValue
	}
	var labels, values []string
	if s.Label != "" {
		labels, values = []string{s.Label}, []string{s.LabelValue}
	}
	desc := prometheus.NewDesc("halley_"+s.Name, s.Help, labels, nil)
	m, err := prometheus.NewConstMetric(desc, kind, s.Value, values...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
