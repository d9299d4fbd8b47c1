//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
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
	// page has the client, for those that live in pages; one browser serves them all.
	page string
	// env is added to the environment.
	env []string
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
	Form      bool   `json:"form,omitempty"`   // dojox.cometd shall send all messages as forms.
	HTTP2     bool   `json:"http2,omitempty"`  // the Java client for CometD 8 shall poll by HTTP/2 and by nothing else; pages do it by themselves.
	Reload    bool   `json:"reload,omitempty"` // the CometD client for JavaScript shall go on after its page is loaded anew.
	// Transcript has the client tell every message; of the drivers here CometD's, of Java the newer.
	Transcript bool   `json:"transcript,omitempty"`
	LogLevel   string `json:"logLevel,omitempty"`
}

// driverClient is a published client in a process of its own.
type driverClient struct {
	*talk
	proc *exec.Cmd
	in   io.WriteCloser
	once sync.Once
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
	c := &driverClient{talk: newTalk(), proc: exec.Command(d.args[0], append(d.args[1:len(d.args):len(d.args)], string(arg))...)}
	c.write = func(line []byte) error {
		_, err := c.in.Write(append(line, '\n'))
		return err
	}
	c.proc.Dir = d.dir
	c.proc.Env = append(os.Environ(), d.env...)
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
		c.confess(t)
	})
	return c
}

// read takes the driver's lines until the process ends.
func (c *driverClient) read(out io.Reader) {
	defer c.end()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		c.hear(lines.Bytes())
	}
	_ = c.proc.Wait()
}

// Close implements client.
func (c *driverClient) Close() {
	c.once.Do(func() {
		_ = c.in.Close()
		_ = c.proc.Process.Kill()
	})
	<-c.over
}
