// Command halley is a Bayeux server for CometD clients, and the tools around
// it; see `halley --help`.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/halleypush/halley/internal/cli"
)

func main() {
	// Two signals are told apart: the second must not be lost.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	os.Exit(cli.Program{
		Args:    os.Args[1:],
		Lookup:  os.LookupEnv,
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Signals: signals,
	}.Run(context.Background()))
}
