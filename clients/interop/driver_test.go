//go:build interop

package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// driver is the program that puts a published client under the command of a scenario.
type driver struct {
	dir  string
	args []string
	// needs is a file that `make deps` installs, in dir.
	needs string
	// hostName says that the client needs a host name in its URL, not an address.
	hostName bool
}

func nodeDriver() driver {
	return driver{dir: "js", args: []string{"node", "driver.mjs"}, needs: "node_modules/cometd9/package.json"}
}

func fayeDriver() driver {
	return driver{dir: "js", args: []string{"node", "faye.mjs"}, needs: "node_modules/faye/package.json"}
}

func pythonDriver() driver {
	return driver{dir: "python", args: []string{".venv/bin/python", "driver.py"}, needs: ".venv/bin/python", hostName: true}
}

// javaDriver runs the driver of a module of the folder java in a small machine that starts fast.
func javaDriver(module, class string) driver {
	return driver{
		dir: "java", needs: module + "/target/lib/line-1.jar",
		args: []string{
			"java", "-Xmx256m", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
			"-cp", module + "/target/classes" + string(os.PathListSeparator) + module + "/target/lib/*", class,
		},
	}
}

// installed says what is missing.
func (d driver) installed() error {
	if _, err := os.Stat(filepath.Join(d.dir, d.needs)); err != nil {
		return fmt.Errorf("the published clients are missing: run `make deps`, or `make test` (%w)", err)
	}
	if program := d.args[0]; !strings.Contains(program, "/") {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("the published clients need %s: %w", program, err)
		}
	}
	return nil
}

// driverOptions choose what a driver drives; it reads them from its command line.
type driverOptions struct {
	Major     int    `json:"major,omitempty"` // of the CometD client for JavaScript.
	URL       string `json:"url"`
	Transport string `json:"transport"`
	Ack       bool   `json:"ack"`
	LogLevel  string `json:"logLevel,omitempty"`
}

// driverClient is a published client in a process of its own.
type driverClient struct {
	proc  *exec.Cmd
	in    io.WriteCloser
	box   *inbox
	log   *tail
	told  chan struct{} // closed when the driver has said what it drives.
	about about
	done  chan struct{}
	once  sync.Once

	mu      sync.Mutex
	seq     int
	waiting map[int]chan event
}

func newNodeClient(t *testing.T, o driverOptions) *driverClient {
	t.Helper()
	return newDriverClient(t, nodeDriver(), o)
}

func newDriverClient(t *testing.T, d driver, o driverOptions) *driverClient {
	t.Helper()
	if d.hostName {
		o.URL = strings.Replace(o.URL, "127.0.0.1", "localhost", 1)
	}
	arg, err := json.Marshal(o)
	require.NoError(t, err)
	c := &driverClient{
		proc: exec.Command(d.args[0], append(d.args[1:len(d.args):len(d.args)], string(arg))...),
		box:  newInbox(), log: &tail{limit: 16 << 10}, told: make(chan struct{}), done: make(chan struct{}), waiting: map[int]chan event{},
	}
	c.proc.Dir = d.dir
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
func (c *driverClient) read(out io.Reader) {
	defer close(c.done)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = event{Kind: "noise", Error: lines.Text()}
		}
		switch e.Kind {
		case "about":
			if err := json.Unmarshal(lines.Bytes(), &c.about); err == nil {
				close(c.told)
			}
		case "reply":
			c.answer(e)
		case "message":
			e.Data = compact(e.Data) // Drivers write JSON each in the manner of their language.
			c.box.add(e)
		default:
			c.box.add(e)
		}
	}
	_ = c.proc.Wait()
}

// answer gives a reply to the command that waits for it.
func (c *driverClient) answer(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.waiting[e.Seq]; answer != nil {
		answer <- e
		delete(c.waiting, e.Seq)
	}
}

// About implements client.
func (c *driverClient) About(ctx context.Context) (about, error) {
	select {
	case <-c.told:
		return c.about, nil
	case <-c.done:
		return about{}, errors.New("the driver ended: " + c.log.String())
	case <-ctx.Done():
		return about{}, ctx.Err()
	}
}

// Do implements client.
func (c *driverClient) Do(ctx context.Context, cmd command) error {
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
func (c *driverClient) Inbox() *inbox { return c.box }

// Close implements client.
func (c *driverClient) Close() {
	c.once.Do(func() {
		_ = c.in.Close()
		_ = c.proc.Process.Kill()
	})
	<-c.done
}
