package bayeuxclient_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

// A client subscribes, publishes and gets its own message back.
func Example() {
	srv, err := server.New(server.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	web := httptest.NewServer(srv)
	defer web.Close()
	defer func() { _ = srv.Shutdown(context.Background()) }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := bayeuxclient.Dial(ctx, web.URL, bayeuxclient.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	received := make(chan bayeux.Raw)
	_, err = c.Subscribe(ctx, "/chat/**", func(m *bayeux.Message) { received <- m.Data })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("published:", c.Publish(ctx, "/chat/demo", map[string]string{"text": "hello"}))
	fmt.Println("received:", string(<-received))
	fmt.Println("farewell:", c.Disconnect(ctx))
	// Output:
	// published: <nil>
	// received: {"text":"hello"}
	// farewell: <nil>
}

// Several messages leave in one array, each with its own answer.
func ExampleClient_Batch() {
	srv, err := server.New(server.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	web := httptest.NewServer(srv)
	defer web.Close()
	defer func() { _ = srv.Shutdown(context.Background()) }()

	c, err := bayeuxclient.Dial(context.Background(), web.URL, bayeuxclient.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()
	var results []*bayeuxclient.Result
	err = c.Batch(context.Background(), func(b *bayeuxclient.Batch) {
		for n := range 3 {
			results = append(results, b.Publish("/numbers", n))
		}
	})
	fmt.Println(err)
	for _, r := range results {
		fmt.Println(r.Err())
	}
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// <nil>
}
