// Command show makes more real sessions than one process may have descriptors
// for (`make scale`): several processes of the server, each with a process of
// `halley bench` that connects its share, over the loopback interface.
//
//	go run ./internal/scale/show [-program bin/halley] [-servers 6] [-sessions 16000]
//
// A single server with its share comes first. All are connected when memory is
// read, and then each server has one message for all of its sessions.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/halleypush/halley/internal/bench"
	"github.com/halleypush/halley/internal/peers"
	"github.com/halleypush/halley/internal/scale"
)

const (
	// calm is how long the last session has been there when memory is read.
	calm = 10 * time.Second
	// limit bounds all of it.
	limit = 10 * time.Minute

	mostServers  = 12
	mostSessions = 19_500
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit)
	err := run(ctx, os.Args[1:])
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

// show is a run.
type show struct {
	program           string
	servers, sessions int           // sessions of each server
	gather            time.Duration // in which all processes connect theirs
}

func run(ctx context.Context, args []string) error {
	var s show
	flags := flag.NewFlagSet("show", flag.ContinueOnError)
	flags.StringVar(&s.program, "program", "bin/halley", "program with the commands serve and bench")
	flags.IntVar(&s.servers, "servers", 6, "processes of the server, at most 12")
	flags.IntVar(&s.sessions, "sessions", 16_000, "sessions of each, at most 19,500")
	flags.DurationVar(&s.gather, "gather", 80*time.Second, "time in which all connect")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if s.servers < 1 || s.servers > mostServers || s.sessions < 1 || s.sessions > mostSessions {
		return fmt.Errorf("want 1 to %d servers and 1 to %d sessions of each", mostServers, mostSessions)
	}
	program, err := filepath.Abs(s.program)
	if err != nil {
		return err
	}
	s.program = program
	single, err := s.measure(ctx, 1)
	if err != nil {
		return err
	}
	say("one server", single)
	all, err := s.measure(ctx, s.servers)
	if err != nil {
		return err
	}
	all.Single = single.Resident
	say(strconv.Itoa(s.servers)+" servers", all)
	if err := scale.Write(scale.ShowFile, all); err != nil {
		return err
	}
	return judge(all)
}

// judge tells what of a result is not as it must be.
func judge(r scale.Show) error {
	var errs []error
	if r.Delivered != r.Expected {
		errs = append(errs, fmt.Errorf("%d of %d messages came", r.Delivered, r.Expected))
	}
	if r.Single <= 0 || r.Largest > r.Single*scale.ShowMost {
		errs = append(errs, fmt.Errorf("a session takes up to %.0f bytes among %d servers and %.0f in one alone, at most %g times that are right",
			r.Largest, r.Servers, r.Single, scale.ShowMost))
	}
	return errors.Join(errs...)
}

func say(what string, r scale.Show) {
	fmt.Fprintf(os.Stderr, "%s: %d sessions in %.1f s, %.0f resident bytes a session, %.0f where it is most; %d of %d messages in %.2f s\n",
		what, r.Sessions, r.MakeSeconds, r.Resident, r.Largest, r.Delivered, r.Expected, r.ToAllSeconds)
}

// measure has that many servers and their clients at once.
func (s *show) measure(ctx context.Context, servers int) (scale.Show, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results, errs := make([]bench.Result, servers), make([]error, servers)
	begin := time.Now()
	var all sync.WaitGroup
	for i := range servers {
		all.Go(func() {
			if results[i], errs[i] = s.share(ctx, begin); errs[i] != nil {
				cancel() // the others would wait for nothing
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return scale.Show{}, err
	}
	return s.sum(results, begin)
}

// share is one server and its clients.
func (s *show) share(ctx context.Context, begin time.Time) (r bench.Result, err error) {
	p, err := peers.Start(ctx, "halley", map[string]string{"program": s.program, "timeout": "300000"})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.Stop(context.WithoutCancel(ctx))) }()
	// What it takes to connect comes on top.
	settle := time.Until(begin.Add(s.gather))
	out, err := bench.Process(ctx, s.program, []string{
		p.URL(), "--clients", strconv.Itoa(s.sessions), "--rate", "1",
		"--settle", settle.String(), "--warmup", "0s", "--duration", "1s", "--p99", "1m", "--pid", strconv.Itoa(p.PID()),
	}, nil)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(out, &r)
}

// sum adds the shares up. Each reads memory when its load starts, and by then all
// must have been there for long enough.
func (s *show) sum(results []bench.Result, begin time.Time) (scale.Show, error) {
	all := scale.Show{System: runtime.GOOS + "/" + runtime.GOARCH + ", " + runtime.Version(), Servers: len(results)}
	var last, first time.Time // session, and reading of memory
	for _, r := range results {
		if r.Server == nil {
			return all, errors.New("the memory of the servers cannot be told")
		}
		if came := r.Started.Add(-r.Config.Settle); came.After(last) {
			last = came
		}
		if first.IsZero() || r.Started.Before(first) {
			first = r.Started
		}
		all.Sessions += r.Sessions
		resident := float64(r.Server.RSSIdle - r.Server.RSSBefore)
		all.Resident += resident
		all.Largest = max(all.Largest, resident/float64(r.Sessions))
		all.Delivered += int(r.Delivered)
		all.Expected += int(r.Expected)
		all.ToAllSeconds = max(all.ToAllSeconds, r.Latency.Max/1000)
	}
	all.Subscriptions = s.sessions * len(results)
	all.Resident /= float64(all.Sessions)
	all.MakeSeconds = last.Sub(begin).Seconds()
	if first.Sub(last) < calm {
		return all, fmt.Errorf("the last session came after %.0f s, too late for -gather %s", all.MakeSeconds, s.gather)
	}
	return all, nil
}
