package faults

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	cookieName     = "BAYEUX_BROWSER"
	unknownSession = "402::session_unknown"
	// maxText bounds what is read to be decoded, of a request and of a
	// WebSocket message of the server; what is larger passes without a look
	// into it. maxMessage does so for messages of clients, which are refused
	// as soon as their header says that they are larger than that.
	maxText    = 4 << 20
	maxMessage = 64 << 10
	// maxAnswer bounds a response. A larger one is cut.
	maxAnswer = 64 << 20
)

type dialer func(ctx context.Context) (net.Conn, error)

// proxy stands between clients and a Bayeux server.
type proxy struct {
	fault   Fault
	options Options
	hooks   hooks
	dial    dialer
	http1   *http.Transport
	http2   *http.Transport

	ctx  context.Context //nolint:containedctx // the life of the proxy, for what outlives a request
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu sync.Mutex // guards all below and is held while a hook runs
	// after is done when the hook has returned and mu is free again.
	after    []func()
	sessions map[string]*session
	links    map[*link]struct{}
	own      int // numbers the messages of ours
}

func newProxy(ctx context.Context, f Fault, o Options, h hooks, dial dialer) *proxy {
	p := &proxy{
		fault: f, options: o, hooks: h, dial: dial,
		sessions: map[string]*session{}, links: map[*link]struct{}{},
	}
	p.ctx, p.stop = context.WithCancel(ctx)
	transport := func(set func(*http.Protocols)) *http.Transport {
		protocols := new(http.Protocols)
		set(protocols)
		return &http.Transport{
			DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
			DisableCompression:  true,
			MaxIdleConnsPerHost: 16,
			Protocols:           protocols,
		}
	}
	p.http1 = transport(func(s *http.Protocols) { s.SetHTTP1(true) })
	p.http2 = transport(func(s *http.Protocols) { s.SetUnencryptedHTTP2(true) })
	return p
}

// close ends what the proxy carries, and waits.
func (p *proxy) close() {
	p.stop()
	p.mu.Lock()
	for l := range p.links {
		l.end(false)
	}
	p.mu.Unlock()
	p.wg.Wait()
	p.http1.CloseIdleConnections()
	p.http2.CloseIdleConnections()
}

// hook calls a hook with what it is about.
func hook[T any](p *proxy, f func(T), about T) {
	p.locked(func() {
		if f != nil {
			f(about)
		}
	})
}

// locked runs f with the memory of the proxy, then what f has left to be done.
func (p *proxy) locked(f func()) {
	p.mu.Lock()
	f()
	after := p.after
	p.after = nil
	p.mu.Unlock()
	for _, g := range after {
		g()
	}
}

// later has f done when the hook has returned: it may block and must not touch
// the memory. p.mu is held.
func (p *proxy) later(f func()) { p.after = append(p.after, f) }

// background runs f on a goroutine of its own, until the proxy ends.
func (p *proxy) background(f func(ctx context.Context)) {
	p.wg.Go(func() { f(p.ctx) })
}

// atEnd has f called when the proxy ends, unless that is undone.
func (p *proxy) atEnd(f func()) (undo func() bool) { return context.AfterFunc(p.ctx, f) }

// ownID returns an id for a message of ours. p.mu is held.
func (p *proxy) ownID() string {
	p.own++
	sum := sha256.Sum256([]byte("fault" + strconv.Itoa(p.own)))
	return "fault" + hex.EncodeToString(sum[:8])
}

func ours(m *message) bool {
	id := m.str("id")
	return len(id) == len("fault")+16 && strings.HasPrefix(id, "fault")
}

// pause waits, and reports whether neither context ended before.
func (p *proxy) pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-p.ctx.Done():
	}
	return false
}

// enter takes a unit on its way in through the memory and the hooks.
func (p *proxy) enter(u *unit) {
	p.locked(func() {
		if p.hooks.before != nil {
			p.hooks.before(u)
		}
		p.noteIn(u)
		if p.hooks.in != nil && p.fault.ActsOn(u.on) {
			p.hooks.in(u)
		}
	})
}

// leave takes a unit on its way out through the memory and the hooks. asked
// are the requests of an HTTP exchange.
func (p *proxy) leave(u *unit, asked []*message) {
	p.locked(func() {
		if u.l != nil {
			u.s = u.l.s
			u.l.waiting = u.pair(u.l.waiting)
			u.l.hush(u)
		} else {
			u.pair(asked)
		}
		u.keep(func(m *message) bool { return !ours(m) || !m.reply() })
		if u.drop {
			return
		}
		p.noteOut(u)
		if p.hooks.out != nil && p.fault.ActsOn(u.on) {
			p.hooks.out(u)
		}
		if u.l != nil && len(u.extra) > 0 {
			u.l.sendUp(u.extra)
		}
	})
}

// cookieOf returns the value of the browser cookie of a request.
func cookieOf(r *http.Request) string {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return c.Value
}
