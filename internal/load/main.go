// Command load checks a running server under many clients: WebSocket and
// long-polling subscribers of one channel, one publisher at a steady rate. It
// counts what each client received, and fails unless every message came once
// and in order to each. It imports nothing of the server.
//
//	load -server PATH [-ws 10000] [-lp 2000] [-rate 2] [-for 60s]
//	load -url http://127.0.0.1:8080/cometd …     (a server that runs already)
//
// With -slow it measures instead what subscribers that stall cost the others,
// under each slow-consumer policy:
//
//	load -slow -server PATH [-pairs 5] [-stalled 50] [-write docs/SLOW_CONSUMERS.md]
//
// With -soak clients come and go in all ways there are, and memory, goroutines
// and descriptors of the server must stay as they are:
//
//	load -soak -server PATH [-for 30m] [-churn 600] [-json FILE]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/internal/procfs"
)

type plan struct {
	server string
	addr   string
	path   string
	ws, lp int
	rate   float64
	length time.Duration
	size   int
	pid    int
	out    io.Writer

	// Of slow runs, see slow.go.
	channels int
	stalled  int
	stalling bool
	admin    string
	options  []string

	own string // the channel that the clients of a soak subscribe to
}

func main() {
	p := plan{out: os.Stdout}
	var url string
	flag.StringVar(&p.server, "server", "", "path of the halley binary to start")
	flag.StringVar(&url, "url", "", "URL of a server that runs already")
	flag.IntVar(&p.ws, "ws", 10_000, "WebSocket clients")
	flag.IntVar(&p.lp, "lp", 2_000, "long-polling clients")
	flag.Float64Var(&p.rate, "rate", 2, "messages a second")
	flag.DurationVar(&p.length, "for", time.Minute, "how long to publish")
	flag.IntVar(&p.size, "size", 100, "bytes of each payload")
	flag.IntVar(&p.pid, "pid", 0, "process id of the server at -url, to sample it")
	var s slowPlan
	slow := flag.Bool("slow", false, "measure what stalled subscribers cost the others")
	s.flags()
	var churn soakPlan
	soak := flag.Bool("soak", false, "have clients come and go, and watch what the server holds")
	churn.flags()
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case *slow:
		err = s.run(ctx, p)
	case *soak:
		err = churn.run(ctx, p)
	default:
		err = run(ctx, p, url)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}

func run(ctx context.Context, p plan, url string) error {
	raiseDescriptors()
	if p.server != "" {
		stop, err := p.start(ctx)
		if err != nil {
			return err
		}
		defer stop()
	} else if err := p.parse(url); err != nil {
		return err
	}
	return p.measure(ctx)
}

func (p *plan) parse(url string) error {
	rest, ok := strings.CutPrefix(url, "http://")
	if !ok {
		return errors.New("-server or -url http://host:port/path is needed")
	}
	p.addr, p.path, _ = strings.Cut(rest, "/")
	p.path = "/" + p.path
	return nil
}

// start runs the server on a free port and reads its addresses from its log.
// The returned function stops it.
func (p *plan) start(ctx context.Context) (stop func(), err error) {
	args := slices.Concat([]string{
		"serve", "--posture", "cometd", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--log-level", "info", "--set", "timeout=20000",
	}, p.options)
	cmd := exec.CommandContext(ctx, p.server, args...) //nolint:gosec // the user names the server
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	_ = w.Close()
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
	front, admin := make(chan string, 1), make(chan string, 1)
	go scanAddresses(r, front, admin)
	late := time.After(20 * time.Second)
	for p.addr, p.admin = "", ""; p.addr == "" || p.admin == ""; {
		select {
		case p.addr = <-front:
		case p.admin = <-admin:
		case <-late:
			stop()
			return nil, errors.New("the server did not say its addresses")
		}
	}
	p.path, p.pid = "/cometd", cmd.Process.Pid
	return stop, nil
}

// measure connects all, publishes, waits for the last message and reports.
func (p *plan) measure(ctx context.Context) error {
	g := &gauge{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var clients sync.WaitGroup
	begin := time.Now()
	if err := p.connectAll(ctx, g, &clients); err != nil {
		return err
	}
	n := p.ws + p.lp
	p.say("connected      %d WebSocket, %d long-polling in %s\n", p.ws, p.lp, time.Since(begin).Round(time.Millisecond))
	time.Sleep(3 * time.Second) // the server's garbage of the set-up is collected
	idle := sample(p.pid)
	sent, err := p.publish(ctx)
	if err != nil {
		return err
	}
	g.await(int64(sent)*int64(n), 30*time.Second)
	after := sample(p.pid)
	cancel()
	clients.Wait()
	return p.report(g, sent, idle, after)
}

func (p *plan) report(g *gauge, sent int, idle, after procfs.Process) error {
	n := p.ws + p.lp
	want := int64(sent) * int64(n)
	got := g.received.Load()
	p.say("published      %d messages\n", sent)
	p.say("deliveries     %d of %d, %d out of order or twice, %d clients failed\n", got, want, g.wrong.Load(), g.failed.Load())
	p.say("latency ms     p50 %.1f  p99 %.1f  max %.1f\n", g.quantile(0.5), g.quantile(0.99), g.quantile(1))
	if p.pid > 0 {
		cpu := after.CPU() - idle.CPU()
		p.say("server         %.1f us CPU a delivery, %.2f s in all; resident %.0f MB idle (%.2f KB a session), %.0f MB after\n",
			float64(cpu.Microseconds())/float64(max(got, 1)), cpu.Seconds(),
			float64(idle.RSS)/1e6, float64(idle.RSS)/1e3/float64(n), float64(after.RSS)/1e6)
	}
	if got != want || g.wrong.Load() > 0 || g.failed.Load() > 0 {
		return errors.New("not every message came once and in order")
	}
	return nil
}

// say prints a line of the report; where that fails there is nobody to tell.
func (p *plan) say(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }

// gauge counts what all clients receive.
type gauge struct {
	received, wrong, failed atomic.Int64
	mu                      sync.Mutex
	latency                 [20_000]int64 // by tenths of a millisecond
	from                    int64         // latencies count from this message on
}

func (g *gauge) note(seq, want int64, sent time.Time) {
	g.received.Add(1)
	if seq != want {
		g.wrong.Add(1)
	}
	if seq < g.from {
		return
	}
	slot := min(max(time.Since(sent)/(100*time.Microsecond), 0), time.Duration(len(g.latency)-1))
	g.mu.Lock()
	g.latency[slot]++
	g.mu.Unlock()
}

func (g *gauge) quantile(q float64) float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	var sum, total int64
	for _, c := range g.latency {
		total += c
	}
	last := 0
	for i, c := range g.latency {
		if sum += c; c > 0 {
			last = i
		}
		if c > 0 && float64(sum) >= q*float64(total) {
			break
		}
	}
	return float64(last) / 10
}

func (g *gauge) await(want int64, limit time.Duration) {
	end := time.Now().Add(limit)
	for g.received.Load() < want && time.Now().Before(end) {
		time.Sleep(50 * time.Millisecond)
	}
}
