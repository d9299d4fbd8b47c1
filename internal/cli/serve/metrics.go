package serve

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metrics"
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

// metricsType is the text format of Prometheus.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// metricsHandler answers with the samples and with figures of the runtime and of
// the process. They are read when asked for, so that counting costs the hot
// path nothing.
func metricsHandler(samples func() []Sample) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", metricsType)
		out := bufio.NewWriter(w)
		writeSamples(out, samples())
		metrics.WriteProcessMetrics(out)
		metrics.WriteFDMetrics(out)
		_ = out.Flush() // the client has gone
	})
}

// writeSamples writes samples; those of a name follow one another.
func writeSamples(out io.StringWriter, samples []Sample) {
	last := ""
	for _, s := range samples {
		name := "halley_" + s.Name
		if s.Name != last {
			last = s.Name
			_, _ = out.WriteString("# HELP " + name + " " + escaped(s.Help, "") + "\n# TYPE " + name + " " + s.kind() + "\n")
		}
		_, _ = out.WriteString(name + s.labels() + " " + strconv.FormatFloat(s.Value, 'g', -1, 64) + "\n")
	}
}

func (s *Sample) kind() string {
	if s.Counter {
		return "counter"
	}
	return "gauge"
}

func (s *Sample) labels() string {
	if len(s.Labels) == 0 {
		return ""
	}
	list := make([]string, 0, len(s.Labels))
	for _, l := range s.Labels {
		list = append(list, l.name+`="`+escaped(l.value, `"`)+`"`)
	}
	slices.Sort(list)
	return "{" + strings.Join(list, ",") + "}"
}

// escaped returns text with a backslash before backslashes and what is in more,
// and line feeds as the format wants them.
func escaped(text, more string) string {
	var b strings.Builder
	for _, c := range text {
		switch {
		case c == '\n':
			b.WriteString(`\n`)
			continue
		case c == '\\' || strings.ContainsRune(more, c):
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}
