//go:build interop

package proxies

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// drivers is the folder of the programs that put published clients under commands; driver.mjs describes the lines.
const drivers = "../js"

// event is what a client tells.
type event struct {
	Kind     string          `json:"kind"`
	Seq      int             `json:"seq,omitempty"`
	Channel  string          `json:"channel,omitempty"`
	Listener string          `json:"listener,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	OK       bool            `json:"ok,omitempty"`
	ClientID string          `json:"clientId,omitempty"`
	Error    string          `json:"error,omitempty"`
	Status   string          `json:"status,omitempty"`
	at       time.Time
}

// is tells the outcome of a meta message, each of which is told once to the listeners of its channel.
func (e event) is(channel string, ok bool) bool {
	return e.Kind == "meta" && e.Listener == channel && e.OK == ok
}

// command is what a client is asked to do.
type command struct {
	Seq     int    `json:"seq"`
	Cmd     string `json:"cmd"`
	Channel string `json:"channel,omitempty"`
	Data    any    `json:"data,omitempty"`
}

// jsClient is the newest CometD client for JavaScript in a process of its own.
type jsClient struct {
	proc *process
	in   io.WriteCloser

	mu     sync.Mutex
	seq    int
	events []event
}

func newClient(t *testing.T, url, transport string, ack bool) *jsClient {
	t.Helper()
	options, err := json.Marshal(map[string]any{"major": 9, "url": url, "transport": transport, "ack": ack, "page": true, "maxSend": 60000})
	require.NoError(t, err)
	c := &jsClient{proc: &process{cmd: exec.Command("node", "driver.mjs", string(options)), log: newJournal()}}
	c.proc.cmd.Dir = drivers
	c.proc.cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+filepath.Join(shared.certs, "cert.pem"))
	c.in, err = c.proc.cmd.StdinPipe()
	require.NoError(t, err)
	outRead, outWrite := io.Pipe()
	c.proc.cmd.Stdout = outWrite
	c.proc.start(t)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		lines := bufio.NewScanner(outRead)
		lines.Buffer(nil, 8<<20)
		for lines.Scan() {
			c.hear(lines.Bytes())
		}
	}()
	t.Cleanup(func() {
		_ = c.in.Close()
		c.proc.kill()
		_ = outWrite.Close()
		<-heard
		if t.Failed() {
			t.Logf("the client's own words:\n%s\nand events:\n%s", c.proc.log, c.tell(0))
		}
	})
	return c
}

func (c *jsClient) hear(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		e = event{Kind: "noise", Error: string(line)}
	}
	e.at = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, e)
}

// mark is the number of events so far; since(mark) are the later ones.
func (c *jsClient) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.events)
}

func (c *jsClient) since(mark int) []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events[mark:])
}

func (c *jsClient) tell(mark int) string {
	events := c.since(mark)
	var s strings.Builder
	for _, e := range events[max(0, len(events)-40):] {
		if len(e.Data) > 200 {
			e.Data = json.RawMessage(`"…"`)
		}
		line, _ := json.Marshal(e)
		fmt.Fprintf(&s, "  %s %s\n", e.at.Format("05.000"), line)
	}
	return s.String()
}

// await waits for n events that the condition holds for, behind the mark, and returns the last of them.
func (c *jsClient) await(t *testing.T, mark, n int, what string, condition func(event) bool) event {
	t.Helper()
	var last event
	eventually(t, func() bool {
		found := 0
		for _, e := range c.since(mark) {
			if condition(e) {
				found++
				last = e
			}
			if found == n {
				return true
			}
		}
		return false
	}, func() string { return fmt.Sprintf("%d × %s; events since:\n%s", n, what, c.tell(mark)) })
	return last
}

// try has the client carry out a command, and returns its reply.
func (c *jsClient) try(t *testing.T, cmd command) event {
	t.Helper()
	c.mu.Lock()
	c.seq++
	cmd.Seq = c.seq
	mark := len(c.events)
	c.mu.Unlock()
	line, err := json.Marshal(cmd)
	require.NoError(t, err)
	_, err = c.in.Write(append(line, '\n'))
	require.NoError(t, err)
	return c.await(t, mark, 1, "reply to "+cmd.Cmd, func(e event) bool { return e.Kind == "reply" && e.Seq == cmd.Seq })
}

func (c *jsClient) do(t *testing.T, cmd command) {
	t.Helper()
	reply := c.try(t, cmd)
	require.True(t, reply.OK, "%s: %s", cmd.Cmd, reply.Error)
}

// session returns the id of the last session.
func (c *jsClient) session() string {
	id := ""
	for _, e := range c.since(0) {
		if e.is("/meta/handshake", true) {
			id = e.ClientID
		}
	}
	return id
}

func (c *jsClient) sessions() int { return c.count(0, "/meta/handshake", true) }

// handshakesBefore is how many sessions began before an event.
func (c *jsClient) handshakesBefore(e event) int {
	n := 0
	for _, other := range c.since(0) {
		if other.is("/meta/handshake", true) && !other.at.After(e.at) {
			n++
		}
	}
	return n
}

func (c *jsClient) count(mark int, channel string, ok bool) int {
	n := 0
	for _, e := range c.since(mark) {
		if e.is(channel, ok) {
			n++
		}
	}
	return n
}

// join shakes hands, subscribes and waits until a connect is held.
func (c *jsClient) join(t *testing.T, channel string) {
	t.Helper()
	c.do(t, command{Cmd: "handshake"})
	c.do(t, command{Cmd: "subscribe", Channel: channel})
	c.connects(t, 0, 1)
}

func (c *jsClient) connects(t *testing.T, mark, n int) {
	t.Helper()
	c.await(t, mark, n, "connect", func(e event) bool { return e.is("/meta/connect", true) })
}

// receives waits for a message.
func (c *jsClient) receives(t *testing.T, mark int, channel, data string) {
	t.Helper()
	c.await(t, mark, 1, "message on "+channel, func(e event) bool {
		return e.Kind == "message" && e.Channel == channel && string(e.Data) == data
	})
}
