package bench

import (
	"fmt"
	"io"
	"strings"

	"github.com/halleypush/halley/internal/bench"
)

// view shows a run while it goes on: on a terminal one line that is written
// over, else a line for each sample.
type view struct {
	to   io.Writer
	over bool
	open bool // a line is there that will be written over
}

func (v *view) sample(s bench.Sample) {
	phase := "warm-up"
	if s.Warm {
		phase = "measure"
	}
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s %5.1f s  %8.0f published/s  %9.0f arrived/s", phase, s.Seconds, s.Published, s.Rate)
	if s.Max > 0 {
		_, _ = fmt.Fprintf(&b, "  p50 %.2f  p99 %.2f  max %.2f ms", s.P50, s.P99, s.Max)
	}
	if s.ServerRSS > 0 {
		_, _ = fmt.Fprintf(&b, "  server %.2f cores %.1f MB", s.ServerCores, float64(s.ServerRSS)/1e6)
	}
	_, _ = fmt.Fprintf(&b, "  generator %.2f cores", s.GeneratorCores)
	if !v.over {
		_, _ = fmt.Fprintln(v.to, b.String())
		return
	}
	_, _ = fmt.Fprint(v.to, "\r\x1b[K", b.String()) // from the line's beginning, and nothing of the one before
	v.open = true
}

func (v *view) step(s bench.Step) {
	v.end()
	verdict := strings.Join(s.Problems, "; ")
	switch {
	case s.GeneratorBound:
		verdict = "the generator is the limit"
	case s.OK:
		verdict = "ok"
	}
	_, _ = fmt.Fprintf(v.to, "step: %.0f messages/s, %.0f of %.0f deliveries/s, p99 %.1f ms: %s\n", s.Rate, s.Reached, s.Offered, s.P99, verdict)
}

// end leaves the line.
func (v *view) end() {
	if v.open {
		_, _ = fmt.Fprintln(v.to)
		v.open = false
	}
}
