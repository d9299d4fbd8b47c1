package server

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
)

// quick is a server whose sessions end soon.
func quick(t *testing.T, change func(*Config)) *Server {
	t.Helper()
	c := Config{Options: Options{"timeout": "600", "maxInterval": "500", "sweepPeriod": "100"}}
	if change != nil {
		change(&c)
	}
	srv, err := New(c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })
	return srv
}

// ask sends a batch by long-polling.
func ask(t *testing.T, srv *Server, browser, body string) *exchange {
	t.Helper()
	batch, err := bayeux.Decode([]byte(body), bayeux.Limits{})
	require.NoError(t, err)
	x, err := srv.Request(context.Background(), transport.Origin{
		Transport: transport.LongPolling, Browser: browser, Request: &bayeux.Request{},
	}, batch)
	require.NoError(t, err)
	return x.(*exchange)
}

// answer takes and sends.
func answer(x *exchange) transport.Output {
	out := x.Take(context.Background(), 0)
	kept := out
	kept.Replies = nil // they are the server's again after Done
	for _, group := range out.Replies {
		var texts [][]byte
		for _, text := range group {
			texts = append(texts, bytes.Clone(text))
		}
		kept.Replies = append(kept.Replies, texts)
	}
	out.Done(len(out.Messages), true)
	return kept
}

// greet makes a session that has connected once.
func greet(t *testing.T, srv *Server) (s *session, browser string) {
	t.Helper()
	x := ask(t, srv, "", `[{"channel":"/meta/handshake"}]`)
	browser = answer(x).SetBrowser
	answer(ask(t, srv, browser, `[{"channel":"/meta/connect","clientId":"`+x.sess.id()+`"}]`))
	return x.sess, browser
}

const oneConnect = `[{"channel":"/meta/connect","clientId":"$"}]`

func of(s *session, body string) string {
	return strings.ReplaceAll(body, "$", s.id())
}

// Steps are taken in one order and carried out by goroutines in any other: the
// router ends up as the machine does, and knows nothing of an ended session
// (DESIGN 4.2, [R-EX-5]).
func TestTurnOrder(t *testing.T) {
	names := []channels.Name{"/a", "/b", "/c/*"}
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			srv := quick(t, nil)
			s, _ := greet(t, srv)
			rng := rand.New(rand.NewPCG(seed, 1))
			var works []work
			for range 12 {
				works = append(works, randomStep(s, rng, names))
			}
			ends := seed%2 == 0
			if ends {
				s.mu.Lock()
				works = append(works, s.noteLocked(s.machine.Remove(srv.moment(), machine.ReasonServer), nil, srv.moment()))
				s.mu.Unlock()
				works = append(works, randomStep(s, rng, names)) // too late
			}
			var all sync.WaitGroup
			for _, i := range rng.Perm(len(works)) {
				delay := time.Duration(rng.IntN(1000))
				all.Go(func() {
					time.Sleep(delay)
					s.carryOut(works[i])
				})
			}
			all.Wait()
			for _, n := range names {
				want := 0
				if !ends && s.machine.Subscribed(n) {
					want = 1
				}
				require.Equal(t, want, srv.router.Subscribers(n), "seed %d: %s", seed, n)
			}
		})
	}
}

// randomStep subscribes or unsubscribes some channels and leaves the effects to
// the caller.
func randomStep(s *session, rng *rand.Rand, names []channels.Name) work {
	in := machine.Input{Message: &bayeux.Message{Channel: metaSubscribe}}
	if rng.IntN(2) == 0 {
		in.Message.Channel = metaUnsubscribe
	}
	for _, i := range rng.Perm(len(names))[:1+rng.IntN(2)] {
		in.Names = append(in.Names, names[i])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.noteLocked(s.machine.Step(s.srv.moment(), in), nil, s.srv.moment())
}

// A held poll is aborted while its answer is on its way from another goroutine:
// nobody writes it, and the session expires all the same ([R-CN-22]).
func TestAbandonMeetsRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := quick(t, nil)
		s, browser := greet(t, srv)
		x := ask(t, srv, browser, of(s, oneConnect))
		require.True(t, x.Await(func() {}))
		now := srv.moment()
		s.mu.Lock()
		w := s.noteLocked(s.machine.Wake(now), nil, now) // as if a message had come
		s.mu.Unlock()
		x.Abandon()
		s.carryOut(w)
		require.Zero(t, srv.stats.holds.Load())
		require.Zero(t, srv.browsers.size())
		time.Sleep(time.Second)
		require.Zero(t, srv.registry.count.Load(), "the session is immortal")
	})
}

// A refused handshake leaves nothing, whatever server code has queued for its
// session meanwhile.
func TestRefusedHandshakeLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := quick(t, func(c *Config) { c.Policy = eagerPolicy{} })
		out := answer(ask(t, srv, "", `[{"channel":"/meta/handshake"}]`))
		require.Empty(t, out.Messages)
		require.Contains(t, string(out.Replies[0][0]), "handshake_denied")
		require.Zero(t, srv.total.Bytes())
		require.Empty(t, srv.deadlines.all())
	})
}

// eagerPolicy greets before it refuses.
type eagerPolicy struct{ bayeux.DefaultPolicy }

func (eagerPolicy) CanHandshake(ctx context.Context, s bayeux.Session, _ *bayeux.Message) error {
	if err := s.Deliver(ctx, "/welcome", "x"); err != nil {
		return err
	}
	return bayeux.Deny("full")
}

// A session that was removed while its connect is held is known to nobody but
// the deadlines; a stop of the server answers it nevertheless ([R-CN-17]).
func TestShutdownAnswersRemovedHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := quick(t, nil)
		s, browser := greet(t, srv)
		x := ask(t, srv, browser, of(s, oneConnect))
		woken := make(chan struct{})
		require.True(t, x.Await(func() { close(woken) }))
		require.NoError(t, srv.Remove(s.id()))
		require.NoError(t, srv.Shutdown(context.Background()))
		select {
		case <-woken:
		default:
			require.Fail(t, "the poll is held for ever")
		}
		require.Contains(t, string(answer(x).Replies[0][0]), `"reconnect":"none"`)
		require.Zero(t, srv.total.Bytes())
	})
}

// A restored session that ends before its subscriptions are entered leaves none.
func TestRestoreMeetsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := quick(t, nil)
		s, browser := greet(t, srv)
		answer(ask(t, srv, browser, of(s, `[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}]`)))
		snap, err := srv.Snapshot(s.id())
		require.NoError(t, err)
		other := quick(t, nil)
		ended := false
		other.moment = func() instant.Time { // asked for once more after the session is registered
			if !ended && other.registry.get(s.id()) != nil {
				ended = true
				require.NoError(t, other.Remove(s.id()))
			}
			return other.clock.Now()
		}
		require.NoError(t, other.Restore(snap))
		require.True(t, ended)
		require.Zero(t, other.router.Subscribers("/a"))
		require.Zero(t, other.registry.count.Load())
	})
}

// A subscription is in effect before the reply to any request that names it,
// also to one that came while the first was still being carried out
// ([R-SB-14]).
func TestSubscribeTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := quick(t, nil)
		s, browser := greet(t, srv)
		now := srv.moment()
		s.mu.Lock()
		w := s.noteLocked(s.machine.Step(now, machine.Input{
			Message: &bayeux.Message{Channel: metaSubscribe}, Names: []channels.Name{"/a"},
		}), nil, now)
		s.mu.Unlock()
		go func() {
			time.Sleep(time.Millisecond)
			s.carryOut(w)
		}()
		answer(ask(t, srv, browser, of(s, `[{"channel":"/meta/subscribe","clientId":"$","subscription":"/a"}]`)))
		require.Equal(t, 1, srv.router.Subscribers("/a"))
	})
}

// muteExtension drops the replies to connects.
type muteExtension struct{}

func (muteExtension) Incoming(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

func (muteExtension) Outgoing(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	if m.Channel == metaConnect {
		return bayeux.Drop
	}
	return nil
}

// A connect whose reply an extension drops has been answered all the same: the
// session expires ([R-CN-22]).
func TestDroppedReplyStartsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := quick(t, func(c *Config) { c.Extensions = []bayeux.Extension{muteExtension{}} })
		s, _ := greet(t, srv)
		l := &lineLink{}
		l.port = srv.Attach(transport.Origin{Transport: transport.WebSocket, Request: &bayeux.Request{}}, l)
		batch, err := bayeux.Decode([]byte(of(s, `[{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0}}]`)), bayeux.Limits{})
		require.NoError(t, err)
		require.NoError(t, l.port.Receive(context.Background(), batch))
		l.Wake()
		time.Sleep(time.Second)
		require.Zero(t, srv.registry.count.Load(), "the session is immortal")
		l.end()
	})
}
