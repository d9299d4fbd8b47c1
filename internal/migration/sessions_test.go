package migration_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// tariffs gives each session the times of its tariff, as CometD's setTimeout
// and its like on ServerSession do.
type tariffs struct{ bayeux.DefaultPolicy }

func (tariffs) CanHandshake(_ context.Context, s bayeux.Session, m *bayeux.Message) error {
	if tariff, _ := m.ExtMember("tariff"); string(tariff) != `"slow"` {
		return nil
	}
	s.Attributes().Set("tariff", "slow")
	if times, ok := s.(bayeux.Timing); ok {
		times.SetTimeout(0)
		times.SetInterval(5 * time.Second)
		times.SetMaxInterval(time.Minute)
	}
	if delivery, ok := s.(bayeux.Delivery); ok {
		delivery.SetConnectOnly(true)
	}
	if echo, ok := s.(server.Echo); ok {
		echo.SetBroadcastToPublisher(false)
	}
	return nil
}

// A session's own times and ways of delivery.
func Example_sessionTimes() {
	srv, err := server.New(server.Config{Policy: tariffs{}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	p := open(srv, `,"ext":{"tariff":"slow"}`)
	s, _ := srv.Session(p.id)
	fmt.Println(s.Attributes().Get("tariff"), s.Transport(), s.ID() == p.id)
	fmt.Println(p.poll())
	// Output:
	// slow long-polling true
	// [{"channel":"/meta/connect","successful":true,"advice":{"reconnect":"retry","interval":5000,"timeout":0}}]
}

// Sessions that end: by whom, and why.
func Example_sessionEnds() {
	srv, stop := started()
	defer stop()
	ctx := context.Background()

	ended := make(chan string)
	srv.OnSession(nil, func(s bayeux.Session, reason string) {
		if reason == "expired" {
			reason += " (CometD: timeout is true)"
		}
		ended <- reason
	})
	one, two, three := open(srv, ""), open(srv, ""), open(srv, "")
	s, _ := srv.Session(one.id)
	_ = s.Disconnect(ctx)
	fmt.Println(<-ended)
	_ = srv.Remove(two.id)
	fmt.Println(<-ended)
	three.say(`{"channel":"/meta/disconnect","clientId":"$"}`)
	fmt.Println(<-ended, len(srv.Sessions()))
	// Output:
	// server
	// removed
	// disconnect 0
}

// quietHours keeps messages from sessions, one by one: what a
// ServerSession.MessageListener did by returning false.
type quietHours struct{ bayeux.Funcs }

func (quietHours) NewSession(s bayeux.Session) bayeux.Extension {
	return bayeux.Funcs{Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		switch {
		case !strings.HasPrefix(m.Channel, "/alerts/"):
		case s.Attributes().Get("quiet") == true:
			return bayeux.Drop
		default:
			m.Edit().SetExt("loud", bayeux.Raw(`true`)) // in this session's own copy
		}
		return nil
	}}
}

// An extension of each session.
func Example_sessionExtension() {
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{quietHours{}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()
	ctx := context.Background()

	p := open(srv, "")
	p.subscribe("/alerts/*")
	_ = srv.Publish(ctx, "/alerts/1", "fire")
	s, _ := srv.Session(p.id)
	s.Attributes().Set("quiet", true)
	_ = srv.Publish(ctx, "/alerts/2", "noise")
	fmt.Println(p.poll())
	// Output: [{"channel":"/alerts/1","ext":{"loud":true},"data":"fire"},{"channel":"/meta/connect","successful":true,"advice":{"reconnect":"retry","interval":0,"timeout":20000}}]
}

// stamp is a BayeuxServer.Extension: rcv, rcvMeta, send and sendMeta in one.
type stamp struct{}

func (stamp) Incoming(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
	switch {
	case strings.HasPrefix(m.Channel, channels.MetaPrefix): // rcvMeta
		m.Reply().SetNote(stamp{}, "noted") // for Outgoing, when the reply leaves
	case m.Data == nil: // rcv
		return bayeux.Drop // false in CometD: 404::message_deleted
	}
	return nil
}

func (stamp) Outgoing(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
	if note, ok := m.Note(stamp{}).(string); ok { // sendMeta
		m.SetExt("stamp", bayeux.Raw(`"`+note+`"`))
	}
	return nil
}

// An extension of the server.
func Example_extension() {
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{stamp{}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	p := open(srv, "")
	fmt.Println(p.subscribe("/a"))
	fmt.Println(p.publish("/a", "null"))
	fmt.Println(p.say(`{"channel":"/a","clientId":"$"}`))
	// Output:
	// [{"channel":"/meta/subscribe","subscription":"/a","successful":true,"ext":{"stamp":"noted"}}]
	// [{"channel":"/a","data":null},{"channel":"/a","id":"1","successful":true}]
	// [{"channel":"/a","successful":false,"error":"404::message_deleted"}]
}
