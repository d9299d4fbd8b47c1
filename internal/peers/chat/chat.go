// Package chat is the chat of docs/FIXTURES.md by the public API alone, to copy.
package chat

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/filter"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/bayeux/service"
	"github.com/halleypush/halley/channels"
)

const limit = 1000 // of rooms, and of names in each: clients choose them

type chat struct {
	srv     *server.Server
	valid   *regexp.Regexp // channels of rooms
	telling sync.Mutex     // so that the names published last are the newest
	mu      sync.Mutex
	rooms   map[string][]seat // by channel, in the order of joining; mu guards the map, a slice does not change
}

type seat struct {
	name string
	who  bayeux.Session
}

// Install puts the chat on a server whose policy asks these authorizers.
func Install(srv *server.Server, policy *bayeux.Authorizers) error {
	c := &chat{srv: srv, valid: regexp.MustCompile(`^/chat/[A-Za-z0-9_-]+$`), rooms: map[string][]seat{}}
	srv.OnSession(nil, func(s bayeux.Session, _ string) { c.leave(s) })
	clean := filter.Listener(filter.Refuse(regexp.MustCompile("dang")), filter.NoMarkup())
	failure := func(_ func(), err error) error { return err }
	return errors.Join(
		failure(policy.Add("/**", bayeux.GrantOnly())), // nothing that is not granted below
		failure(policy.Add("/chat/*", c.authorize)),
		failure(policy.Add("/members/*", bayeux.GrantOnly(bayeux.OperationCreate, bayeux.OperationSubscribe))),
		failure(policy.Add("/service/members", bayeux.GrantOnly(bayeux.OperationPublish))),
		failure(policy.Add("/service/privatechat", bayeux.GrantOnly(bayeux.OperationPublish))),
		failure(policy.Add("/service/echo", bayeux.GrantOnly(bayeux.OperationPublish))),
		failure(srv.Listen("/chat/*", clean)),
		failure(srv.Listen("/service/members", clean)),
		failure(srv.Listen("/service/privatechat", clean)),
		failure(service.Listen(srv, "/service/members", c.join)),
		failure(service.Listen(srv, "/service/privatechat", c.whisper)),
		failure(service.RemoteCall(srv, "echo", echo)),
	)
}

// authorize lets everybody listen in a room, and its members speak.
func (c *chat) authorize(_ context.Context, op bayeux.Operation, room channels.Name, s bayeux.Session, _ *bayeux.Message) bayeux.Verdict {
	if op == bayeux.OperationPublish && !slices.ContainsFunc(c.in(string(room)), held(s)) {
		return bayeux.Refuse("not_a_member")
	}
	return bayeux.Grant()
}

func (c *chat) in(room string) []seat {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rooms[room]
}

func held(by bayeux.Session) func(seat) bool {
	return func(t seat) bool { return t.who.ID() == by.ID() }
}

func (c *chat) join(ctx context.Context, from bayeux.Session, in service.Lenient[struct{ Room, User string }]) error {
	room, name := in.Value.Room, in.Value.User
	if name == "" || !c.valid.MatchString(room) {
		return bayeux.Drop
	}
	c.mu.Lock()
	seats := c.rooms[room]
	_, there := c.srv.Session(from.ID()) // if it ends from now on, leave comes later
	i := slices.IndexFunc(seats, func(t seat) bool { return t.name == name })
	if i < 0 && there && len(seats) < limit && (len(seats) > 0 || len(c.rooms) < limit) {
		i, seats = len(seats), append(slices.Clip(seats), seat{name, from})
		c.rooms[room] = seats
	}
	c.mu.Unlock()
	if i < 0 {
		return bayeux.Drop
	}
	if !held(from)(seats[i]) {
		return from.Deliver(ctx, "/service/members", map[string]string{"room": room, "user": name, "refused": "name_taken"})
	}
	return c.announce(ctx, room)
}

func (c *chat) leave(s bayeux.Session) {
	var left []string
	c.mu.Lock()
	for room, seats := range c.rooms {
		if slices.ContainsFunc(seats, held(s)) {
			c.rooms[room], left = slices.DeleteFunc(slices.Clone(seats), held(s)), append(left, room)
		}
	}
	maps.DeleteFunc(c.rooms, func(_ string, seats []seat) bool { return len(seats) == 0 })
	c.mu.Unlock()
	for _, room := range left {
		_ = c.announce(context.Background(), room) // fails only where the application refuses it
	}
}

// announce publishes the names in a room.
func (c *chat) announce(ctx context.Context, room string) error {
	c.telling.Lock()
	defer c.telling.Unlock()
	seats := c.in(room)
	names := make([]string, len(seats))
	for i, t := range seats {
		names[i] = t.name
	}
	return c.srv.Publish(ctx, strings.Replace(room, "/chat/", "/members/", 1), names)
}

func (c *chat) whisper(ctx context.Context, from bayeux.Session, in service.Lenient[struct{ Room, Chat, Peer string }]) error {
	seats, peers := c.in(in.Value.Room), strings.Split(in.Value.Peer, ",")
	own := slices.IndexFunc(seats, held(from))
	if own < 0 || in.Value.Chat == "" || in.Value.Peer == "" {
		return bayeux.Drop
	}
	receivers := map[string]bayeux.Session{}
	for _, t := range seats {
		if slices.Contains(peers, t.name) {
			receivers[t.who.ID()], receivers[from.ID()] = t.who, from
		}
	}
	for _, receiver := range receivers { // an error is a session that has ended
		_ = receiver.Deliver(ctx, in.Value.Room, map[string]string{"user": seats[own].name, "chat": in.Value.Chat, "scope": "private"})
	}
	return nil
}

// echo answers with its data, and fails where that is an empty string.
func echo(_ context.Context, _ bayeux.Session, in bayeux.Raw) (bayeux.Raw, error) {
	if string(in) == `""` {
		return nil, service.Fail(map[string]string{"reason": "nothing_to_echo"})
	}
	return in, nil
}
