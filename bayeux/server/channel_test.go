package server_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// CASES 154: of many who create a channel at once one does, with its
// initialisers, and nobody sees it half made.
func TestCreateChannelOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var calls atomic.Int32
		release := make(chan struct{})
		_, err := r.srv.InitChannel("/a/*", func(ctx context.Context, ch channels.Name, o *server.ChannelOptions) error {
			calls.Add(1)
			assert.Equal(t, "b", bayeux.Param(ctx, channels.Wild))
			assert.False(t, r.srv.HasChannel(string(ch)))
			o.Persistent = true
			<-release
			_, err := r.srv.Listen(string(ch), func(context.Context, bayeux.Session, *bayeux.Message) error { return bayeux.Drop })
			return err
		})
		require.NoError(t, err)
		u := r.hello("").connect()
		var created atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				is, err := r.srv.CreateChannel("/a/b", func(_ context.Context, _ channels.Name, o *server.ChannelOptions) error {
					assert.True(t, o.Persistent, "those of patterns come first")
					o.Lazy = true
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				if is {
					created.Add(1)
				}
			})
		}
		answer := u.later(`[{"channel":"/a/b","clientId":"$","id":"p","data":1}]`)
		synctest.Wait()
		require.EqualValues(t, 1, calls.Load())
		require.False(t, r.srv.HasChannel("/a/b"))
		close(release)
		all.Wait()
		same(t, `[{"channel":"/a/b","id":"p","successful":false,"error":"404::message_deleted"}]`, (<-answer).Messages)
		require.EqualValues(t, 1, calls.Load())
		require.LessOrEqual(t, created.Load(), int32(1), "the client's message may have been the first")
		require.True(t, r.srv.HasChannel("/a/b"))
		is, err := r.srv.CreateChannel("/a/b/", nil)
		require.NoError(t, err)
		require.False(t, is)
		_, err = r.srv.CreateChannel("a", nil)
		require.Error(t, err)
		_, err = r.srv.InitChannel("a", nil)
		require.Error(t, err)
	})
}

// Initialisers are called however a channel comes to exist, the widest first,
// again when it comes back, and not for what exists.
func TestInitChannel(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		r.hello("").subscribe("/there").send(leave)
		for _, pattern := range []string{"/{x}", "/**", "/service/**", "/c/*"} {
			remove, err := r.srv.InitChannel(pattern, func(_ context.Context, ch channels.Name, _ *server.ChannelOptions) error {
				d.note("%s %s", pattern, ch)
				return nil
			})
			require.NoError(t, err)
			defer remove()
		}
		u := r.hello("").connect()
		u.subscribe("/a").subscribe("/c/*")
		u.publish("/b", "1")
		u.publish("/there", "1")
		u.publish("/service/s", "1")
		r.publish("/d", 1)
		remove, err := r.srv.Listen("/e", func(context.Context, bayeux.Session, *bayeux.Message) error { return nil })
		require.NoError(t, err)
		require.NoError(t, r.srv.Configure("/f", server.ChannelOptions{}))
		want := []string{
			"/** /a", "/{x} /a", "/** /c/*", "/c/* /c/*", "/** /b", "/{x} /b", "/** /service/s", "/service/** /service/s",
			"/** /d", "/{x} /d", "/** /e", "/{x} /e", "/** /f", "/{x} /f",
		}
		require.Equal(t, want, d.take())
		remove()
		time.Sleep(2100 * time.Millisecond)
		require.False(t, r.srv.HasChannel("/b"))
		u.publish("/b", "1")
		require.Equal(t, []string{"/** /b", "/{x} /b"}, d.take())
	})
}

// Where an initialiser fails the channel does not come to exist, and what asked
// for it is refused; nobody else is harmed, not by one that does not return.
func TestInitChannelFails(t *testing.T) {
	bubble(t, func(c *server.Config) { c.ExtensionTimeout = time.Second }, func(t *testing.T, r *rig) {
		stop := make(chan struct{})
		defer close(stop)
		_, err := r.srv.InitChannel("/bad/{how}", func(ctx context.Context, ch channels.Name, o *server.ChannelOptions) error {
			o.Persistent = true
			switch bayeux.Param(ctx, "how") {
			case "refuses":
				return &bayeux.Error{Args: "no_such_room"}
			case "fails":
				return errors.New("a secret")
			case "panics":
				panic("a secret")
			case "blocks":
				<-stop
			}
			return nil
		})
		require.NoError(t, err)
		for how, why := range map[string]string{
			"refuses": "no_such_room", "fails": "channel_not_initialised", "panics": "channel_not_initialised", "blocks": "channel_not_initialised",
		} {
			u, ch := r.hello("").connect(), "/bad/"+how
			blocked := u.later(strings.ReplaceAll(`[{"channel":"CH","clientId":"$","id":"p","data":1}]`, "CH", ch))
			synctest.Wait()
			start := time.Now()
			require.Contains(t, u.publish("/bad/good", "1").Body, `"successful":true`)
			soon(t, 0, time.Since(start))
			same(t, `[{"channel":"`+ch+`","id":"p","successful":false,"error":"403:`+why+`:channel_create_denied"}]`, (<-blocked).Messages)
			same(t, `[{"channel":"/meta/subscribe","id":"s","subscription":"`+ch+`","successful":false,"error":"403:`+why+`:create_denied"}]`,
				u.send(subscribing("subscribe", `"`+ch+`"`)).Messages)
			require.Error(t, r.srv.Publish(t.Context(), ch, 1))
			require.Error(t, r.srv.Configure(ch, server.ChannelOptions{}))
			_, err := r.srv.CreateChannel(ch, nil)
			require.Error(t, err)
			_, err = r.srv.Listen(ch, func(context.Context, bayeux.Session, *bayeux.Message) error { return nil })
			require.Error(t, err)
			require.False(t, r.srv.HasChannel(ch))
		}
	})
}

// Channels that come to exist, and that are swept, are told of, each in turn.
func TestOnChannel(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		u := r.hello("").connect()
		u.publish("/old", "1")
		remove := r.srv.OnChannel(
			func(ch channels.Name) { d.note("%s created", ch) },
			func(ch channels.Name) { d.note("%s removed", ch) },
		)
		r.srv.OnChannel(nil, nil)
		told := func(want ...string) {
			t.Helper()
			synctest.Wait()
			require.ElementsMatch(t, want, d.take())
		}
		u.subscribe("/a")
		u.publish("/b", "1")
		u.publish("/b", "1")
		_, err := r.srv.Listen("/c", func(context.Context, bayeux.Session, *bayeux.Message) error { return nil })
		require.NoError(t, err)
		told("/a created", "/b created", "/c created")
		time.Sleep(2100 * time.Millisecond)
		told("/old removed", "/b removed")
		u.send(leave)
		time.Sleep(2100 * time.Millisecond)
		told("/a removed")
		r.publish("/b", 1)
		told("/b created")
		remove()
		r.publish("/d", 1)
		told()
	})
}

// A listener that blocks or panics is told of one channel; others of others.
func TestListenersToChannelsHarmNobody(t *testing.T) {
	bubble(t, func(c *server.Config) { c.ExtensionTimeout = time.Second }, func(t *testing.T, r *rig) {
		var d diary
		stop := make(chan struct{})
		r.srv.OnChannel(func(ch channels.Name) {
			switch ch {
			case "/blocks":
				<-stop
			case "/panics":
				panic("a secret")
			}
		}, nil)
		r.srv.OnChannel(func(ch channels.Name) { d.note("%s", ch) }, nil)
		start := time.Now()
		for _, ch := range []string{"/panics", "/blocks", "/well"} {
			r.publish(ch, 1)
		}
		synctest.Wait()
		soon(t, 0, time.Since(start))
		require.ElementsMatch(t, []string{"/panics", "/well"}, d.take())
		time.Sleep(1100 * time.Millisecond)
		require.Equal(t, []string{"/blocks"}, d.take())
		close(stop)
	})
}

// Many channels begin to exist and are swept while many goroutines use them:
// each is told of in turn, and in the end as it is.
func TestChannelsUnderRaces(t *testing.T) {
	bubble(t, option("sweepPeriod", "10"), func(t *testing.T, r *rig) {
		var mu sync.Mutex
		told := map[channels.Name][]bool{}
		note := func(is bool) func(channels.Name) {
			return func(ch channels.Name) {
				mu.Lock()
				defer mu.Unlock()
				told[ch] = append(told[ch], is)
			}
		}
		r.srv.OnChannel(note(true), note(false))
		var all sync.WaitGroup
		for w := range 4 {
			all.Go(func() {
				for i := range 200 {
					ch := "/c/" + string(rune('a'+(w+i)%5))
					if i%3 == 0 {
						time.Sleep(time.Duration(i%7) * 10 * time.Millisecond)
					}
					assert.NoError(t, r.srv.Publish(t.Context(), ch, i))
				}
			})
		}
		all.Wait()
		synctest.Wait()
		for ch, is := range told {
			for i, exists := range is {
				require.Equal(t, i%2 == 0, exists, ch)
			}
			require.Equal(t, r.srv.HasChannel(string(ch)), is[len(is)-1], ch)
		}
		require.Len(t, told, 5)
	})
}
