package server_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// started is a server for an example; stop ends it. The zero Config has no
// errors.
func started() (srv *server.Server, stop func()) {
	srv, _ = server.New(server.Config{})
	return srv, func() { _ = srv.Shutdown(context.Background()) }
}

// A template's parameters reach the listener, and what a wildcard stands for.
func ExampleServer_Listen_parameters() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = srv.Listen("/room/{id}", func(ctx context.Context, _ bayeux.Session, m *bayeux.Message) error {
		fmt.Println("room", bayeux.Param(ctx, "id"), "hears", string(m.Data))
		return nil
	})
	_, _ = srv.Listen("/news/**", func(ctx context.Context, _ bayeux.Session, m *bayeux.Message) error {
		fmt.Println("news of", bayeux.Param(ctx, channels.Wild))
		return nil
	})
	_ = srv.Publish(ctx, "/room/7", "hello")
	_ = srv.Publish(ctx, "/news/sport/chess", "mate")
	// Output:
	// room 7 hears "hello"
	// news of sport/chess
}

// A listener may delete a message, refuse it with a reason, or change it for
// those who come after it.
func ExampleServer_Listen_veto() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = srv.Listen("/chat/*", func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		switch string(m.Data) {
		case `"spam"`:
			return bayeux.Drop
		case `"late"`:
			return &bayeux.Error{Code: 403, Args: "closed", Text: "publish_denied"}
		}
		m.Data = bayeux.Raw(`"heard"`)
		return nil
	})
	_, _ = srv.Listen("/chat/1", func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		fmt.Println("next:", string(m.Data))
		return nil
	})
	for _, data := range []string{"spam", "late", "hello"} {
		fmt.Println(srv.Publish(ctx, "/chat/1", data))
	}
	// Output:
	// 404::message_deleted
	// 403:closed:publish_denied
	// next: "heard"
	// <nil>
}

// Listeners of meta channels hear what clients ask for, before the server acts.
func ExampleServer_Listen_meta() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = srv.Listen("/meta/subscribe", func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		fmt.Println("somebody asks for", string(m.Subscription))
		return nil
	})
	client, _ := srv.NewLocal(ctx, nil)
	defer client.Close(ctx)
	_, _ = client.Subscribe(ctx, "/news", func(context.Context, *bayeux.Message) {})
	// Output: somebody asks for "/news"
}

// A weak listener does not keep its channel from being swept.
func ExampleServer_ListenWeak() {
	srv, stop := started()
	defer stop()

	ignore := func(context.Context, bayeux.Session, *bayeux.Message) error { return nil }
	_, _ = srv.Listen("/kept", ignore)
	_, _ = srv.ListenWeak("/passing", ignore)
	fmt.Println(srv.HasChannel("/kept"), srv.HasChannel("/passing"))
	// Output: true false
}

// A channel is made once, whoever asks first, and set up before anybody can see
// it.
func ExampleServer_CreateChannel() {
	srv, stop := started()
	defer stop()

	prices := func(_ context.Context, ch channels.Name, o *server.ChannelOptions) error {
		fmt.Println("set up", ch)
		o.Persistent, o.Lazy = true, true
		return nil
	}
	for range 2 {
		created, err := srv.CreateChannel("/prices", prices)
		fmt.Println(created, err)
	}
	// Output:
	// set up /prices
	// true <nil>
	// false <nil>
}

// Every channel that matches is set up when it comes to exist, also by a
// client's subscription or message; one that may not be is refused.
func ExampleServer_InitChannel() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = srv.InitChannel("/room/{id}", func(ctx context.Context, ch channels.Name, o *server.ChannelOptions) error {
		if bayeux.Param(ctx, "id") == "13" {
			return &bayeux.Error{Args: "no_such_room"}
		}
		o.NoBroadcastToPublisher = true
		return nil
	})
	client, _ := srv.NewLocal(ctx, nil)
	defer client.Close(ctx)
	fmt.Println(client.Publish(ctx, "/room/12", "hello"))
	fmt.Println(client.Publish(ctx, "/room/13", "hello"))
	// Output:
	// <nil>
	// local publish to "/room/13": 403:no_such_room:channel_create_denied
}

// Channels that come to exist, and that are swept.
func ExampleServer_OnChannel() {
	srv, stop := started()
	defer stop()

	var told sync.WaitGroup
	told.Add(1)
	srv.OnChannel(func(ch channels.Name) {
		fmt.Println(ch, "created")
		told.Done()
	}, func(ch channels.Name) { fmt.Println(ch, "removed") })
	_ = srv.Publish(context.Background(), "/news", "fine weather")
	told.Wait()
	// Output: /news created
}

// A session begins, and ends with a reason; the reply to its handshake waits for
// what begin does.
func ExampleServer_OnSession() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	var ended sync.WaitGroup
	ended.Add(1)
	srv.OnSession(
		func(s bayeux.Session) { s.Attributes().Set("plan", "free") },
		func(s bayeux.Session, reason string) {
			fmt.Println("ended:", reason, "with the plan", s.Attributes().Get("plan"))
			ended.Done()
		},
	)
	client, _ := srv.NewLocal(ctx, nil)
	fmt.Println("plan:", client.Session().Attributes().Get("plan"))
	client.Close(ctx)
	ended.Wait()
	// Output:
	// plan: free
	// ended: disconnect with the plan free
}

// Who subscribes gets the state of things, ahead of the reply.
func ExampleServer_OnSubscription() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = srv.OnSubscription("/room/{id}", func(ctx context.Context, s bayeux.Session, ch channels.Name, _ *bayeux.Message) {
		_ = s.Deliver(ctx, string(ch), "welcome to room "+bayeux.Param(ctx, "id"))
	}, nil)
	client, _ := srv.NewLocal(ctx, nil)
	got := make(chan string)
	_, _ = client.Subscribe(ctx, "/room/7", func(_ context.Context, m *bayeux.Message) { got <- string(m.Data) })
	fmt.Println(<-got)
	client.Close(ctx)
	// Output: "welcome to room 7"
}

// A user comes with the first of his sessions and goes with the last.
func ExampleServer_OnUser() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	told := make(chan string)
	srv.OnUser(func(user string) { told <- user + " came" }, func(user string) { told <- user + " went" })

	phone, _ := srv.NewLocal(ctx, nil)
	desk, _ := srv.NewLocal(ctx, nil)
	for _, s := range []*server.Local{phone, desk} {
		if id, ok := s.Session().(bayeux.Identity); ok { // a policy does that during the handshake
			id.SetUser("ann")
		}
	}
	fmt.Println(<-told)
	phone.Close(ctx)
	fmt.Println(len(srv.SessionsOf("ann")), srv.Users())
	desk.Close(ctx)
	fmt.Println(<-told)
	// Output:
	// ann came
	// 1 [ann]
	// ann went
}

// A message for a user reaches all of his sessions.
func ExampleServer_DeliverToUser() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	var got sync.WaitGroup
	got.Add(2)
	for range 2 {
		s, _ := srv.NewLocal(ctx, func(_ context.Context, m *bayeux.Message) {
			fmt.Println(m.Channel, string(m.Data))
			got.Done()
		})
		if id, ok := s.Session().(bayeux.Identity); ok {
			id.SetUser("ann")
		}
	}
	n, err := srv.DeliverToUser(ctx, "ann", "/private", "dinner is ready")
	got.Wait()
	fmt.Println(n, err)
	fmt.Println(srv.DisconnectUser(ctx, "ann"), len(srv.SessionsOf("ann")))
	// Output:
	// /private "dinner is ready"
	// /private "dinner is ready"
	// 2 <nil>
	// 2 0
}

// A local session is a client in the server's own program.
func ExampleLocal() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	clock, err := srv.NewLocal(ctx, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer clock.Close(ctx)
	got := make(chan string)
	unsubscribe, err := clock.Subscribe(ctx, "/time/*", func(ctx context.Context, m *bayeux.Message) {
		got <- bayeux.Param(ctx, channels.Wild) + " " + string(m.Data)
	})
	fmt.Println(err)
	_ = clock.Publish(ctx, "/time/utc", "12:00")
	fmt.Println(<-got)
	fmt.Println(unsubscribe(ctx), srv.Subscribers("/time/*"))
	// Output:
	// <nil>
	// utc "12:00"
	// <nil> 0
}

// What is queued for a session in a batch leaves together.
func Example_batch() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = srv.Listen("/service/history", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		s, ok := from.(bayeux.Batching)
		if !ok {
			return nil
		}
		s.Batch(func() {
			for i := range 3 {
				_ = from.Deliver(ctx, m.Channel, i)
			}
			fmt.Println("queued")
		})
		return nil
	})
	var got sync.WaitGroup
	got.Add(3)
	client, _ := srv.NewLocal(ctx, func(_ context.Context, m *bayeux.Message) {
		fmt.Println(string(m.Data))
		got.Done()
	})
	_ = client.Publish(ctx, "/service/history", nil)
	got.Wait()
	client.Close(ctx)
	// Output:
	// queued
	// 0
	// 1
	// 2
}
