//go:build interop

package interop

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/clients/bayeuxclient"
)

// depthVariable set to "full" sends all cells through all scenarios; without it only the core cells get that.
const depthVariable = "HALLEY_INTEROP"

// cell is one client on one transport.
type cell struct {
	name    string
	way     way
	ack     bool
	depth   depth
	flags   []string      // of our server.
	timeout time.Duration // of the server's polls; zero for the usual one.
	build   func(t *testing.T, base string) client
}

// way is a transport and how it is used.
type way struct {
	transport string
	abroad    bool // the client's page comes from another origin than the server.
	form      bool // messages are sent as forms.
	secure    tlsProtocol
}

// tlsProtocol is what is spoken above TLS.
type tlsProtocol string

const (
	inClear tlsProtocol = ""
	http1   tlsProtocol = "TLS"
	http2   tlsProtocol = "HTTP2 and TLS"
)

func (w way) String() string {
	s := w.transport
	if w.form {
		s += ", form posts"
	}
	if w.abroad {
		s += ", other origin"
	}
	if w.secure != inClear {
		s += ", " + string(w.secure)
	}
	return s
}

// plainly are transports used as they are.
func plainly(transports ...string) []way {
	var ways []way
	for _, transport := range transports {
		ways = append(ways, way{transport: transport})
	}
	return ways
}

// depth is how much of the scenarios a cell gets without depthVariable.
type depth int

const (
	full  depth = iota
	smoke       // the short list, once for each client and transport.
	never       // a variant of a cell that has the short list.
)

// published is a client in a program or a page of its own.
type published struct {
	name      string
	driver    driver
	major     int
	ways      []way
	depth     depth
	plainOnly bool // the short list runs without acknowledgements, which the client does not have.
	timeout   time.Duration
}

// fayeTimeout is longer than that of others: faye gives a connect up after 1.2 times this time, which must not happen
// while the network is stalled.
const fayeTimeout = 6 * time.Second

func publishedClients() []published {
	both := plainly("long-polling", "websocket")
	withTLS := append(both[:2:2], way{transport: "long-polling", secure: http1}, way{transport: "websocket", secure: http1})
	var all []published
	for _, major := range []int{3, 4, 5, 7, 8, 9} {
		p := published{name: fmt.Sprintf("cometd %d", major), driver: nodeDriver(), major: major, ways: both}
		if major == 4 || major == 5 || major == 7 {
			p.depth = smoke
		}
		if major == 9 {
			p.ways = withTLS
		}
		all = append(all, p)
	}
	all = append(all,
		published{
			name: "java 8", driver: javaDriver("cometd8", "interop.CometD8"), depth: smoke,
			ways: append(withTLS[:4:4], way{transport: "long-polling", secure: http2}),
		},
		published{name: "java 2", driver: javaDriver("cometd2", "interop.CometD2"), ways: both[:1], depth: smoke},
		published{name: "faye", driver: fayeDriver(), ways: both, depth: smoke, plainOnly: true, timeout: fayeTimeout},
		published{name: "aiocometd-ng", driver: pythonDriver(), ways: both, depth: smoke, plainOnly: true},
	)
	return append(all, pageClients()...)
}

// pageClients are those that run in Chromium.
func pageClients() []published {
	three := plainly("websocket", "long-polling", "callback-polling")
	abroad := []way{{transport: "long-polling", abroad: true}, {transport: "callback-polling", abroad: true}}
	five := append(three[:3:3], abroad...)
	// Chromium takes HTTP/2 where it may, but not for a WebSocket.
	secure := []way{
		{transport: "websocket", secure: http1}, {transport: "long-polling", secure: http2}, {transport: "callback-polling", secure: http2},
	}
	// dojox.cometd takes callback-polling for pages of another origin, and only for them.
	old := []way{{transport: "long-polling"}, {transport: "long-polling", form: true}, abroad[1]}
	return []published{
		{name: "page cometd 3", driver: pageDriver("cometd3.html", "../js/node_modules/cometd3/package.json"), ways: five, depth: smoke},
		{name: "page cometd 9", driver: pageDriver("cometd9.html", "../js/node_modules/cometd9/package.json"), ways: append(five[:5:5], secure...), depth: smoke},
		{name: "page jquery", driver: pageDriver("jquery.html", "../java/web/target/cometd-javascript-jquery/js/cometd/cometd.js"), ways: three, depth: smoke},
		{name: "page dojo", driver: pageDriver("dojo.html", "../java/web/target/cometd-javascript-dojo/js/cometd/cometd.js"), ways: three, depth: smoke},
		{name: "page dojox", driver: pageDriver("dojox.html", "node_modules/dojox16/package.json"), ways: old, depth: smoke},
		{name: "page faye", driver: pageDriver("faye.html", "../js/node_modules/faye/package.json"), ways: three, depth: smoke, plainOnly: true, timeout: fayeTimeout},
	}
}

// depthOf is how much a cell of the client gets without depthVariable.
func (p published) depthOf(ack bool) depth {
	if p.depth == smoke && ack == p.plainOnly {
		return never
	}
	return p.depth
}

// builder makes a client for the base URL of a server.
type builder func(t *testing.T, base string, w way, ack bool) client

// cells is the matrix of clients, transports and acknowledgements; the browser is for the clients that live in pages, the
// authority for servers with TLS.
func cells(b *chromium, ca privateCA) []cell {
	var all []cell
	add := func(p published, build builder) {
		for _, w := range p.ways {
			for _, ack := range []bool{true, false} {
				c := cell{
					name: p.name + " " + w.String() + " " + map[bool]string{true: "ack", false: "plain"}[ack],
					way:  w, ack: ack, depth: max(p.depthOf(ack), w.deepest()), timeout: p.timeout,
				}
				if w.abroad && w.transport == "long-polling" {
					c.flags = []string{"--cors-origins", b.files.URL}
				}
				if w.secure != inClear {
					c.flags = ca.flags()
				}
				c.build = func(t *testing.T, base string) client {
					t.Helper()
					return build(t, base, w, ack)
				}
				all = append(all, c)
			}
		}
	}
	for _, p := range publishedClients() {
		add(p, func(t *testing.T, base string, w way, ack bool) client {
			t.Helper()
			o := driverOptions{Major: p.major, URL: base, Transport: w.transport, Ack: ack, Form: w.form, HTTP2: w.secure == http2}
			if p.driver.page != "" {
				return b.open(t, p.driver.page, w.abroad, o)
			}
			return newDriverClient(t, ca.trustedBy(p.driver), o)
		})
	}
	ours := published{name: "bayeuxclient", ways: plainly(bayeuxclient.LongPolling, bayeuxclient.WebSocket)}
	add(ours, func(t *testing.T, base string, w way, ack bool) client {
		t.Helper()
		return newGoClient(t, base, w.transport, ack)
	})
	raw := published{name: "raw", ways: plainly("long-polling", "callback-polling")}
	add(raw, func(t *testing.T, base string, w way, ack bool) client {
		t.Helper()
		return newRawClient(t, base, w.transport == "callback-polling", ack)
	})
	return all
}

// deepest is the most that a cell gets. What TLS could change is in the short list: in the others most cuts would hit its
// hello, not the session.
func (w way) deepest() depth {
	if w.secure != inClear {
		return smoke
	}
	return full
}

// touchSources looks at every source file of the module. The server is built by a command, and the drivers are
// programs, which the test cache does not see: without this an old result would stand for a changed server.
func touchSources(t *testing.T) {
	t.Helper()
	_ = os.Getenv(peerCommand)
	require.NoError(t, filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (name == "node_modules" || name == "target" || len(name) > 2 && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		switch filepath.Ext(path) {
		case ".go", ".mjs", ".py", ".java", ".html", ".txt", ".xml", ".json":
			_, err = os.Stat(path)
		}
		return err
	}))
}

// TestMatrix runs every client through its scenarios: the core clients through all of them, the others through the
// short list, or all of them through all where the environment asks for it.
func TestMatrix(t *testing.T) {
	touchSources(t)
	everything := os.Getenv(depthVariable) == "full"
	var chosen []cell
	for _, c := range cells(newChromium(t), newPrivateCA(t)) {
		if shared.peer != "" && len(c.flags) > 0 {
			continue // What they ask for, a peer is not told.
		}
		if everything {
			c.depth = c.way.deepest()
		}
		if c.depth != never {
			chosen = append(chosen, c)
		}
	}
	seen := &results{rows: make([]row, len(chosen))}
	t.Cleanup(func() { seen.write(t) })
	for i, c := range chosen {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c)
			a := introduction(t, s.client)
			r := row{Client: a.Client, Version: a.Version, Transport: c.way.String(), Ack: c.ack}
			r.Results = s.play(t, c, a)
			seen.set(i, r)
		})
	}
}
