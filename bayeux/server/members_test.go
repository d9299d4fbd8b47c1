package server_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// Who is subscribed to what, asked from both sides.
func TestMembers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		a, b := r.hello("").connect().subscribe("/a"), r.hello("").connect().subscribe("/a")
		a.subscribe("/a/**").subscribe("/service/x")
		require.Equal(t, sortedIDs(a, b), idsOf(r.srv.SubscribersOf("/a")))
		require.Equal(t, sortedIDs(a), idsOf(r.srv.SubscribersOf("/a/**")))
		for _, ch := range []string{"/a/b", "/b", "/service/x", "/meta/connect", "no channel"} {
			require.Empty(t, r.srv.SubscribersOf(ch), ch)
		}
		s := wireSession(a)
		require.Equal(t, []channels.Name{"/a", "/a/**"}, s.(server.Membership).Subscriptions())
		require.Subset(t, r.srv.Channels(), []channels.Name{"/a", "/a/**", "/service/x"})
		require.IsIncreasing(t, r.srv.Channels())
		require.NoError(t, s.Disconnect(t.Context()))
		require.Empty(t, s.(server.Membership).Subscriptions())
		require.Equal(t, sortedIDs(b), idsOf(r.srv.SubscribersOf("/a")))
	})
}

func sortedIDs(users ...*user) []string {
	var sessions []bayeux.Session
	for _, u := range users {
		sessions = append(sessions, wireSession(u))
	}
	return idsOf(sessions)
}

// Server code subscribes a session, whatever the policy says, and unsubscribes
// it; the client is told nothing, and lives no longer for it ([R-EX-3]).
func TestServerSubscribes(t *testing.T) {
	deny := wireWith(policyFuncs{subscribe: func(bayeux.Session) error { return bayeux.Deny("no") }})
	bubble(t, deny, func(t *testing.T, r *rig) {
		ctx := t.Context()
		u := r.hello("").connect()
		var told []string
		_, err := r.srv.OnSubscription("/**", func(_ context.Context, s bayeux.Session, ch channels.Name, m *bayeux.Message) {
			require.Nil(t, m)
			told = append(told, "+"+string(ch))
		}, func(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) {
			told = append(told, "-"+string(ch))
		})
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, r.srv.Subscribe(ctx, u.id, "/a/*"))
		}
		held := wireHold(u)
		r.publish("/a/b", 1)
		same(t, `[{"channel":"/a/b","data":1},`+wireHeldOK[1:], wireAnswered(t, held).Messages)
		for range 2 {
			require.NoError(t, r.srv.Unsubscribe(ctx, u.id, "/a/*"))
		}
		synctest.Wait()
		require.Equal(t, []string{"+/a/*", "-/a/*"}, told)
		r.publish("/a/b", 2)
		require.Len(t, u.send(connectNow).Messages, 1, "nothing came")
		for range 5 { // its own expiry is 3 s after the connect
			time.Sleep(600 * time.Millisecond)
			_ = r.srv.Subscribe(ctx, u.id, "/a/*")
		}
		time.Sleep(time.Second)
		require.False(t, wireAlive(u))
	})
}

// Subscribing in the listener to the session's beginning and in those to its
// subscriptions holds nobody up.
func TestServerSubscribesInListeners(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		r.srv.OnSession(func(s bayeux.Session) { require.NoError(t, r.srv.Subscribe(t.Context(), s.ID(), "/all")) }, nil)
		_, err := r.srv.OnSubscription("/room/*", func(ctx context.Context, s bayeux.Session, ch channels.Name, _ *bayeux.Message) {
			require.NoError(t, r.srv.Subscribe(ctx, s.ID(), string(ch)+"/more"))
		}, nil)
		require.NoError(t, err)
		start := time.Now()
		u := r.hello("").connect().subscribe("/room/1")
		require.Zero(t, time.Since(start))
		require.Equal(t, []channels.Name{"/all", "/room/1", "/room/1/more"}, wireSession(u).(server.Membership).Subscriptions())
	})
}

func TestServerSubscribeErrors(t *testing.T) {
	bubble(t, option("maxSubscriptions", "1"), func(t *testing.T, r *rig) {
		ctx := t.Context()
		u := r.hello("").connect()
		_, err := r.srv.InitChannel("/closed", func(context.Context, channels.Name, *server.ChannelOptions) error { return bayeux.Deny("closed") })
		require.NoError(t, err)
		for _, ch := range []string{"/service/x", "/meta/connect", "bad"} {
			require.ErrorIs(t, r.srv.Subscribe(ctx, u.id, ch), server.ErrNotBroadcast, ch)
			require.ErrorIs(t, r.srv.Unsubscribe(ctx, u.id, ch), server.ErrNotBroadcast, ch)
		}
		var refused *bayeux.Error
		require.ErrorAs(t, r.srv.Subscribe(ctx, u.id, "/closed"), &refused)
		require.Equal(t, "403:closed:create_denied", refused.Error())
		require.NoError(t, r.srv.Subscribe(ctx, u.id, "/a"))
		require.ErrorAs(t, r.srv.Subscribe(ctx, u.id, "/b"), &refused)
		require.Equal(t, "403:subscriptions_limit:subscribe_denied", refused.Error())
		require.NoError(t, r.srv.Unsubscribe(ctx, u.id, "/nowhere"))
		require.False(t, r.srv.HasChannel("/nowhere"))
		require.NoError(t, wireSession(u).Disconnect(ctx))
		require.ErrorIs(t, r.srv.Subscribe(ctx, u.id, "/a"), server.ErrNoSession)
		require.ErrorIs(t, r.srv.Unsubscribe(ctx, u.id, "/a"), server.ErrNoSession)
		require.ErrorIs(t, r.srv.PublishFrom(ctx, u.id, &bayeux.Message{Channel: "/a"}), server.ErrNoSession)
	})
}

// Sessions that come and go while server code subscribes them leave nothing
// behind in the router.
func TestServerSubscribesWhileSessionsEnd(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var all sync.WaitGroup
		for range 50 {
			u := r.hello("").connect()
			s := wireSession(u)
			all.Go(func() { _ = r.srv.Subscribe(t.Context(), u.id, "/a") })
			all.Go(func() { _ = s.Disconnect(t.Context()) })
		}
		all.Wait()
		require.Zero(t, r.srv.Subscribers("/a"))
		require.Empty(t, r.srv.SubscribersOf("/a"))
	})
}

// What is published in the name of a session does not come back to it where
// publishers do not get their own messages ([R-PB-11]), and listeners see it as
// the publisher.
func TestPublishFrom(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		require.NoError(t, r.srv.Configure("/quiet", server.ChannelOptions{NoBroadcastToPublisher: true}))
		a, b := r.hello("").connect().subscribe("/quiet").subscribe("/loud"), r.hello("").connect().subscribe("/quiet")
		_, err := r.srv.Listen("/**", func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
			require.Equal(t, a.id, from.ID(), m.Channel)
			return nil
		})
		require.NoError(t, err)
		for _, ch := range []string{"/quiet", "/loud"} {
			require.NoError(t, r.srv.PublishFrom(t.Context(), a.id, &bayeux.Message{Channel: ch, Data: bayeux.Raw(`1`)}))
		}
		same(t, `[{"channel":"/loud","data":1}]`, a.send(connectNow).Messages[:1])
		same(t, `[{"channel":"/quiet","data":1}]`, b.send(connectNow).Messages[:1])
		require.ErrorIs(t, r.srv.PublishFrom(t.Context(), a.id, &bayeux.Message{Channel: "/service/x"}), server.ErrNotBroadcast)
	})
}
