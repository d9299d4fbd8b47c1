package bench

import (
	_ "embed" // the template
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
)

//go:embed report.tmpl
var reportTemplate string

// fact is a row of the report's table.
type fact struct{ Name, Value string }

// page is what the template gets.
type page struct {
	R      *Result
	Share  float64
	Facts  []fact
	Charts []chart
}

// WriteText writes the result in lines.
func (r *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.facts() {
		_, _ = fmt.Fprintf(&b, "%-27s %s\n", f.Name, f.Value)
	}
	for _, p := range r.Problems {
		_, _ = fmt.Fprintf(&b, "%-27s %s\n", "problem", p)
	}
	if r.GeneratorBound {
		_, _ = fmt.Fprintf(&b, "%-27s the generator, not the server, is what was measured\n", "generator-bound")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// chart is a drawing of 800 by 260, its field from (60, 15) to (780, 215).
type chart struct {
	Title          string
	XTicks, YTicks []axisMark
	Lines          []line
}

type axisMark struct{ At, Text string }

type line struct {
	Name, Points, KeyX, TextX string
}

// curve is what a line shows.
type curve struct {
	name string
	x, y []float64
}

// WriteHTML writes the result as one page that needs nothing else.
func (r *Result) WriteHTML(w io.Writer) error {
	t, err := template.New("report").Parse(reportTemplate)
	if err != nil {
		return err
	}
	return t.Execute(w, page{R: r, Share: 100 * r.GeneratorShare, Facts: r.facts(), Charts: r.charts()})
}

func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + " M"
	case a >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + " k"
	default:
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
}

func (r *Result) facts() []fact {
	c := r.Config
	var all []fact
	add := func(name, format string, args ...any) { all = append(all, fact{name, fmt.Sprintf(format, args...)}) }
	add("sessions", "%d in %.2f s", r.Sessions, r.ConnectSeconds)
	add("measured", "%.1f s after %v", r.Seconds, c.Warmup)
	switch c.Mode {
	case Fanout:
		add("load", "%s messages/s of %d bytes, batches of %d, %d publishers", short(c.Rate), c.Size, c.Batch, c.Publishers)
		add("channels", "%d rooms of %d, %d rooms a client", c.Rooms, c.Channels, c.Subscriptions)
		add("offered, arrived", "%s, %s deliveries/s", short(r.Offered), short(r.Rate))
		add("delivered", "%d of %d; %d lost, %d twice, %d out of order", r.Delivered, r.Expected, r.Lost, r.Duplicates, r.Reordered)
	case Churn, Acks:
		add("done", "%d, %s a second", r.Delivered, short(r.Rate))
	}
	if r.Latency.Max > 0 {
		l := r.Latency
		add("latency ms", "p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f", l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	if s := r.Server; s != nil {
		add("server CPU", "%.3f cores (user %.3f, system %.3f), %.2f µs per operation", s.Cores, s.UserCores, s.SystemCores, s.MicrosPerOp)
		add("server memory", "%.1f MB before, %.1f MB connected (%.2f KB a session), %.1f MB after",
			float64(s.RSSBefore)/1e6, float64(s.RSSIdle)/1e6, s.KBPerSession, float64(s.RSSAfter)/1e6)
		add("server threads, descriptors", "%d, %d", s.Threads, s.Descriptors)
	}
	add("generator", "%.2f cores, %.0f %% of what it has", r.Generator.Cores, 100*r.GeneratorShare)
	add("other processes", "%.2f cores", r.OtherCores)
	return all
}

func (r *Result) charts() []chart {
	var all []chart
	if len(r.Latency.Curve) > 0 {
		c := curve{name: "ms"}
		for _, point := range r.Latency.Curve {
			// The percentile by its distance from 100, so that the tail is seen.
			c.x = append(c.x, -math.Log10(max(100-point[0], 0.001)/100))
			c.y = append(c.y, point[1])
		}
		drawn := draw("Latency by percentile, ms", c)
		drawn.XTicks = nil
		for i, text := range []string{"0", "90", "99", "99.9", "99.99", "99.999"} {
			drawn.XTicks = append(drawn.XTicks, axisMark{coordinate(60 + 144*float64(i)), text})
		}
		all = append(all, drawn)
	}
	if len(r.Samples) < 2 {
		return all
	}
	over := func(name string, of func(Sample) float64) curve {
		c := curve{name: name}
		for _, s := range r.Samples {
			c.x, c.y = append(c.x, s.Seconds), append(c.y, of(s))
		}
		return c
	}
	all = append(
		all,
		draw("Throughput a second, by seconds of load", over("arrived", func(s Sample) float64 { return s.Rate }),
			over("published", func(s Sample) float64 { return s.Published })),
		draw("Latency over time, ms", over("p50", func(s Sample) float64 { return s.P50 }), over("p99", func(s Sample) float64 { return s.P99 })),
		draw("CPU, cores", over("server", func(s Sample) float64 { return s.ServerCores }),
			over("generator", func(s Sample) float64 { return s.GeneratorCores })),
	)
	if r.Server != nil {
		all = append(all, draw("Resident memory of the server, MB", over("server", func(s Sample) float64 { return float64(s.ServerRSS) / 1e6 })))
	}
	return all
}

func coordinate(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// draw scales curves to the field: x from the first to the last, y from zero to
// a round number.
func draw(title string, curves ...curve) chart {
	c := chart{Title: title}
	left, right, top := curves[0].x[0], curves[0].x[len(curves[0].x)-1], 0.0
	for _, k := range curves {
		for _, y := range k.y {
			top = max(top, y)
		}
	}
	top = roundUp(top)
	if right <= left {
		right = left + 1
	}
	for i := range 5 {
		part := float64(i) / 4
		c.YTicks = append(c.YTicks, axisMark{coordinate(215 - 200*part), short(top * part)})
		c.XTicks = append(c.XTicks, axisMark{coordinate(60 + 720*part), short(math.Round((left+(right-left)*part)*10) / 10)})
	}
	for i, k := range curves {
		points := make([]string, 0, len(k.x))
		for j := range k.x {
			points = append(points, coordinate(60+720*(k.x[j]-left)/(right-left))+","+coordinate(215-200*k.y[j]/top))
		}
		at := 60 + 140*float64(i)
		c.Lines = append(c.Lines, line{k.name, strings.Join(points, " "), coordinate(at), coordinate(at + 15)})
	}
	return c
}

// roundUp returns 1, 2, 2.5 or 5 times a power of ten, at least v.
func roundUp(v float64) float64 {
	if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if v <= m*power {
			return m * power
		}
	}
	return 10 * power
}
