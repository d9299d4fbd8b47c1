//go:build interop

package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// nodeOptions choose the published JavaScript client; driver.mjs reads them.
type nodeOptions struct {
	Major     int    `json:"major"`
	URL       string `json:"url"`
	Transport string `json:"transport"`
	Ack       bool   `json:"ack"`
	LogLevel  string `json:"logLevel,omitempty"`
}

// nodeClient is a published JavaScript client in a Node process of its own.
type nodeClient struct {
	proc *exec.Cmd
	in   io.WriteCloser
	box  *inbox
	log  *tail
	done chan struct{}
	once sync.Once

	mu      sync.Mutex
	seq     int
	waiting map[int]chan event
}

func newNodeClient(t *testing.T, o nodeOptions) *nodeClient {
	t.Helper()
	arg, err := json.Marshal(o)
	require.NoError(t, err)
	c := &nodeClient{
		proc: exec.Command("node", "driver.mjs", string(arg)), box: newInbox(), log: &tail{limit: 16 << 10},
		done: make(chan struct{}), waiting: map[int]chan event{},
	}
	c.proc.Dir = "js"
	c.proc.Stderr = c.log
	endWithParent(c.proc)
	c.in, err = c.proc.StdinPipe()
	require.NoError(t, err)
	out, err := c.proc.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.proc.Start())
	go c.read(out)
	t.Cleanup(func() {
		c.Close()
		if t.Failed() {
			t.Logf("the client's own words:\n%s", c.log.String())
		}
	})
	return c
}

// read takes the driver's lines until the process ends.
func (c *nodeClient) read(out io.Reader) {
	defer close(c.done)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = event{Kind: "noise", Error: lines.Text()}
		}
		if e.Kind != "reply" {
			c.box.add(e)
			continue
		}
		c.mu.Lock()
		if answer := c.waiting[e.Seq]; answer != nil {
			answer <- e
			delete(c.waiting, e.Seq)
		}
		c.mu.Unlock()
	}
	_ = c.proc.Wait()
}

// Do implements client.
func (c *nodeClient) Do(ctx context.Context, cmd command) error {
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
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("the driver is gone: %w", err)
	}
	select {
	case e := <-answer:
		if !e.OK {
			return errors.New(cmd.Cmd + " failed: " + e.Error)
		}
		return nil
	case <-c.done:
		return errors.New("the driver ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Inbox implements client.
func (c *nodeClient) Inbox() *inbox { return c.box }

// Close implements client.
func (c *nodeClient) Close() {
	c.once.Do(func() {
		_ = c.in.Close()
		_ = c.proc.Process.Kill()
	})
	<-c.done
}
