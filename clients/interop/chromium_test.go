//go:build interop

package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/clients/interop/drive"
)

// chromium is one browser for all clients that live in pages; browser/chromium.mjs drives it. It starts with the first
// page. Each page has cookies of its own.
type chromium struct {
	files *httptest.Server // this folder, and in it the pages and what `make deps` installs, below /interop/.
	log   *drive.Tail
	start sync.Once
	fault error // why it did not start.
	proc  *exec.Cmd
	done  chan struct{}

	mu    sync.Mutex
	in    io.WriteCloser
	pages []*pageClient
}

func pageDriver(page, needs string) driver {
	return driver{dir: "browser", args: []string{"node", "chromium.mjs"}, needs: needs, page: page}
}

// newChromium is closed by the test's end, after those of its subtests.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	b := &chromium{
		files: httptest.NewServer(drive.Files(".")),
		log:   &drive.Tail{Limit: 16 << 10}, done: make(chan struct{}),
	}
	t.Cleanup(func() {
		b.close()
		b.files.Close()
		if t.Failed() {
			t.Logf("the browser's own words:\n%s", b.log.String())
		}
	})
	return b
}

func (b *chromium) run() error {
	program, err := exec.LookPath("chromium")
	if err != nil {
		return fmt.Errorf("run `make deps`: %w", err)
	}
	arg, err := json.Marshal(map[string]string{"chromium": program})
	if err != nil {
		return err
	}
	b.proc = exec.Command("node", "chromium.mjs", string(arg))
	b.proc.Dir = "browser"
	b.proc.Stderr = b.log
	b.proc.WaitDelay = patience // The browser may outlive its driver for a moment.
	endWithParent(b.proc)
	if b.in, err = b.proc.StdinPipe(); err != nil {
		return err
	}
	out, err := b.proc.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.proc.Start(); err != nil {
		return err
	}
	go b.read(out)
	return nil
}

// read takes the driver's lines until it ends, and all pages with it.
func (b *chromium) read(out io.Reader) {
	defer close(b.done)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e drive.Envelope
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			_, _ = b.log.Write(append(lines.Bytes(), '\n'))
			continue
		}
		b.mu.Lock()
		p := b.pages[e.Page]
		b.mu.Unlock()
		switch {
		case e.Line != nil:
			p.hear(e.Line)
		case e.Said != "":
			_, _ = fmt.Fprintf(p.log, "%s %s\n", time.Now().Format("15:04:05.000"), e.Said)
		default:
			_, _ = fmt.Fprintln(p.log, "gone:", e.Gone)
			p.end()
		}
	}
	_ = b.proc.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pages {
		p.end()
	}
}

func (b *chromium) send(e drive.Envelope) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err = b.in.Write(append(line, '\n'))
	return err
}

// close ends the browser in good order where it can.
func (b *chromium) close() {
	b.start.Do(func() { b.fault = errors.New("the browser was closed") })
	if b.proc == nil || b.proc.Process == nil {
		return
	}
	b.mu.Lock()
	_ = b.in.Close()
	b.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-b.done:
	case <-late.C:
		_ = b.proc.Process.Kill()
		<-b.done
	}
}

// pageClient is a client in a page of its own.
type pageClient struct {
	*talk
	browser *chromium
	number  int
}

// open puts a client into a page, which comes from the origin of the server that the client uses, or from another one.
func (b *chromium) open(t *testing.T, page string, abroad bool, o driverOptions) *pageClient {
	t.Helper()
	b.start.Do(func() { b.fault = b.run() })
	require.NoError(t, b.fault)
	p := &pageClient{talk: newTalk(), browser: b}
	p.write = func(line []byte) error { return b.send(drive.Envelope{Page: p.number, Line: line}) }
	b.mu.Lock()
	p.number = len(b.pages)
	b.pages = append(b.pages, p)
	b.mu.Unlock()
	t.Cleanup(func() {
		p.Close()
		p.confess(t)
	})
	options, err := json.Marshal(o)
	require.NoError(t, err)
	address, err := url.Parse(o.URL)
	require.NoError(t, err)
	if abroad {
		address, err = url.Parse(b.files.URL)
		require.NoError(t, err)
	}
	address.Path, address.RawQuery = "/interop/browser/pages/"+page, url.Values{"options": {string(options)}}.Encode()
	require.NoError(t, b.send(drive.Envelope{Page: p.number, Open: &drive.Opening{Address: address.String(), Files: b.files.URL}}))
	return p
}

// reload loads the page anew, as its user may; it returns when the page is ready for commands.
func (p *pageClient) reload(t *testing.T) {
	t.Helper()
	mark := p.Inbox().mark()
	require.NoError(t, p.browser.send(drive.Envelope{Page: p.number, Reload: true}))
	ctx, cancel := context.WithTimeout(t.Context(), arrival)
	defer cancel()
	require.NoError(t, p.Inbox().wait(ctx, mark, func(events []event) bool {
		return slices.ContainsFunc(events, func(e event) bool { return e.Kind == "about" })
	}), "the page")
}

// Close implements client.
func (p *pageClient) Close() {
	_ = p.browser.send(drive.Envelope{Page: p.number, Close: true}) // It may have ended.
	p.end()
}
