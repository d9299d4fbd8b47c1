package bayeuxclient_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

// A slow callback holds the server back but loses nothing.
func TestSlowCallback(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		o := s.options(transport)
		o.QueueLength = 2
		c := s.dial(o)
		var in inbox
		_, err := c.Subscribe(t.Context(), "/a", func(m *bayeux.Message) {
			time.Sleep(time.Second)
			in.on(m)
		})
		require.NoError(t, err)
		time.Sleep(time.Second)
		want := []string{}
		for _, n := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
			want = append(want, n)
			s.publish("/a", n)
		}
		time.Sleep(30 * time.Second)
		require.Equal(t, want, in.all())
		require.Equal(t, bayeuxclient.StateConnected, c.State())
	})
}

func TestStalledCallback(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		o := s.options(transport)
		o.QueueLength, o.StallTimeout = 1, 30*time.Second
		c := s.dial(o)
		release := make(chan struct{})
		_, err := c.Subscribe(t.Context(), "/a", func(*bayeux.Message) { <-release })
		require.NoError(t, err)
		time.Sleep(time.Second)
		for range 5 {
			s.publish("/a", `0`)
		}
		time.Sleep(31 * time.Second)
		require.ErrorIs(t, c.Err(), bayeuxclient.ErrStalled)
		require.ErrorIs(t, c.Publish(t.Context(), "/a", 1), bayeuxclient.ErrStalled)
		require.NoError(t, c.Close(), "does not wait for the callback")
		close(release)
		<-c.Done()
	})
}

// Callbacks may call what waits for replies.
func TestCallbackPublishes(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		var got []error
		_, err := c.Subscribe(t.Context(), "/ask", func(m *bayeux.Message) {
			got = append(got, c.Publish(t.Context(), "/answer", m.Data))
		})
		require.NoError(t, err)
		time.Sleep(time.Second)
		s.publish("/ask", `1`)
		s.publish("/ask", `2`)
		synctest.Wait()
		require.Equal(t, []error{nil, nil}, got)
		require.Len(t, s.messages("/answer"), 2)
	})
}

func TestCloseInCallback(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		for _, polite := range []bool{true, false} {
			c := s.dial(s.options(transport))
			calls := 0
			_, err := c.Subscribe(t.Context(), "/a", func(*bayeux.Message) {
				calls++
				if polite {
					require.NoError(t, c.Disconnect(t.Context()))
				}
				require.NoError(t, c.Close())
			})
			require.NoError(t, err)
			time.Sleep(time.Second)
			s.publish("/a", `1`)
			s.publish("/a", `2`)
			<-c.Done()
			require.NoError(t, c.Err())
			require.Equal(t, 1, calls, "the rest is dropped")
		}
	})
}

// A client that leaves takes no other session, whatever it hears before the
// reply to its disconnect [R-DC-3].
func TestLeavingTakesNoSession(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		s.hold = time.Second
		var left atomic.Bool
		s.on(func(_ string, m *bayeux.Message) *verdict {
			switch {
			case m.Channel == "/meta/disconnect":
				left.Store(true)
				return &verdict{reply: new(bayeux.Message).Succeed(true), wait: 5 * time.Second}
			case m.Channel == "/meta/connect" && left.Load():
				return &verdict{reply: new(bayeux.Message).Fail(&bayeux.Error{
					Code: 402, Text: "session_unknown", Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake},
				})}
			}
			return nil
		})
		c := s.dial(s.options(transport))
		time.Sleep(500 * time.Millisecond)
		require.NoError(t, c.Disconnect(t.Context()))
		<-c.Done()
		require.Len(t, s.messages("/meta/handshake"), 1)
		require.NoError(t, c.Err())
	})
}

// Disconnect lets the messages that came be seen; Close does not.
func TestDisconnectDrains(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		c := s.dial(s.options())
		var in inbox
		_, err := c.Subscribe(t.Context(), "/a", func(m *bayeux.Message) {
			time.Sleep(time.Second)
			in.on(m)
		})
		require.NoError(t, err)
		s.publish("/a", `1`)
		s.publish("/a", `2`)
		synctest.Wait()
		require.NoError(t, c.Disconnect(t.Context()))
		require.Empty(t, in.all())
		<-c.Done()
		require.Equal(t, []string{`1`, `2`}, in.all())
	})
}

func TestDisconnectUnanswered(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		time.Sleep(time.Second)
		s.on(func(string, *bayeux.Message) *verdict { return &verdict{silent: true, wait: time.Hour} })
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		require.ErrorIs(t, c.Disconnect(ctx), context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(start))
		<-c.Done()
		require.NoError(t, c.Err(), "the client has ended as it was told to")

		s.on(nil)
		c = s.dial(s.options(transport))
		time.Sleep(time.Second)
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel == "/meta/disconnect" {
				return &verdict{silent: true, wait: time.Hour}
			}
			return nil
		})
		start = time.Now()
		require.ErrorIs(t, c.Disconnect(t.Context()), bayeuxclient.ErrTimeout)
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

// The end of a context ends each wait, and only the wait.
func TestContextEnds(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		time.Sleep(time.Second)
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel != "/meta/connect" {
				return &verdict{silent: true, wait: 5 * time.Second}
			}
			return nil
		})
		f := func(*bayeux.Message) {}
		for name, call := range map[string]func(context.Context) error{
			"publish": func(ctx context.Context) error { return c.Publish(ctx, "/a", 1) },
			"batch": func(ctx context.Context) error {
				return c.Batch(ctx, func(b *bayeuxclient.Batch) { b.Publish("/a", 1) })
			},
			"subscribe": func(ctx context.Context) error { _, err := c.Subscribe(ctx, "/a", f); return err },
			"request":   func(ctx context.Context) error { _, err := c.Request(ctx, "/service/a", 1); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			require.ErrorIs(t, call(ctx), context.DeadlineExceeded, name)
			require.Equal(t, time.Second, time.Since(start), name)
			cancel()
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, call(cancelled), context.Canceled, name)
		}
		s.on(nil)
		time.Sleep(10 * time.Second)
		require.NoError(t, c.Publish(t.Context(), "/a", 1))
		require.Equal(t, "s1", c.ClientID())
	})
}

// Nobody waits for ever for a session that cannot be reached.
func TestUnreachable(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		time.Sleep(time.Second)
		s.mu.Lock()
		s.noWS = 503
		s.mu.Unlock()
		s.on(func(string, *bayeux.Message) *verdict { return &verdict{status: 503} })
		s.cutSockets()
		time.Sleep(30 * time.Second)
		start := time.Now()
		require.ErrorIs(t, c.Publish(t.Context(), "/a", 1), bayeuxclient.ErrTimeout)
		require.Equal(t, 10*time.Second, time.Since(start))
		require.NoError(t, c.Disconnect(t.Context()), "there is nobody to say farewell to")
		require.ErrorIs(t, c.Publish(t.Context(), "/a", 1), bayeuxclient.ErrClosed)
	})
}

func TestStateString(t *testing.T) {
	require.Equal(t, "idle connecting connected broken rehandshaken disconnected unknown", join(
		bayeuxclient.StateIdle, bayeuxclient.StateConnecting, bayeuxclient.StateConnected, bayeuxclient.StateBroken,
		bayeuxclient.StateRehandshaken, bayeuxclient.StateDisconnected, bayeuxclient.State(99)))
}

func join(list ...bayeuxclient.State) string {
	out := ""
	for i, s := range list {
		if i > 0 {
			out += " "
		}
		out += s.String()
	}
	return out
}
