package migration_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// password is a server-side extension as Faye's are: it sets an error, and takes
// what is secret out of what others get.
type password struct{ secret string }

func (x password) Incoming(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	if strings.HasPrefix(m.Channel, channels.MetaPrefix) {
		return nil
	}
	if given, _ := m.ExtMember("password"); string(given) != `"`+x.secret+`"` {
		return &bayeux.Error{Code: 403, Args: m.Channel, Text: "password_required"} // message.error = …
	}
	m.SetExt("password", nil) // delete message.ext.password
	return nil
}

func (password) Outgoing(context.Context, bayeux.Session, *bayeux.Message) error { return nil }

// bayeux.addExtension({incoming: …, outgoing: …}).
func Example_fayeExtension() {
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{password{secret: "pass"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	p := open(srv, "")
	p.subscribe("/news")
	fmt.Println(p.publish("/news", `"forged"`))
	fmt.Println(p.say(`{"channel":"/news","clientId":"$","data":"true","ext":{"password":"pass"}}`))
	// Output:
	// [{"channel":"/news","id":"1","successful":false,"error":"403:/news:password_required"}]
	// [{"channel":"/news","data":"true"},{"channel":"/news","successful":true}]
}

// bayeux.getClient() and bayeux.on(…).
func Example_fayeEvents() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	gone := make(chan struct{})
	srv.OnSession( // on('handshake', …) and on('disconnect', …)
		func(s bayeux.Session) { fmt.Println("handshake") },
		func(s bayeux.Session, reason string) { fmt.Println("disconnect"); close(gone) },
	)
	_, _ = srv.OnSubscription("/**", // on('subscribe', …) and on('unsubscribe', …)
		func(_ context.Context, s bayeux.Session, ch channels.Name, _ *bayeux.Message) {
			fmt.Println("subscribe", ch)
		},
		func(_ context.Context, s bayeux.Session, ch channels.Name, _ *bayeux.Message) {
			fmt.Println("unsubscribe", ch)
		},
	)
	_, _ = srv.Listen("/**", func(_ context.Context, from bayeux.Session, m *bayeux.Message) error { // on('publish', …)
		fmt.Println("publish", m.Channel, string(m.Data))
		return nil
	})

	p := open(srv, "")
	p.subscribe("/news")
	_ = srv.Publish(ctx, "/news", "hello") // getClient().publish
	p.say(`{"channel":"/meta/disconnect","clientId":"$"}`)
	<-gone
	// Output:
	// handshake
	// subscribe /news
	// publish /news "hello"
	// unsubscribe /news
	// disconnect
}
