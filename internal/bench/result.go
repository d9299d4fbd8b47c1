package bench

import (
	"encoding/json"
	"io"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/halleypush/halley/internal/procfs"
)

// Schema names the form of a Result in JSON.
const Schema = "halley-bench/1"

// boundShare is the part of its cores above which the generator, not the
// server, is what was measured.
const boundShare = 0.85

// Result is what a run has measured. Latencies are in milliseconds, CPU in
// cores where not said otherwise, memory in bytes.
type Result struct {
	Schema  string    `json:"schema"`
	Started time.Time `json:"started"`
	System  string    `json:"system"`
	CPUs    int       `json:"cpus"`
	Config  Config    `json:"config"`

	Sessions       int     `json:"sessions"`
	ConnectSeconds float64 `json:"connectSeconds"`

	// Seconds is the time that was measured.
	Seconds float64 `json:"seconds"`
	// Published messages, Expected and Delivered deliveries: of messages due
	// within it.
	Published int64 `json:"published"`
	Expected  int64 `json:"expected"`
	Delivered int64 `json:"delivered"`
	Lost      int64 `json:"lost"`
	// Duplicates and Reordered are those of the whole run, and so is Dropped,
	// the sessions that ended by themselves.
	Duplicates int64 `json:"duplicates"`
	Reordered  int64 `json:"reordered"`
	Dropped    int   `json:"dropped"`
	// Offered deliveries a second, and how many arrived a second within the
	// time; in the modes Churn and Acks, operations.
	Offered float64 `json:"offered"`
	Rate    float64 `json:"rate"`
	Latency Latency `json:"latency"`

	// Server is missing where nothing was sampled.
	Server    *Usage `json:"server,omitempty"`
	Generator Usage  `json:"generator"`
	// GeneratorShare is the part of its cores that the generator used.
	GeneratorShare float64 `json:"generatorShare"`
	GeneratorBound bool    `json:"generatorBound"`
	// OtherCores is what other processes used.
	OtherCores float64 `json:"otherCores"`

	// OK says that the run kept its bounds; Problems tell which it did not.
	OK       bool     `json:"ok"`
	Problems []string `json:"problems,omitempty"`
	Samples  []Sample `json:"samples"`
	// Steps are those of FindMax, whose Result is that of its best step.
	Steps []Step `json:"steps,omitempty"`
}

// Latency is from when a message was due to when it was read.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
	// Curve has pairs of a percentile and its latency.
	Curve [][2]float64 `json:"curve,omitempty"`
}

// Usage is what a process used in the measured time.
type Usage struct {
	Cores        float64 `json:"cores"`
	UserCores    float64 `json:"userCores"`
	SystemCores  float64 `json:"systemCores"`
	MicrosPerOp  float64 `json:"microsPerOp"` // CPU per delivery, or per operation
	RSSBefore    int64   `json:"rssBefore"`   // before the first connection
	RSSIdle      int64   `json:"rssIdle"`     // connected, before the first message
	RSSAfter     int64   `json:"rssAfter"`
	KBPerSession float64 `json:"kbPerSession"` // of RSSIdle over RSSBefore, in 1000 bytes; tells something of a fresh server only
	Threads      int     `json:"threads"`
	Descriptors  int     `json:"descriptors"`
}

// Sample is an interval of a run. Rates are per second.
type Sample struct {
	Seconds        float64 `json:"seconds"` // since the load began
	Warm           bool    `json:"warm"`    // the warm-up is over: it belongs to the measured time
	Published      float64 `json:"published"`
	Rate           float64 `json:"rate"`
	P50            float64 `json:"p50"`
	P99            float64 `json:"p99"`
	Max            float64 `json:"max"`
	ServerCores    float64 `json:"serverCores"`
	ServerRSS      int64   `json:"serverRss"`
	GeneratorCores float64 `json:"generatorCores"`
}

func millis(us int64) float64 { return float64(us) / 1000 }

func latencyOf(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	l := Latency{
		Mean: h.Mean() / 1000, P50: millis(h.ValueAtQuantile(50)), P90: millis(h.ValueAtQuantile(90)),
		P99: millis(h.ValueAtQuantile(99)), P999: millis(h.ValueAtQuantile(99.9)), Max: millis(h.Max()),
	}
	for _, q := range []float64{0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100} {
		l.Curve = append(l.Curve, [2]float64{q, millis(h.ValueAtQuantile(q))})
	}
	return l
}

// usage tells what a process used between two moments.
func usage(before, idle, from, to procfs.Process, length time.Duration, operations int64, sessions int) Usage {
	s := length.Seconds()
	u := Usage{
		UserCores: (to.UserCPU - from.UserCPU).Seconds() / s, SystemCores: (to.SystemCPU - from.SystemCPU).Seconds() / s,
		RSSBefore: before.RSS, RSSIdle: idle.RSS, RSSAfter: to.RSS, Threads: to.Threads, Descriptors: to.Descriptors,
	}
	u.Cores = u.UserCores + u.SystemCores
	if operations > 0 {
		u.MicrosPerOp = float64((to.CPU() - from.CPU()).Microseconds()) / float64(operations)
	}
	if sessions > 0 {
		u.KBPerSession = float64(idle.RSS-before.RSS) / 1000 / float64(sessions)
	}
	return u
}

// WriteJSON writes the result, indented.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func system() string { return runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version() }
