package server_test

import (
	"context"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// Prices are conflated for whoever is slow; a listener hears of it and lets one
// session have more room.
func ExampleServer_OnQueueMaxed() {
	srv, err := server.New(server.Config{
		Options: server.Options{"maxQueue": "500", "slowConsumer": "drop-oldest"},
		Channels: map[string]server.ChannelOptions{
			"/price/*": {SlowConsumer: bayeux.SlowConflate},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()
	remove := srv.OnQueueMaxed(func(_ context.Context, q server.QueueMaxed) {
		if backlog, ok := q.Session.(bayeux.Backlog); ok && q.Session.User() == "auditor" {
			backlog.SetMaxQueue(50_000, 64<<20)
		}
	})
	defer remove()
}
