package pubsub

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

const (
	// batchLines and batchBytes keep a batch within the strictest limits of a
	// server: 100 messages, 64 KiB.
	batchLines = 50
	batchBytes = 32 << 10
	// lineBytes is the longest line that is read.
	lineBytes = 4 << 20
	// ahead is how many lines are read before they are sent.
	ahead = 2 * batchLines
)

// Pub is the command line of `halley pub`.
type Pub struct {
	URL     string `arg:"" name:"url" help:"Address of the server, such as http://localhost:8080/cometd."`
	Channel string `arg:"" name:"channel" help:"Channel to publish to."`
	JSON    string `arg:"" optional:"" name:"json" help:"The data to publish. Default: each line of standard input is one."`

	Link
}

// Help is shown below the flags.
func (Pub) Help() string {
	return `Publishes one JSON value, or each line of standard input as a message of its own, and waits until the server has ` +
		`accepted it. Values are sent as they are, byte for byte. Lines that come faster than they can be sent leave together. ` +
		`Empty lines are skipped.

A line that is no JSON, or that the server refuses, is reported on standard error with its number; the others are sent all the ` +
		`same. Exits with 0 when all was accepted, else with 1; with 2 when an argument is wrong, JSON included.

  halley pub http://localhost:8080/cometd /chat/demo '{"text":"hello"}'
  tail -f events.json | halley pub http://localhost:8080/cometd /events`
}

// Run publishes. A *UsageError says that an argument is wrong.
func (p *Pub) Run(ctx context.Context, env Env) error {
	if err := channel(p.Channel); err != nil {
		return err
	}
	if p.JSON != "" {
		if err := bayeux.Validate(bayeux.Raw(p.JSON), -1); err != nil {
			return usage("%q is no JSON: %v", p.JSON, err)
		}
	}
	c, err := p.client(p.URL, false, nil)
	if err != nil {
		return err
	}
	ctx, hurry, stop := interrupted(ctx, env.Signals)
	defer stop()
	if err := p.start(ctx, c); err != nil {
		return err
	}
	defer leave(ctx, c, hurry)
	if p.JSON != "" {
		limited, cancel := p.limit(ctx)
		defer cancel()
		return c.Publish(limited, p.Channel, bayeux.Raw(p.JSON))
	}
	return p.lines(ctx, c, env)
}

// line is a line of the input.
type line struct {
	number int
	data   bayeux.Raw
	err    error // it cannot be sent
}

// lines publishes the lines of the input.
func (p *Pub) lines(ctx context.Context, c *bayeuxclient.Client, env Env) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := make(chan line, ahead)
	// It ends with the input or with ctx. A read that blocks cannot be
	// interrupted; where the input stays open it ends with the process.
	go scan(ctx, env.Stdin, in)
	total, bad := 0, 0
	for batch := range batches(ctx, in) {
		total += len(batch)
		for i, err := range p.send(ctx, c, batch) {
			if err != nil {
				bad++
				_, _ = fmt.Fprintf(env.Stderr, "line %d: %s\n", batch[i].number, oneLine(err.Error()))
			}
		}
		if err := c.Err(); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d lines", total)
	case bad > 0:
		return fmt.Errorf("%d of %d lines were not accepted", bad, total)
	}
	return nil
}

// scan reads lines into the channel and closes it.
func scan(ctx context.Context, r io.Reader, to chan<- line) {
	defer close(to)
	s := bufio.NewScanner(r)
	s.Buffer(nil, lineBytes)
	n := 0
	give := func(l line) bool {
		select {
		case to <- l:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for s.Scan() {
		n++
		text := bytes.TrimSpace(s.Bytes())
		if len(text) == 0 {
			continue
		}
		l := line{number: n, data: bytes.Clone(text)}
		if err := bayeux.Validate(l.data, -1); err != nil {
			l.err = fmt.Errorf("no JSON: %w", err)
		}
		if !give(l) {
			return
		}
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d bytes; the rest of the input was not read", lineBytes)
		}
		give(line{number: n + 1, err: err})
	}
}

// batches yields what is there: one line, or as many as have come meanwhile and
// fit in one batch.
func batches(ctx context.Context, in <-chan line) func(yield func([]line) bool) {
	return func(yield func([]line) bool) {
		var kept *line // did not fit any more
		for {
			if kept == nil {
				select {
				case l, ok := <-in:
					if !ok {
						return
					}
					kept = &l
				case <-ctx.Done():
					return
				}
			}
			var batch []line
			batch, kept = more([]line{*kept}, in)
			if !yield(batch) {
				return
			}
		}
	}
}

// more adds the lines that are there already, and returns one that did not fit.
func more(batch []line, in <-chan line) (full []line, kept *line) {
	size := len(batch[0].data)
	for len(batch) < batchLines {
		select {
		case l, ok := <-in:
			if !ok {
				return batch, nil
			}
			if size += len(l.data); size > batchBytes {
				return batch, &l
			}
			batch = append(batch, l)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// send publishes a batch and returns an error for each line, nil if accepted.
func (p *Pub) send(ctx context.Context, c *bayeuxclient.Client, batch []line) []error {
	ctx, cancel := p.limit(ctx)
	defer cancel()
	errs := make([]error, len(batch))
	results := make([]*bayeuxclient.Result, len(batch))
	// The joined error says nothing that the results do not say.
	_ = c.Batch(ctx, func(b *bayeuxclient.Batch) {
		for i, l := range batch {
			if errs[i] = l.err; l.err == nil {
				results[i] = b.Publish(p.Channel, l.data)
			}
		}
	})
	for i, r := range results {
		if r != nil {
			errs[i] = r.Err()
		}
	}
	return errs
}
