package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/halleypush/halley/bayeux"
)

// Server is what the demo needs of a server; *server.Server has it.
type Server interface {
	Listen(channel string, l bayeux.Listener) (remove func(), err error)
	OnSession(begin func(bayeux.Session), end func(s bayeux.Session, reason string)) (remove func())
	Session(id string) (bayeux.Session, bool)
	Publish(ctx context.Context, channel string, data any) error
}

// demo is the rooms on one server.
type demo struct {
	srv Server
	// epoch tells pages that the server is another one, which has forgotten
	// what the rooms held.
	epoch   string
	members *members
	chat    *chat
	sketch  *sketch
	feed    *feed
}

// Start opens the rooms on a server and begins the feed, which ends with ctx or
// with stop. stop closes the rooms and waits for the feed's goroutine; it may be
// called more than once.
func Start(ctx context.Context, srv Server) (stop func(), err error) {
	d := &demo{
		srv: srv, epoch: rand.Text()[:8],
		members: newMembers(), chat: &chat{}, sketch: newSketch(), feed: newFeed(),
	}
	var undo []func()
	lasting := context.WithoutCancel(ctx) // People leave after the server was told to stop, too.
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	stop = func() {
		cancel()
		running.Wait()
		for _, f := range undo {
			f()
		}
	}
	for channel, listener := range map[string]bayeux.Listener{
		"/demo/chat":         d.onChat,
		"/demo/sketch":       d.onSketch,
		"/demo/cursor":       d.onCursor,
		"/service/demo/join": d.onJoin,
		"/service/demo/echo": d.onEcho,
	} {
		remove, err := srv.Listen(channel, listener)
		if err != nil {
			stop()
			return nil, fmt.Errorf("demo: %w", err)
		}
		undo = append(undo, remove)
	}
	undo = append(undo, srv.OnSession(nil, func(s bayeux.Session, _ string) { d.leave(lasting, s) }))
	running.Go(func() { d.feed.run(ctx, srv) })
	return stop, nil
}

// refuse answers what a client sent and the demo cannot use.
func refuse(text string) error { return &bayeux.Error{Code: 400, Text: text} }

// rewrite puts data in the place of what the client sent.
func rewrite(m *bayeux.Message, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return err
	}
	m.Data = raw
	return nil
}

// welcome is what a page gets when it has joined.
type welcome struct {
	Epoch string `json:"epoch"`
	You   member `json:"you"`
	// Key makes the page the same member again in its next session.
	Key     string           `json:"key"`
	Lines   []line           `json:"lines"`
	Strokes []stroke         `json:"strokes"`
	Feed    map[string][]int `json:"feed"`
	// Every is the feed's pace in milliseconds.
	Every int64 `json:"every"`
}

// onJoin makes the session a member, or renames it, and hands out what the
// rooms hold.
func (d *demo) onJoin(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
	var wish struct {
		Name string `json:"name"`
		Key  string `json:"key"`
	}
	if from == nil || json.Unmarshal(m.Data, &wish) != nil {
		return refuse("want an object with a name")
	}
	who, change := d.members.join(from.ID(), wish.Name, wish.Key)
	// A session that ended meanwhile has left before it joined.
	if _, alive := d.srv.Session(from.ID()); !alive {
		left, _ := d.members.leave(from.ID())
		if change.Kind == "join" {
			return nil // Nobody has heard of it.
		}
		return d.srv.Publish(ctx, membersChannel, left)
	}
	err := from.Deliver(ctx, m.Channel, welcome{
		Epoch: d.epoch, You: who, Key: who.key, Lines: d.chat.lines(), Strokes: d.sketch.all(),
		Feed: d.feed.history(), Every: feedPace.Milliseconds(),
	})
	if err != nil {
		return err
	}
	return d.srv.Publish(ctx, membersChannel, change)
}

func (d *demo) leave(ctx context.Context, s bayeux.Session) {
	if change, was := d.members.leave(s.ID()); was {
		_ = d.srv.Publish(ctx, membersChannel, change) // Refused only while the server stops.
	}
}

// onEcho sends a small message back to where it came from.
func (d *demo) onEcho(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
	if from == nil || len(m.Data) > 256 {
		return refuse("want at most 256 bytes")
	}
	return from.Deliver(ctx, m.Channel, m.Data)
}
