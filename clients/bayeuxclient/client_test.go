package bayeuxclient_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
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
			require.Equal(t, "", s.cookies[0])
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

func TestBatch(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel == "/no" {
				return &verdict{reply: new(bayeux.Message).Fail(bayeux.Deny("x"))}
			}
			return nil
		})
		var in inbox
		var results []*bayeuxclient.Result
		err := c.Batch(t.Context(), func(b *bayeuxclient.Batch) {
			_, r := b.Subscribe("/yes", in.on)
			_, bad := b.Subscribe("bad", in.on)
			results = append(results, r, b.Publish("/yes", 1), b.Publish("/no", 2), b.Publish("/yes", 3), b.Publish("/meta/x", 4), bad)
		})
		require.ErrorContains(t, err, "403:x:")
		time.Sleep(time.Minute)
		for i, want := range []bool{true, true, false, true, false, false} {
			require.Equal(t, want, results[i].Err() == nil, "result %d: %v", i, results[i].Err())
		}
		require.ElementsMatch(t, []string{"1", "3"}, in.all())
		require.NoError(t, c.Batch(t.Context(), func(*bayeuxclient.Batch) {}))
		require.NoError(t, c.Close())
	})
}

// [R-SV-1], [R-SV-2].
func TestRequest(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if !strings.HasPrefix(m.Channel, "/service/") {
				return nil
			}
			result := &bayeux.Message{Channel: m.Channel, ID: m.ID, HasID: true, Data: bayeux.Raw(`{"v":1}`)}
			switch m.Channel {
			case "/service/sum":
				return &verdict{pushed: []*bayeux.Message{result.Succeed(true)}}
			case "/service/fails":
				return &verdict{pushed: []*bayeux.Message{result.Succeed(false)}}
			case "/service/denied":
				return &verdict{reply: new(bayeux.Message).Fail(bayeux.Deny("y"))}
			}
			return nil
		})
		m, err := c.Request(t.Context(), "/service/sum", []int{1})
		require.NoError(t, err)
		require.JSONEq(t, `{"v":1}`, string(m.Data))
		m, err = c.Request(t.Context(), "/service/fails", nil)
		require.ErrorIs(t, err, bayeuxclient.ErrCallFailed)
		require.JSONEq(t, `{"v":1}`, string(m.Data))
		_, err = c.Request(t.Context(), "/service/denied", nil)
		require.ErrorContains(t, err, "403:y:")
		_, err = c.Request(t.Context(), "/service/unknown", nil)
		require.ErrorIs(t, err, bayeuxclient.ErrTimeout)
		require.NoError(t, c.Close())
	})
}

// Server push on a service channel needs no subscription ([R-SB-6]).
func TestServiceChannel(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		var in inbox
		sub, err := c.Subscribe(t.Context(), "/service/**", in.on)
		require.NoError(t, err)
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel != "/service/echo" {
				return nil
			}
			return &verdict{pushed: []*bayeux.Message{{Channel: m.Channel, Data: m.Data}}}
		})
		require.NoError(t, c.Publish(t.Context(), "/service/echo", "hi"))
		synctest.Wait()
		require.Equal(t, []string{`"hi"`}, in.all())
		require.NoError(t, sub.Unsubscribe(t.Context()))
		require.Empty(t, s.messages("/meta/subscribe"))
		require.Empty(t, s.messages("/meta/unsubscribe"))
		require.NoError(t, c.Close())
	})
}

func TestSubscriptionsShare(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		c := s.dial(s.options())
		var order []string
		note := func(name string) func(*bayeux.Message) {
			return func(*bayeux.Message) { order = append(order, name) }
		}
		var subs []*bayeuxclient.Subscription
		for _, channel := range []string{"/a/b", "/a/*", "/**", "/a/b", "/x"} {
			sub, err := c.Subscribe(t.Context(), channel, note(channel))
			require.NoError(t, err)
			subs = append(subs, sub)
		}
		require.Len(t, s.messages("/meta/subscribe"), 4)
		s.publish("/a/b", `1`)
		synctest.Wait()
		require.Equal(t, []string{"/**", "/a/*", "/a/b", "/a/b"}, order, "[R-PB-10]")
		require.NoError(t, subs[0].Unsubscribe(t.Context()))
		require.Empty(t, s.messages("/meta/unsubscribe"))
		require.NoError(t, subs[3].Unsubscribe(t.Context()))
		require.Len(t, s.messages("/meta/unsubscribe"), 1)
		for channel, f := range map[string]func(*bayeux.Message){"/meta/x": note(""), "bad": note(""), "/nil": nil} {
			_, err := c.Subscribe(t.Context(), channel, f)
			require.Error(t, err, channel)
		}
		require.NoError(t, c.Close())
	})
}

func TestSubscribeRefused(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel == "/meta/subscribe" {
				return &verdict{reply: new(bayeux.Message).Fail(bayeux.Deny("no"))}
			}
			return nil
		})
		_, err := c.Subscribe(t.Context(), "/a", func(*bayeux.Message) {})
		require.ErrorContains(t, err, "403:no:")
		s.on(nil)
		_, err = c.Subscribe(t.Context(), "/a", func(*bayeux.Message) {})
		require.NoError(t, err)
		require.Len(t, s.messages("/meta/subscribe"), 2, "the refused one left nothing behind")
		require.NoError(t, c.Close())
	})
}

func TestExtensions(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		var trace []string
		ext := func(name string) bayeux.Extension {
			return bayeux.Funcs{
				In: func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
					if from != nil {
						return errors.New("session")
					}
					if m.Channel == "/data" {
						trace = append(trace, name+" in")
						if m.Data != nil && string(m.Data) == `"drop"` {
							return bayeux.Drop
						}
					}
					return nil
				},
				Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
					switch m.Channel {
					case "/data":
						trace = append(trace, name+" out")
					case "/forbidden":
						return fmt.Errorf("%s says no", name)
					case "/meta/handshake":
						m.SetExt(name, bayeux.Raw("1"))
					}
					return nil
				},
			}
		}
		o := s.options(transport)
		o.Extensions = []bayeux.Extension{ext("a"), ext("b")}
		c := s.dial(o)
		require.JSONEq(t, `{"a":1,"b":1}`, string(s.messages("/meta/handshake")[0].m.Ext))
		require.ErrorContains(t, c.Publish(t.Context(), "/forbidden", 1), "b says no")
		require.Empty(t, s.messages("/forbidden"))
		require.NoError(t, c.Publish(t.Context(), "/data", 1))
		require.Equal(t, []string{"b out", "a out", "a in", "b in"}, trace)
		var in inbox
		_, err := c.Subscribe(t.Context(), "/data", in.on)
		require.NoError(t, err)
		time.Sleep(time.Second)
		s.publish("/data", `"drop"`)
		s.publish("/data", `"keep"`)
		time.Sleep(time.Second)
		require.Equal(t, []string{`"keep"`}, in.all())
		require.NoError(t, c.Close())
	})
}
