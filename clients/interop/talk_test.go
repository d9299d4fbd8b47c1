//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/halleypush/halley/clients/interop/drive"
)

// maxLine bounds the lines of drivers, in bytes.
const maxLine = 8 << 20

// talk is the conversation with one client that a driver drives, whatever carries its lines: js/driver.mjs describes
// them. It has all of the interface client but Close.
type talk struct {
	write func(line []byte) error // sends a line without its end.
	box   *inbox
	log   *drive.Tail   // what client and driver say besides.
	told  chan struct{} // closed when the driver has said what it drives.
	about about
	over  chan struct{} // closed by end.
	ended sync.Once

	mu      sync.Mutex
	seq     int
	waiting map[int]chan event
}

func newTalk() *talk {
	return &talk{
		box: newInbox(), log: &drive.Tail{Limit: 16 << 10},
		told: make(chan struct{}), over: make(chan struct{}), waiting: map[int]chan event{},
	}
}

// end says that no more lines will come.
func (c *talk) end() { c.ended.Do(func() { close(c.over) }) }

// hear takes a line of the driver.
func (c *talk) hear(line []byte) {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		e = event{Kind: "noise", Error: string(line)}
	}
	switch e.Kind {
	case "about":
		c.introduce(e, line)
	case "reply":
		c.answer(e)
	case "message":
		e.Data = compact(e.Data) // Drivers write JSON each in the manner of their language.
		c.box.add(e)
	default:
		c.box.add(e)
	}
}

// introduce notes what is driven, when it is told for the first time.
func (c *talk) introduce(e event, line []byte) {
	select {
	case <-c.told:
		c.box.add(e)
	default:
		if json.Unmarshal(line, &c.about) == nil {
			close(c.told)
		}
	}
}

// answer gives a reply to the command that waits for it.
func (c *talk) answer(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.waiting[e.Seq]; answer != nil {
		answer <- e
		delete(c.waiting, e.Seq)
	}
}

// About implements client.
func (c *talk) About(ctx context.Context) (about, error) {
	select {
	case <-c.told:
		return c.about, nil
	case <-c.over:
		return about{}, errors.New("the driver ended: " + c.log.String())
	case <-ctx.Done():
		return about{}, ctx.Err()
	}
}

// Do implements client.
func (c *talk) Do(ctx context.Context, cmd command) error {
	answer := make(chan event, 1)
	c.mu.Lock()
	c.seq++
	seq := c.seq
	c.waiting[seq] = answer
	c.mu.Unlock()
	line, err := json.Marshal(struct {
		Seq int `json:"seq"`
		command
	}{seq, cmd})
	if err != nil {
		return err
	}
	if err := c.write(line); err != nil {
		return fmt.Errorf("the driver is gone: %w", err)
	}
	select {
	case e := <-answer:
		if !e.OK {
			return errors.New(cmd.Cmd + " failed: " + e.Error)
		}
		return nil
	case <-c.over:
		return errors.New("the driver ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Inbox implements client.
func (c *talk) Inbox() *inbox { return c.box }

// confess writes what the driver said besides, for a failed test.
func (c *talk) confess(t *testing.T) {
	if t.Failed() {
		t.Logf("the client's own words:\n%s", c.log.String())
	}
}
