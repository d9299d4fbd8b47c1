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
	// Labels tell figures of one name apart.
	Labels []label
	Value  float64
}

// label is a label of a figure.
type label struct{ name, value string }

// collector exports the samples of an engine. They are read when asked for, so
// that counting costs the hot path nothing.
type collector struct{ samples func() []Sample }

// Describe sends nothing: the collector is an unchecked one, for the values of
// its labels are known only to the server.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.samples() {
		out <- s.metric()
	}
}

func (s Sample) metric() prometheus.Metric {
	kind := prometheus.GaugeValue
	if s.Counter {
		kind = prometheus.CounterValue
	}
	labels, values := make([]string, 0, len(s.Labels)), make([]string, 0, len(s.Labels))
	for _, l := range s.Labels {
		labels, values = append(labels, l.name), append(values, l.value)
	}
	desc := prometheus.NewDesc("halley_"+s.Name, s.Help, labels, nil)
	m, err := prometheus.NewConstMetric(desc, kind, s.Value, values...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}
