package bayeuxclient_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

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
		require.Equal(t, []string{"1", "3"}, in.all())
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

// A reply that an extension drops, or that has a field of a wrong type, ends
// its call at once.
func TestReplyUnusable(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		o := s.options(transport)
		o.Extensions = []bayeux.Extension{bayeux.Funcs{
			In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
				if m.Channel == "/dropped" {
					return bayeux.Drop
				}
				return nil
			},
		}}
		c := s.dial(o)
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel != "/faulty" {
				return nil
			}
			return &verdict{reply: new(bayeux.Message{Successful: new(true), Ext: bayeux.Raw(`"text"`)})}
		})
		start := time.Now()
		require.ErrorIs(t, c.Publish(t.Context(), "/dropped", 1), bayeux.Drop)
		require.ErrorContains(t, c.Publish(t.Context(), "/faulty", 1), "400:")
		require.Equal(t, start, time.Now())
	})
}
