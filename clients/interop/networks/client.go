package main

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
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/clients/interop/drive"
	"github.com/halleypush/halley/internal/hostileproxy"
)

// maxLine bounds the lines of drivers, in bytes.
const maxLine = 1 << 20

// The kinds of clients: the npm client in Node, in a page of Chromium, the Java client, and Faye's in Node.
type kind int

const (
	inNode kind = iota
	inPage
	inJava
	ofFaye
)

// spec says which client comes from where.
type spec struct {
	name    string
	kind    kind
	network byte // see address
	channel string
	ack     bool
	// any leaves the transport to the client; otherwise it is long-polling.
	any bool
	// loose has a client go back to long-polling after a WebSocket that died (stickyReconnect:false).
	loose bool
	// reload has a page go on with its session when it is loaded anew.
	reload bool
	// noisy clients make the noise of a scenario, and have no figures.
	noisy bool
	// unawaited clients may never be subscribed.
	unawaited bool
}

// client is a published client that runs by itself, and what it has told.
type client struct {
	spec
	diary *diary
	door  *hostileproxy.Proxy // through which it goes, and gets its address
	tell  func(line any) error
	end   func()
	once  sync.Once
	left  atomic.Bool
}

// leave ends the client without a word to the server.
func (c *client) leave() {
	c.once.Do(func() {
		c.left.Store(true)
		c.end()
		_ = c.door.Close()
	})
}

// settings are what js/networks.mjs, js/faye-networks.mjs and the page are given.
type settings struct {
	URL        string   `json:"url"`
	Channel    string   `json:"channel"`
	Transports []string `json:"transports,omitempty"`
	Sticky     *bool    `json:"sticky,omitempty"`
	Ack        bool     `json:"ack"`
	Reload     bool     `json:"reload,omitempty"`
	Scale      float64  `json:"scale"`
	Transport  string   `json:"transport,omitempty"` // what the driver in Java calls it
}

// join starts a client and waits until it is subscribed.
func (s *stage) join(ctx context.Context, sp spec) (*client, error) {
	door, err := hostileproxy.New(s.proxy.Addr())
	if err != nil {
		return nil, err
	}
	door.From(address(sp.network))
	c := &client{spec: sp, diary: newDiary(), door: door}
	set := settings{
		URL: "http://" + door.Addr() + s.pathOf(), Channel: sp.channel, Ack: sp.ack, Reload: sp.reload,
		Scale: s.conf.scale, Transport: "long-polling",
	}
	if !sp.any {
		set.Transports = []string{"long-polling"}
	}
	if sp.loose {
		set.Sticky = new(bool)
	}
	start := map[kind]func(context.Context, *client, settings) error{inNode: s.startNode, inJava: s.startJava, inPage: s.startPage, ofFaye: s.startFaye}[sp.kind]
	if err := start(ctx, c, set); err != nil {
		_ = door.Close()
		return nil, fmt.Errorf("client %s: %w", sp.name, err)
	}
	s.mu.Lock()
	s.clients = append(s.clients, c)
	s.mu.Unlock()
	if sp.unawaited {
		return c, nil
	}
	return c, s.await(ctx, c, has(kindSubscribed, 1))
}

// await waits for what a client tells, or its end.
func (s *stage) await(ctx context.Context, c *client, condition func([]event) bool) error {
	ctx, cancel := context.WithTimeout(ctx, arrival)
	defer cancel()
	var gone string
	err := c.diary.wait(ctx, func(events []event) bool {
		if n := len(events); n > 0 && events[n-1].Kind == kindGone {
			gone = events[n-1].Error
		}
		return gone != "" || condition(events)
	})
	if gone != "" {
		err = errors.New(gone)
	}
	if err != nil {
		return fmt.Errorf("client %s: %w", c.name, err)
	}
	return nil
}

func (s *stage) startNode(ctx context.Context, c *client, set settings) error {
	return s.spawnNode(ctx, c, set, "networks.mjs")
}

func (s *stage) startFaye(ctx context.Context, c *client, set settings) error {
	return s.spawnNode(ctx, c, set, "faye-networks.mjs")
}

func (s *stage) spawnNode(ctx context.Context, c *client, set settings, script string) error {
	return s.spawn(ctx, c, set, "js", func(line []byte) {
		var e event
		if json.Unmarshal(line, &e) == nil {
			c.diary.add(e)
		}
	}, "node", script)
}

// startJava starts the interop tests' driver of the Java client, which waits for commands.
func (s *stage) startJava(ctx context.Context, c *client, set settings) error {
	classes := "cometd8/target/classes" + string(os.PathListSeparator) + "cometd8/target/lib/*"
	err := s.spawn(ctx, c, set, "java", func(line []byte) {
		if e, known := fromDriver(line, time.Now()); known {
			c.diary.add(e)
		}
	}, "java", "-Xmx512m", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classes, "interop.CometD8")
	if err != nil {
		return err
	}
	c.diary.add(event{Kind: kindOpened, At: stamp(time.Now())})
	if err := c.tell(map[string]any{"seq": 1, "cmd": "handshake"}); err != nil {
		return err
	}
	if err := s.await(ctx, c, has(kindHandshake, 1)); err != nil {
		return err
	}
	return c.tell(map[string]any{"seq": 2, "cmd": "subscribe", "channel": c.channel})
}

// spawn starts a driver, whose last argument is its settings, in a folder of the interop tests.
func (s *stage) spawn(ctx context.Context, c *client, set any, folder string, hear func([]byte), name string, args ...string) error {
	arg, err := json.Marshal(set)
	if err != nil {
		return err
	}
	p, err := startProgram(ctx, filepath.Join(s.root, "clients", "interop", folder), hear, name, append(args, string(arg))...)
	if err != nil {
		return err
	}
	c.tell, c.end = p.tell, p.kill
	go func() {
		<-p.done
		c.diary.add(event{Kind: kindGone, At: stamp(time.Now()), Error: "it ended: " + p.words.String()})
	}()
	return nil
}

// program is a driver: JSON lines on stdin and stdout. It ends with its stdin, so also when this process dies.
type program struct {
	cmd   *exec.Cmd
	words *drive.Tail
	done  chan struct{}

	mu sync.Mutex
	in io.WriteCloser
}

func startProgram(ctx context.Context, dir string, hear func([]byte), name string, args ...string) (*program, error) {
	p := &program{cmd: exec.CommandContext(ctx, name, args...), words: &drive.Tail{Limit: 4 << 10}, done: make(chan struct{})} //nolint:gosec // drivers of this tree
	p.cmd.Dir, p.cmd.Stderr, p.cmd.WaitDelay = dir, p.words, arrival
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (make deps installs what is needed)", err)
	}
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, maxLine)
		for lines.Scan() {
			hear(lines.Bytes())
		}
		_ = p.cmd.Wait() // Its words say why it ended.
	}()
	return p, nil
}

func (p *program) tell(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = p.in.Write(append(text, '\n'))
	return err
}

// kill ends the program as a crash would.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the program to end, and kills it when it does not.
func (p *program) stop() {
	p.mu.Lock()
	_ = p.in.Close()
	p.mu.Unlock()
	late := time.NewTimer(arrival)
	defer late.Stop()
	select {
	case <-p.done:
	case <-late.C:
		p.kill()
	}
}
