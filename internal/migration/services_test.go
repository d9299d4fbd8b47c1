package migration_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/bayeux/service"
	"github.com/halleypush/halley/channels"
)

// chatService is what a class with @Service was: fields are what was injected.
type chatService struct {
	srv  *server.Server
	name string
}

func (c *chatService) start() error {
	if _, err := c.srv.Listen("/service/hello", c.hello); err != nil {
		return err
	}
	_, err := service.RemoteCall(c.srv, "length", c.length)
	return err
}

func (c *chatService) hello(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
	return from.Deliver(ctx, m.Channel, map[string]string{"greeting": "hello from " + c.name})
}

func (c *chatService) length(_ context.Context, _ bayeux.Session, text string) (int, error) {
	return len(text), nil
}

// A service is a type of one's own; nothing has to be derived from, annotated
// or scanned.
func Example_service() {
	srv, stop := started()
	defer stop()

	chat := &chatService{srv: srv, name: "Halley"}
	fmt.Println(chat.start())

	p := open(srv, "")
	fmt.Println(p.publish("/service/hello", `{}`))
	fmt.Println(p.publish("/service/length", `"seven letters"`))
	// Output:
	// <nil>
	// [{"channel":"/service/hello","data":{"greeting":"hello from Halley"}},{"channel":"/service/hello","id":"1","successful":true}]
	// [{"channel":"/service/length","id":"1","successful":true,"data":13},{"channel":"/service/length","id":"1","successful":true}]
}

// A service with a session of its own, which sees its own publications like
// everybody else's unless it looks the other way.
func Example_localSession() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	local, err := srv.NewLocal(ctx, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer local.Close(ctx)
	_, _ = srv.Listen("/members/**", func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
		if from != nil && from.ID() == local.Session().ID() {
			return nil // setSeeOwnPublishes(false)
		}
		fmt.Println(m.Channel, string(m.Data))
		return nil
	})
	_ = local.Publish(ctx, "/members/1", "from the service")
	_ = srv.Publish(ctx, "/members/2", "from elsewhere")
	// Output: /members/2 "from elsewhere"
}

// A service forwards what it was sent, in the name of the sender.
func Example_forward() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_ = srv.Configure("/chat", server.ChannelOptions{NoBroadcastToPublisher: true})
	_, _ = srv.Listen("/service/chat", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		return srv.PublishFrom(ctx, from.ID(), &bayeux.Message{Channel: "/chat", Data: m.Data})
	})
	sender, receiver := open(srv, ""), open(srv, "")
	for _, p := range []*page{sender, receiver} {
		_ = srv.Subscribe(ctx, p.id, "/chat")
	}
	fmt.Println(sender.publish("/service/chat", `"hello"`))
	fmt.Println(receiver.publish("/service/other", `1`))
	// Output:
	// [{"channel":"/service/chat","id":"1","successful":true}]
	// [{"channel":"/chat","data":"hello"},{"channel":"/service/other","id":"1","successful":true}]
}

// What a message holds, and what server code may put into one.
func Example_message() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = srv.Listen("/sales", func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
		var sale struct{ Item string }
		if err := json.Unmarshal(m.Data, &sale); err != nil {
			return &bayeux.Error{Code: 400, Text: "sale_expected"}
		}
		till, _ := m.ExtMember("till")
		fmt.Println(m.Channel, sale.Item, string(till), string(m.Field("shop")))
		return nil
	})
	m := &bayeux.Message{Channel: "/sales", Data: bayeux.Raw(`{"item":"tea"}`), Lazy: true}
	m.SetExt("till", bayeux.Raw(`7`))
	m.SetField("shop", bayeux.Raw(`"north"`))
	_ = srv.PublishMessage(ctx, m)
	fmt.Println(open(srv, "").publish("/sales", `"tea"`))
	// Output:
	// /sales tea 7 "north"
	// [{"channel":"/sales","id":"1","successful":false,"error":"400::sale_expected"}]
}

// price has a form of its own in JSON, as a JSON.Convertor or a Jackson
// serialiser would give it.
type price struct{ cents int }

func (p price) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `"%d.%02d"`, p.cents/100, p.cents%100), nil
}

func (p *price) UnmarshalJSON(data []byte) error {
	var whole, cents int
	if _, err := fmt.Sscanf(string(data), `"%d.%d"`, &whole, &cents); err != nil {
		return err
	}
	p.cents = 100*whole + cents
	return nil
}

// Types say how they look in JSON.
func Example_json() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	_, _ = service.Listen(srv, "/prices/{item}", func(ctx context.Context, _ bayeux.Session, in price) error {
		fmt.Println(bayeux.Param(ctx, "item"), in.cents)
		return nil
	})
	fmt.Println(srv.Publish(ctx, "/prices/tea", price{cents: 205}))
	// Output:
	// tea 205
	// <nil>
}

// Who is subscribed, and subscribing others.
func Example_members() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	ann, bob := open(srv, ""), open(srv, "")
	ann.subscribe("/room/1")
	fmt.Println(srv.Subscribe(ctx, bob.id, "/room/1"))
	fmt.Println(srv.Subscribers("/room/1"), len(srv.SubscribersOf("/room/1")))

	s, _ := srv.Session(ann.id)
	if m, ok := s.(server.Membership); ok {
		fmt.Println(m.Subscriptions())
	}
	fmt.Println(srv.Unsubscribe(ctx, ann.id, "/room/1"))
	for _, ch := range srv.Channels() {
		if ch.IsBroadcast() {
			fmt.Println(ch, srv.Subscribers(string(ch)))
		}
	}
	// Output:
	// <nil>
	// 2 2
	// [/room/1]
	// <nil>
	// /room/1 1
}

// What clients send to meta channels, and what becomes of their subscriptions.
func Example_metaListener() {
	srv, stop := started()
	defer stop()

	_, _ = srv.Listen("/meta/connect", func(_ context.Context, from bayeux.Session, _ *bayeux.Message) error {
		fmt.Println("a heartbeat by", from.Transport())
		return nil
	})
	_, _ = srv.OnSubscription("/**", func(_ context.Context, s bayeux.Session, ch channels.Name, _ *bayeux.Message) {
		fmt.Println("subscribed to", ch)
	}, func(_ context.Context, s bayeux.Session, ch channels.Name, _ *bayeux.Message) {
		fmt.Println("unsubscribed from", ch)
	})
	p := open(srv, "")
	p.poll()
	p.subscribe("/news")
	p.say(`{"channel":"/meta/unsubscribe","clientId":"$","subscription":"/news"}`)
	// Output:
	// a heartbeat by long-polling
	// subscribed to /news
	// unsubscribed from /news
}
