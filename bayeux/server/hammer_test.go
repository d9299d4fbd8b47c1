package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// lineLink is a WebSocket whose peer reads all that comes.
type lineLink struct {
	port    transport.Port
	mu      sync.Mutex
	running bool
	dirty   bool
	gone    bool
	idle    sync.WaitGroup
}

func (l *lineLink) Wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dirty = true; !l.running && !l.gone {
		l.running = true
		l.idle.Go(l.flush)
	}
}

func (l *lineLink) Close(int, string) { l.Wake() }
func (l *lineLink) Leave(int, string) { l.Wake() }
func (l *lineLink) Cut(string)        { l.Wake() }

func (l *lineLink) flush() {
	for {
		l.mu.Lock()
		if !l.dirty || l.gone {
			l.running = false
			l.mu.Unlock()
			return
		}
		l.dirty = false
		l.mu.Unlock()
		for {
			out := l.port.Take(context.Background(), 1000)
			if out.Empty() {
				break
			}
			out.Done(rand.IntN(len(out.Messages)+1), true)
		}
	}
}

// end is what the reader of a connection does last.
func (l *lineLink) end() {
	l.mu.Lock()
	l.gone = true
	l.mu.Unlock()
	l.idle.Wait()
	l.port.Closed("")
}

// TestHammer has many goroutines use few sessions at once, each by several
// carriers, without a bound on their queues and with a tight one under each
// policy. Nothing is left of them, and the race detector has nothing to say
// ([R-EX-5], [R-DL-8]).
func TestHammer(t *testing.T) {
	hammer(t, 300, nil)
	for _, policy := range bayeux.SlowConsumerNames() {
		t.Run(policy, func(t *testing.T) {
			hammer(t, 60, func(c *Config) { c.Options["maxQueue"], c.Options["slowConsumer"] = "3", policy })
		})
	}
}

func hammer(t *testing.T, perWorker int, change func(*Config)) {
	t.Helper()
	const sessions = 6
	synctest.Test(t, func(t *testing.T) {
		srv := quick(t, change)
		if change != nil {
			defer srv.OnQueueMaxed(func(_ context.Context, q QueueMaxed) {
				if b, ok := q.Session.(bayeux.Backlog); ok && rand.IntN(4) == 0 {
					b.SetSlowConsumer(bayeux.SlowConsumer(rand.IntN(int(bayeux.SlowPolicies))))
					b.SetMaxQueue(rand.IntN(6), 0)
				}
			})()
		}
		var all sync.WaitGroup
		var turn [sessions]atomic.Pointer[player]
		for i := range sessions {
			turn[i].Store(newPlayer(t, srv))
			for range 3 {
				all.Go(func() {
					for range perWorker {
						p := turn[i].Load()
						if p.play(rand.IntN(16)); p.s.isOver() {
							turn[i].CompareAndSwap(p, newPlayer(t, srv))
						}
					}
				})
			}
		}
		all.Wait()
		time.Sleep(2 * time.Minute)
		require.Zero(t, srv.total.Bytes())
		_, subscriptions := srv.router.Stats()
		require.Equal(t, [5]int64{}, [5]int64{
			int64(subscriptions), srv.registry.count.Load(), int64(srv.browsers.size()),
			srv.stats.holds.Load(), srv.stats.sockets.Load(),
		}, "subscriptions, sessions, browsers, holds, sockets")
	})
}

// player is a session and the means to use it from any goroutine.
type player struct {
	t       *testing.T
	srv     *Server
	s       *session
	browser string
}

func newPlayer(t *testing.T, srv *Server) *player {
	t.Helper()
	s, browser := greet(t, srv)
	return &player{t, srv, s, browser}
}

func (p *player) play(what int) {
	channel := []string{"/a", "/b", "/a/*", "/**"}[rand.IntN(4)]
	switch {
	case what < 3:
		p.post(fmt.Sprintf(`[{"channel":"/meta/subscribe","clientId":"$","subscription":%q}]`, channel))
	case what < 5:
		p.post(fmt.Sprintf(`[{"channel":"/meta/unsubscribe","clientId":"$","subscription":%q}]`, channel))
	case what < 8:
		p.post(`[{"channel":"/a","clientId":"$","data":1},{"channel":"/b","clientId":"$","data":2}]`)
	case what < 11:
		p.post(oneConnect)
	case what < 13:
		p.socket()
	case what == 13:
		_ = p.srv.Publish(context.Background(), "/a", 1)
	case what == 14:
		time.Sleep(time.Duration(rand.IntN(int(time.Second))))
	case rand.IntN(3) == 0:
		_ = p.srv.Remove(p.s.id())
	case rand.IntN(2) == 0:
		_ = p.s.Disconnect(context.Background())
	default:
		p.post(`[{"channel":"/meta/disconnect","clientId":"$"}]`)
	}
}

// post sends a request, which its client may give up.
func (p *player) post(body string) {
	x := ask(p.t, p.srv, p.browser, of(p.s, body))
	due := make(chan struct{}, 1)
	if x.Await(func() { due <- struct{}{} }) {
		select {
		case <-due:
		case <-time.After(time.Duration(rand.IntN(int(time.Second)))):
			x.Abandon()
			return
		}
	}
	if rand.IntN(8) == 0 {
		x.Abandon()
		return
	}
	out := x.Take(context.Background(), 100)
	if rand.IntN(8) == 0 {
		out.Done(0, false)
		return
	}
	out.Done(len(out.Messages), true)
}

// socket attaches a WebSocket for a while.
func (p *player) socket() {
	l := &lineLink{}
	l.port = p.srv.Attach(transport.Origin{Transport: transport.WebSocket, Request: &bayeux.Request{}}, l)
	for _, body := range []string{oneConnect, `[{"channel":"/a","clientId":"$","data":3}]`, oneConnect} {
		batch, err := bayeux.Decode([]byte(of(p.s, body)), bayeux.Limits{})
		if err != nil || l.port.Receive(context.Background(), batch) != nil {
			break
		}
		l.Wake()
		time.Sleep(time.Duration(rand.IntN(int(100 * time.Millisecond))))
	}
	l.end()
}
