// Command run starts a peer in the foreground, for humans:
//
//	go run ./internal/peers/run NAME [PORT] [option=value …]
//
// The peer's output is passed on; SIGINT and SIGTERM stop it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/halleypush/halley/internal/peers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	name, options, err := parse(args)
	if err != nil {
		return err
	}
	p, err := peers.Start(ctx, name, options, peers.LogTo(out))
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "%s %s at %s, process %d\n", name, peers.Version(name), p.URL(), p.PID())
	select {
	case <-ctx.Done():
		return p.Stop(context.WithoutCancel(ctx))
	case <-p.Done():
		return errors.New("the peer ended by itself")
	}
}

// parse reads NAME [PORT] [option=value …].
func parse(args []string) (name string, options map[string]string, err error) {
	if len(args) == 0 {
		return "", nil, fmt.Errorf("usage: run NAME [PORT] [option=value …]; the names: %s", strings.Join(slices.Concat(peers.Names(), peers.Targets()), ", "))
	}
	options = map[string]string{}
	for i, arg := range args[1:] {
		key, value, pair := strings.Cut(arg, "=")
		switch {
		case pair && key != "":
			options[key] = value
		case i == 0 && !pair:
			options["port"] = arg
		default:
			return "", nil, fmt.Errorf("%q is not option=value", arg)
		}
	}
	return args[0], options, nil
}
