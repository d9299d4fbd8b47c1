package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// slowPlan measures what subscribers that stall cost the others: for each
// slow-consumer policy, pairs of a run in which they stall and one in which they
// do not, each against a server of its own.
type slowPlan struct {
	policies string
	pairs    int
	clients  int // subscribers, stalled ones included
	polling  int // of the others, by long-polling
	stalled  int // half of them do not read a WebSocket, half do not poll
	rate     float64
	length   time.Duration
	size     int
	channels int
	messages int   // maxQueue
	bytes    int64 // maxQueueBytes
	write    string
}

func (s *slowPlan) flags() {
	flag.StringVar(&s.policies, "policies", "disconnect,drop-oldest,drop-newest,conflate", "-slow: policies to measure")
	flag.IntVar(&s.pairs, "pairs", 5, "-slow: pairs of runs for each policy")
	flag.IntVar(&s.clients, "clients", 1000, "-slow: subscribers, stalled ones included")
	flag.IntVar(&s.polling, "polling", 150, "-slow: subscribers by long-polling, stalled ones apart")
	flag.IntVar(&s.stalled, "stalled", 50, "-slow: subscribers that stall")
	flag.Float64Var(&s.rate, "slow-rate", 20, "-slow: messages a second")
	flag.DurationVar(&s.length, "slow-for", 15*time.Second, "-slow: how long to publish in each run")
	flag.IntVar(&s.size, "slow-size", 1000, "-slow: bytes of each payload")
	flag.IntVar(&s.channels, "channels", 8, "-slow: channels that the messages go to in turn")
	flag.IntVar(&s.messages, "max-queue", 50, "-slow: maxQueue of the server")
	flag.Int64Var(&s.bytes, "max-queue-bytes", 96<<10, "-slow: maxQueueBytes of the server")
	flag.StringVar(&s.write, "write", "", "-slow: file whose table between <!-- slow --> and <!-- end --> is replaced")
}

// slowRun is what one run showed.
type slowRun struct {
	p50, p99 float64 // of the others, in milliseconds
	queued   int64   // the most that all queues held, in bytes
	rss      int64   // resident memory at the end
	counts   string  // of halley_slow_consumer_total
	acted    bool    // the policy did something
}

// verdict is what the runs of one policy come to.
type verdict struct {
	policy            string
	stalled, free     slowRun // medians
	change, allowed   float64 // of p99, relative
	queuedMost, bound int64
	failed            []string
}

func (s *slowPlan) run(ctx context.Context, base plan) error {
	raiseDescriptors()
	if base.server == "" {
		return errors.New("-slow needs -server")
	}
	begin := time.Now()
	var all []verdict
	for policy := range strings.SplitSeq(s.policies, ",") {
		v, err := s.policy(ctx, base, policy)
		if err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
		all = append(all, v)
	}
	table := s.table(all)
	base.say("\n%s\ntook %s\n", table, time.Since(begin).Round(time.Second))
	if s.write != "" {
		if err := replace(s.write, table); err != nil {
			return err
		}
	}
	var failed []string
	for _, v := range all {
		for _, f := range v.failed {
			failed = append(failed, v.policy+": "+f)
		}
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "; "))
	}
	return nil
}

// policy runs the pairs of one policy, in alternating order.
func (s *slowPlan) policy(ctx context.Context, base plan, policy string) (verdict, error) {
	v := verdict{policy: policy, bound: int64(s.stalled) * s.bytes}
	var runs [2][]slowRun // unstalled, stalled
	for i := range s.pairs {
		for k := range 2 {
			stalling := (i+k)%2 == 1
			r, err := s.once(ctx, base, policy, stalling)
			if err != nil {
				return v, err
			}
			at, word := 0, "unstalled"
			if stalling {
				at, word = 1, "stalled"
			}
			runs[at] = append(runs[at], r)
			base.say("%-12s pair %d %-10s p50 %5.1f  p99 %5.1f ms  queued %5d KiB  resident %3d MB  %s\n",
				policy, i+1, word, r.p50, r.p99, r.queued>>10, r.rss/1e6, r.counts)
		}
	}
	v.free, v.stalled = median(runs[0]), median(runs[1])
	least, most := slices.MinFunc(runs[0], byP99), slices.MaxFunc(runs[0], byP99)
	v.allowed = max(0.10, (most.p99-least.p99)/v.free.p99)
	v.change = v.stalled.p99/v.free.p99 - 1
	if v.change > v.allowed {
		v.failed = append(v.failed, fmt.Sprintf("p99 %.1f ms instead of %.1f ms", v.stalled.p99, v.free.p99))
	}
	for _, r := range runs[1] {
		v.queuedMost = max(v.queuedMost, r.queued)
		if !r.acted {
			v.failed = append(v.failed, "a run where the policy did nothing")
		}
	}
	if v.queuedMost > v.bound {
		v.failed = append(v.failed, fmt.Sprintf("%d bytes were queued, more than %d", v.queuedMost, v.bound))
	}
	return v, nil
}

func byP99(a, b slowRun) int { return cmp.Compare(a.p99, b.p99) }

// median returns the run of the median p99.
func median(runs []slowRun) slowRun {
	sorted := slices.SortedFunc(slices.Values(runs), byP99)
	return sorted[len(sorted)/2]
}

// once is one run.
func (s *slowPlan) once(ctx context.Context, base plan, policy string, stalling bool) (slowRun, error) {
	var out slowRun
	ctx, cancel := context.WithTimeout(ctx, s.length+2*time.Minute)
	defer cancel()
	p := base
	p.rate, p.length, p.size, p.channels = s.rate, s.length, s.size, s.channels
	p.stalled, p.stalling = s.stalled, stalling
	p.lp = s.polling
	p.ws = s.clients - s.stalled - s.polling
	p.options = []string{
		"--set", "slowConsumer=" + policy, "--set", "maxQueue=" + strconv.Itoa(s.messages),
		"--set", "maxQueueBytes=" + strconv.FormatInt(s.bytes, 10), "--set", "maxInterval=600000",
	}
	stop, err := p.start(ctx)
	if err != nil {
		return out, err
	}
	defer stop()
	g := &gauge{from: int64(s.rate)} // the first second warms up
	var clients sync.WaitGroup
	ending, end := context.WithCancel(ctx)
	defer func() {
		end()
		clients.Wait()
	}()
	if err := p.connectAll(ending, g, &clients); err != nil {
		return out, err
	}
	if err := p.connectStalled(ending, &clients); err != nil {
		return out, err
	}
	time.Sleep(time.Second) // the garbage of the set-up is collected
	watched := make(chan error, 1)
	watching, unwatch := context.WithCancel(ctx)
	go func() { watched <- p.watch(watching, &out.queued) }()
	sent, err := p.publish(ctx)
	g.await(int64(sent)*int64(p.ws+p.lp), 30*time.Second)
	unwatch()
	if err := errors.Join(err, <-watched, s.judge(ctx, &p, g, sent, policy, &out)); err != nil {
		return out, err
	}
	return out, nil
}

// judge reads what is to be known at the end of a run.
func (s *slowPlan) judge(ctx context.Context, p *plan, g *gauge, sent int, policy string, out *slowRun) error {
	if got, want := g.received.Load(), int64(sent)*int64(p.ws+p.lp); got != want || g.wrong.Load() > 0 || g.failed.Load() > 0 {
		return fmt.Errorf("the others received %d of %d messages, %d out of order or twice, %d failed", got, want, g.wrong.Load(), g.failed.Load())
	}
	out.p50, out.p99, out.rss = g.quantile(0.5), g.quantile(0.99), sample(p.pid).RSS
	figures, err := p.metrics(ctx)
	if err != nil {
		return err
	}
	var counts []string
	for name, value := range figures {
		labels, ok := strings.CutPrefix(name, "halley_slow_consumer_total")
		if !ok || value == 0 {
			continue
		}
		out.acted = out.acted || strings.Contains(labels, `policy="`+policy+`"`)
		parts := regexp.MustCompile(`(action|limit)="([^"]*)"`).FindAllStringSubmatch(labels, -1)
		counts = append(counts, fmt.Sprintf("%.0f %s (%s)", value, parts[0][2], parts[1][2]))
	}
	slices.Sort(counts)
	out.counts = strings.Join(counts, ", ")
	return nil
}

// connectStalled opens the subscribers that are not measured. Where they stall,
// one half stops reading its sockets, the other half polling.
func (p *plan) connectStalled(ctx context.Context, clients *sync.WaitGroup) error {
	rest := &gauge{}
	for i := range p.stalled {
		open, run := p.openSocket, p.runSocket
		switch {
		case i%2 == 1:
			open, run = p.openPoll, p.runPoll
		case p.stalling:
			open = func(ctx context.Context) (*client, error) { return p.openSocketBy(ctx, stall) }
		}
		c, err := open(ctx)
		if err != nil {
			return err
		}
		clients.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			if p.stalling {
				<-ctx.Done()
				return
			}
			_ = run(c, rest)
		})
	}
	return nil
}

// watch notes the most bytes that were queued until ctx ends.
func (p *plan) watch(ctx context.Context, most *int64) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		figures, err := p.metrics(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		*most = max(*most, int64(figures["halley_queued_bytes"]))
	}
}

// metrics reads the server's figures by name and labels.
func (p *plan) metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	figures := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if at < 0 || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		if value, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil {
			figures[lines.Text()[:at]] = value
		}
	}
	return figures, lines.Err()
}

// table is the report for the documentation.
func (s *slowPlan) table(all []verdict) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%d subscribers, %d of them stalled (half sockets that are not read, half that do not poll); %.0f messages a second of %d bytes on %d "+
		"channels; maxQueue %d, maxQueueBytes %d; medians of %d pairs; %d cores of %s.\n\n",
		s.clients, s.stalled, s.rate, s.size, s.channels, s.messages, s.bytes, s.pairs, runtime.NumCPU(), runtime.GOARCH)
	b.WriteString("| policy | p99 of the others, ms: stalled | not stalled | difference | allowed | queued at most, KiB | bound, KiB | resident MB: stalled | not stalled | what was done in a run |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, v := range all {
		mark := ""
		if len(v.failed) > 0 {
			mark = " **failed**"
		}
		_, _ = fmt.Fprintf(&b, "| `%s`%s | %.1f | %.1f | %+.0f %% | %.0f %% | %d | %d | %d | %d | %s |\n", v.policy, mark,
			v.stalled.p99, v.free.p99, 100*v.change, 100*v.allowed, v.queuedMost>>10, v.bound>>10, v.stalled.rss/1e6, v.free.rss/1e6, v.stalled.counts)
	}
	return b.String()
}

// replace puts the table between its marks in a file.
func replace(path, table string) error {
	text, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return err
	}
	marks := regexp.MustCompile(`(?s)(<!-- slow -->\n).*?(<!-- end -->)`)
	if !marks.Match(text) {
		return fmt.Errorf("%s has no marks <!-- slow --> and <!-- end -->", path)
	}
	out := marks.ReplaceAll(text, []byte("${1}"+strings.ReplaceAll(table, "$", "$$")+"${2}"))
	return os.WriteFile(path, out, 0o644) //nolint:gosec // a document
}
