// Command floor runs one of the floors of package floors, on Linux:
//
//	floor websocket|long-polling PORT [coalesce=true] [timeout=MILLIS]
//
// It prints "listening URL" and serves until it is told to end.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/halleypush/halley/internal/peers/floors"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	cfg, err := parse(args)
	if err != nil {
		return err
	}
	f, err := floors.Listen(cfg)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		f.Stop()
	}()
	_, _ = fmt.Fprintln(os.Stdout, "listening", f.URL())
	return f.Run()
}

// parse reads PROTOCOL PORT [option=value …].
func parse(args []string) (cfg floors.Config, err error) {
	if len(args) < 2 {
		return cfg, fmt.Errorf("usage: floor %s|%s PORT [coalesce=true] [timeout=MILLIS]", floors.WebSocket, floors.LongPolling)
	}
	cfg.Protocol = args[0]
	port, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return cfg, fmt.Errorf("port %q: want 0 to 65535", args[1])
	}
	cfg.Port = int(port)
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		switch name {
		case "coalesce":
			if cfg.Coalesce, err = strconv.ParseBool(value); err != nil {
				return cfg, fmt.Errorf("option coalesce=%q: want true or false", value)
			}
		case "timeout":
			millis, err := strconv.ParseUint(value, 10, 31)
			if err != nil || millis == 0 {
				return cfg, fmt.Errorf("option timeout=%q: want 1 to %d milliseconds", value, 1<<31-1)
			}
			cfg.Hold = time.Duration(millis) * time.Millisecond
		default:
			return cfg, fmt.Errorf("option %q is unknown; there are coalesce and timeout", name)
		}
	}
	return cfg, nil
}
