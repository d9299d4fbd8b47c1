package bayeuxclient_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		url  string
		o    bayeuxclient.Options
		want string
	}{
		"scheme":    {"ftp://a/b", bayeuxclient.Options{}, "not an http"},
		"host":      {"http:///b", bayeuxclient.Options{}, "no host"},
		"syntax":    {"http://a b/\x7f", bayeuxclient.Options{}, "invalid"},
		"transport": {"http://a/", bayeuxclient.Options{Transports: []string{"pigeon"}}, "pigeon"},
		"twice":     {"http://a/", bayeuxclient.Options{Transports: []string{"websocket", "websocket"}}, "twice"},
		"ext":       {"http://a/", bayeuxclient.Options{HandshakeExt: bayeux.Raw(`[1]`)}, "HandshakeExt"},
		"ext null":  {"http://a/", bayeuxclient.Options{HandshakeExt: bayeux.Raw(`null`)}, "HandshakeExt"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bayeuxclient.New(c.url, c.o)
			require.ErrorContains(t, err, c.want)
		})
	}
	for _, url := range []string{"http://a/c", "https://a/c", "ws://a/c", "wss://a/c"} {
		c, err := bayeuxclient.New(url, bayeuxclient.Options{})
		require.NoError(t, err)
		require.NoError(t, c.Close())
		<-c.Done()
	}
}

func TestNotStarted(t *testing.T) {
	c, err := bayeuxclient.New(address, bayeuxclient.Options{})
	require.NoError(t, err)
	require.Equal(t, bayeuxclient.StateIdle, c.State())
	require.ErrorIs(t, c.Publish(t.Context(), "/a", 1), bayeuxclient.ErrNotStarted)
	_, err = c.Subscribe(t.Context(), "/a", func(*bayeux.Message) {})
	require.ErrorIs(t, err, bayeuxclient.ErrNotStarted)
	require.NoError(t, c.Disconnect(t.Context()))
	require.ErrorIs(t, c.Publish(t.Context(), "/a", 1), bayeuxclient.ErrClosed)
	require.ErrorIs(t, c.Start(t.Context()), bayeuxclient.ErrStarted)
	require.NoError(t, c.Close())
}

// The whole of an ordinary session: [R-HS-1], [R-CN-5], [R-SB-1], [R-PB-1],
// [R-DC-1].
func TestSession(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		o := s.options(transport)
		var st states
		o.OnState = st.on
		o.HandshakeExt = bayeux.Raw(`{"auth":{"token":"x"}}`)
		o.Header = http.Header{"X-Test": {"yes"}}
		c := s.dial(o)
		require.Equal(t, "s1", c.ClientID())
		require.Equal(t, transport, c.Transport())
		require.ErrorIs(t, c.Start(t.Context()), bayeuxclient.ErrStarted)

		var in inbox
		sub, err := c.Subscribe(t.Context(), "/chat/*", in.on)
		require.NoError(t, err)
		require.Equal(t, "/chat/*", sub.Channel())
		require.NoError(t, c.Publish(t.Context(), "/chat/demo", bayeux.Raw(`{"n": 1.50,"s":"é<"}`)))
		require.NoError(t, c.Publish(t.Context(), "/chat/demo", map[string]string{"a": "<b>"}))
		require.NoError(t, c.Publish(t.Context(), "/other", 3))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{`{"n": 1.50,"s":"é<"}`, `{"a":"<b>"}`}, in.all())

		require.NoError(t, sub.Unsubscribe(t.Context()))
		require.NoError(t, sub.Unsubscribe(t.Context()))
		require.NoError(t, c.Publish(t.Context(), "/chat/demo", 4))
		require.NoError(t, c.Disconnect(t.Context()))
		<-c.Done()
		require.NoError(t, c.Err())
		require.Len(t, in.all(), 2)
		require.Equal(t, []bayeuxclient.State{
			bayeuxclient.StateConnecting, bayeuxclient.StateConnected, bayeuxclient.StateDisconnected,
		}, st.all())

		hs := s.messages("/meta/handshake")
		require.Len(t, hs, 1)
		require.JSONEq(t, `{"auth":{"token":"x"}}`, string(hs[0].m.Ext))
		require.Equal(t, "1.0", field(t, hs[0].m, "version"))
		require.Equal(t, []any{transport}, field(t, hs[0].m, "supportedConnectionTypes"))
		connects := s.messages("/meta/connect")
		require.Equal(t, transport, field(t, connects[0].m, "connectionType"))
		require.Equal(t, time.Duration(0), connects[0].m.ClientAdvice().Timeout, "[R-CN-7]")
		require.False(t, connects[1].m.ClientAdvice().Present)
		require.Len(t, s.messages("/meta/unsubscribe"), 1)
		require.Len(t, s.messages("/meta/disconnect"), 1)
		for _, h := range s.headers {
			require.Equal(t, "yes", h.Get("X-Test"))
		}
		if transport == bayeuxclient.LongPolling {
			require.Empty(t, s.cookies[0])
			require.Equal(t, "BAYEUX_BROWSER=b1", s.cookies[1], "[R-ID-3], a host named by address")
		}
	})
}

func TestHoldCycle(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		time.Sleep(65 * time.Second)
		require.Len(t, s.messages("/meta/connect"), 5, "one at once, then one each 20 s")
		require.Equal(t, bayeuxclient.StateConnected, c.State())
		require.NoError(t, c.Close())
		<-c.Done()
	})
}

func TestFallBack(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		s.noWS = http.StatusBadRequest
		c := s.dial(s.options())
		require.Equal(t, bayeuxclient.LongPolling, c.Transport())
		s.mu.Lock()
		s.noWS = 0
		s.mu.Unlock()
		s.forget()
		time.Sleep(time.Minute)
		require.Equal(t, bayeuxclient.LongPolling, c.Transport(), "a WebSocket that never worked stays off")
		require.Equal(t, []any{"long-polling"}, field(t, s.messages("/meta/handshake")[1].m, "supportedConnectionTypes"))
		require.NoError(t, c.Close())
	})
}

// A proxy that opens the WebSocket and swallows all frames.
func TestFallBackFromSilence(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		s.on(func(via string, _ *bayeux.Message) *verdict {
			if via == bayeuxclient.WebSocket {
				return &verdict{silent: true}
			}
			return nil
		})
		start := time.Now()
		c := s.dial(s.options())
		require.Equal(t, bayeuxclient.LongPolling, c.Transport())
		require.Equal(t, 10*time.Second, time.Since(start))
		require.NoError(t, c.Close())
	})
}

func TestNegotiation(t *testing.T) {
	t.Run("other transport", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *fake) {
			s.types = `["long-polling"]`
			c := s.dial(s.options())
			time.Sleep(time.Second)
			require.Equal(t, bayeuxclient.LongPolling, c.Transport())
			require.NoError(t, c.Close())
		})
	})
	t.Run("none in common [R-HS-4]", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *fake) {
			s.types = `["callback-polling"]`
			_, err := bayeuxclient.Dial(t.Context(), address, s.options())
			require.ErrorIs(t, err, bayeuxclient.ErrNoTransport)
		})
	})
	t.Run("not said", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *fake) {
			s.types = `7`
			c := s.dial(s.options())
			require.Equal(t, bayeuxclient.WebSocket, c.Transport())
			require.NoError(t, c.Close())
		})
	})
}

func TestHandshakeRefused(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		s.on(func(string, *bayeux.Message) *verdict {
			return &verdict{reply: new(bayeux.Message).Fail(&bayeux.Error{
				Code: 403, Args: "no_such_user", Text: "handshake_denied",
				Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectNone}, Ext: bayeux.Raw(`{"why":1}`),
			})}
		})
		o := s.options(transport)
		o.RetryStart = true // Of no use against none.
		var st states
		o.OnState = st.on
		c, err := bayeuxclient.New(address, o)
		require.NoError(t, err)
		err = c.Start(t.Context())
		var refusal *bayeux.Error
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, "403:no_such_user:handshake_denied", refusal.Error())
		require.JSONEq(t, `{"why":1}`, string(refusal.Ext))
		<-c.Done()
		require.Equal(t, err, c.Err())
		require.Equal(t, []bayeuxclient.State{bayeuxclient.StateConnecting, bayeuxclient.StateDisconnected}, st.all())
		require.ErrorIs(t, c.Publish(t.Context(), "/a", 1), err)
	})
}

func TestStart(t *testing.T) {
	refuse := func(string, *bayeux.Message) *verdict { return &verdict{status: 503} }
	t.Run("gives up", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *fake) {
			s.noWS = 404
			s.on(refuse)
			start := time.Now()
			_, err := bayeuxclient.Dial(t.Context(), address, s.options())
			require.ErrorContains(t, err, "websocket: bayeuxclient: HTTP status 404")
			require.ErrorContains(t, err, "long-polling: bayeuxclient: HTTP status 503")
			require.Equal(t, start, time.Now())
		})
	})
	t.Run("goes on, with Retry-After", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *fake) {
			n := 0
			s.on(func(via string, m *bayeux.Message) *verdict {
				if m.Channel != "/meta/handshake" || n == 3 {
					return nil
				}
				n++
				return refuse(via, m)
			})
			o := s.options(bayeuxclient.LongPolling)
			o.RetryStart = true
			start := time.Now()
			c := s.dial(o)
			require.Equal(t, 21*time.Second, time.Since(start))
			require.NoError(t, c.Close())
		})
	})
	t.Run("a WebSocket is not struck off while nothing works", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *fake) {
			s.noWS = 503
			s.on(func(via string, m *bayeux.Message) *verdict {
				return refuse(via, m)
			})
			o := s.options()
			o.RetryStart = true
			time.AfterFunc(30*time.Second, func() {
				s.on(nil)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.noWS = 0
			})
			c := s.dial(o)
			require.Equal(t, bayeuxclient.WebSocket, c.Transport())
			require.NoError(t, c.Close())
		})
	})
	t.Run("context", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *fake) {
			s.on(refuse)
			o := s.options(bayeuxclient.LongPolling)
			o.RetryStart = true
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := bayeuxclient.Dial(ctx, address, o)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	})
	t.Run("closed meanwhile", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *fake) {
			s.on(func(string, *bayeux.Message) *verdict { return &verdict{silent: true, wait: time.Hour} })
			c, err := bayeuxclient.New(address, s.options(bayeuxclient.LongPolling))
			require.NoError(t, err)
			time.AfterFunc(time.Second, func() { _ = c.Close() })
			require.ErrorIs(t, c.Start(t.Context()), bayeuxclient.ErrClosed)
		})
	})
}

func TestPublishRefused(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		s.on(func(_ string, m *bayeux.Message) *verdict {
			switch m.Channel {
			case "/no":
				return &verdict{reply: new(bayeux.Message).Fail(bayeux.Deny("because"))}
			case "/odd":
				return &verdict{reply: new(bayeux.Message).Fail(&bayeux.Error{Code: 500, Text: "a:b"})}
			case "/empty":
				return &verdict{reply: new(bayeux.Message).Succeed(false)}
			}
			return nil
		})
		for channel, want := range map[string]string{
			"/no": "403:because:", "/odd": "500::a:b", "/empty": "403::refused",
		} {
			var refusal *bayeux.Error
			require.ErrorAs(t, c.Publish(t.Context(), channel, 1), &refusal)
			require.Equal(t, want, refusal.Error())
		}
		require.ErrorContains(t, c.Publish(t.Context(), "/meta/connect", 1), "not a channel")
		require.ErrorContains(t, c.Publish(t.Context(), "nope", 1), "nope")
		require.ErrorContains(t, c.Publish(t.Context(), "/a", bayeux.Raw(`{`)), "data")
		require.ErrorContains(t, c.Publish(t.Context(), "/a", func() {}), "data")
		require.NoError(t, c.Publish(t.Context(), "/a", nil))
		require.NoError(t, c.Close())
	})
}

func TestPublishTimeOut(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		time.Sleep(time.Second)
		s.on(func(_ string, m *bayeux.Message) *verdict {
			switch m.Channel {
			case "/slow":
				return &verdict{silent: true, wait: time.Minute}
			case "/mute":
				return &verdict{silent: true}
			}
			return nil
		})
		start := time.Now()
		err := c.Publish(t.Context(), "/mute", 1)
		if transport == bayeuxclient.LongPolling {
			require.ErrorIs(t, err, bayeuxclient.ErrNoReply)
		} else {
			require.ErrorIs(t, err, bayeuxclient.ErrTimeout)
			require.Equal(t, 10*time.Second, time.Since(start))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("enough"))
		defer cancel()
		start = time.Now()
		require.ErrorContains(t, c.Publish(ctx, "/slow", 1), "enough")
		require.Equal(t, 3*time.Second, time.Since(start))
		require.NoError(t, c.Close())
	})
}
