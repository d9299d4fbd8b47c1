package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/halleypush/halley/clients/interop/drive"
)

// browser is one Chromium for the pages of a scenario; browser/chromium.mjs of the interop tests drives it. Each page has
// cookies of its own.
type browser struct {
	*program
	files  *http.Server // the folder of the interop tests, at /interop/
	origin string       // of files
	mu     sync.Mutex
	pages  []*client
}

func (s *stage) startBrowser(ctx context.Context) (*browser, error) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("run `make deps`: %w", err)
	}
	arg, err := json.Marshal(map[string]string{"chromium": chromium})
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(s.root, "clients", "interop")
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &browser{origin: "http://" + ln.Addr().String()}
	b.files = &http.Server{
		Handler:           drive.Files(folder),
		ReadHeaderTimeout: arrival,
	}
	go func() { _ = b.files.Serve(ln) }()
	if b.program, err = startProgram(ctx, filepath.Join(folder, "browser"), b.hear, "node", "chromium.mjs", string(arg)); err != nil {
		_ = b.files.Close()
		return nil, err
	}
	return b, nil
}

func (b *browser) close() {
	b.stop()
	_ = b.files.Close()
}

// hear gives a line of the browser's to its page.
func (b *browser) hear(line []byte) {
	var v drive.Envelope
	if json.Unmarshal(line, &v) != nil {
		return
	}
	b.mu.Lock()
	if v.Page >= len(b.pages) {
		b.mu.Unlock()
		return
	}
	c := b.pages[v.Page]
	b.mu.Unlock()
	var e event
	switch {
	case v.Gone != "":
		e = event{Kind: kindGone, Error: v.Gone}
	case v.Line == nil || json.Unmarshal(v.Line, &e) != nil:
		return
	}
	if e.At == 0 {
		e.At = stamp(time.Now())
	}
	c.diary.add(e)
}

// startPage opens a page of the server's origin and has its client begin.
func (s *stage) startPage(ctx context.Context, c *client, set settings) error {
	if s.browser == nil {
		b, err := s.startBrowser(ctx)
		if err != nil {
			return err
		}
		s.browser = b
	}
	b := s.browser
	b.mu.Lock()
	number := len(b.pages)
	b.pages = append(b.pages, c)
	b.mu.Unlock()
	options, err := json.Marshal(set)
	if err != nil {
		return err
	}
	address, err := url.Parse(set.URL)
	if err != nil {
		return err
	}
	address.Path, address.RawQuery = "/interop/browser/pages/networks.html", url.Values{"options": {string(options)}}.Encode()
	c.tell = func(line any) error {
		if v, ok := line.(drive.Envelope); ok {
			v.Page = number
			return b.tell(v)
		}
		return b.tell(drive.Envelope{Page: number, Line: json.RawMessage(`{}`)})
	}
	c.end = func() { _ = c.tell(drive.Envelope{Close: true}) }
	return s.load(ctx, c, drive.Envelope{Open: &drive.Opening{Address: address.String(), Files: b.origin}})
}

// load has a page loaded, for the first time or anew, and its client begin when it is there.
func (s *stage) load(ctx context.Context, c *client, how drive.Envelope) error {
	before := 0
	for _, e := range c.diary.all() {
		if e.Kind == kindAbout {
			before++
		}
	}
	if err := c.tell(how); err != nil {
		return err
	}
	if err := s.await(ctx, c, has(kindAbout, before+1)); err != nil {
		return err
	}
	return c.tell(nil)
}
