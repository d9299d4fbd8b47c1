package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

// job says what an application is started for; times are in milliseconds.
type job struct {
	Client       string `json:"client"`
	URL          string `json:"url"`
	Transport    string `json:"transport"`
	Ack          bool   `json:"ack"`
	NetworkDelay int64  `json:"networkDelay"`
	Backoff      int64  `json:"backoff"`
	MaxBackoff   int64  `json:"maxBackoff"`
}

// event is what the application is told.
type event struct {
	Kind    string          `json:"kind"`
	Channel string          `json:"channel,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	OK      bool            `json:"ok,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// app is the application under test.
type app struct {
	ctx    context.Context //nolint:containedctx // the life of the application
	client *bayeuxclient.Client
	tell   func(event)
	work   sync.WaitGroup

	mu   sync.Mutex // held over a call, so that subscriptions change one after the other
	subs map[string]*bayeuxclient.Subscription
}

// start starts an application, which stop ends.
func start(j job, tell func(event)) (stop func(), err error) {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	ctx, cancel := context.WithCancel(context.Background())
	a := &app{ctx: ctx, tell: tell, subs: map[string]*bayeuxclient.Subscription{}}
	o := bayeuxclient.Options{
		RetryStart: true, Ack: j.Ack, OnState: a.state,
		MaxNetworkDelay: ms(j.NetworkDelay), Backoff: ms(j.Backoff), MaxBackoff: ms(j.MaxBackoff),
	}
	if j.Transport != "any" {
		o.Transports = []string{j.Transport}
	}
	if a.client, err = bayeuxclient.New(j.URL, o); err != nil {
		cancel()
		return nil, err
	}
	a.work.Go(a.begin)
	return func() {
		cancel()
		_ = a.client.Close()
		<-a.client.Done()
		a.work.Wait()
	}, nil
}

// begin shakes hands and subscribes.
func (a *app) begin() {
	if a.client.Start(a.ctx) != nil {
		return // the state tells it
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, channel := range []string{"/bx/control", "/bx/data"} {
		a.subscribe(channel)
	}
}

func (a *app) state(s bayeuxclient.State, reason error) {
	kind := ""
	switch s {
	case bayeuxclient.StateConnected, bayeuxclient.StateRehandshaken:
		kind = "up"
	case bayeuxclient.StateBroken:
		kind = "down"
	case bayeuxclient.StateDisconnected:
		kind = "end"
	case bayeuxclient.StateIdle, bayeuxclient.StateConnecting:
		return
	}
	a.tell(event{Kind: kind, Error: text(reason)})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// subscribe tries until the server has agreed or refused. The caller holds mu.
func (a *app) subscribe(channel string) {
	for {
		sub, err := a.client.Subscribe(a.ctx, channel, a.message)
		a.tell(event{Kind: "subscribed", Channel: channel, OK: err == nil, Error: text(err)})
		if err == nil {
			a.subs[channel] = sub
			return
		}
		if _, refused := errors.AsType[*bayeux.Error](err); refused {
			return
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-a.client.Done():
			return
		}
	}
}

func (a *app) message(m *bayeux.Message) {
	if m.Channel != "/bx/control" {
		a.tell(event{Kind: "message", Channel: m.Channel, Data: m.Data})
		return
	}
	var c struct {
		Do      string          `json:"do"`
		Channel string          `json:"channel"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(m.Data, &c); err != nil {
		a.tell(event{Kind: "error", Error: fmt.Sprintf("control message %s: %v", m.Data, err)})
		return
	}
	a.work.Go(func() {
		switch c.Do {
		case "publish":
			err := a.client.Publish(a.ctx, c.Channel, c.Data)
			a.tell(event{Kind: "published", Channel: c.Channel, Data: c.Data, OK: err == nil, Error: text(err)})
		case "subscribe":
			a.mu.Lock()
			defer a.mu.Unlock()
			a.subscribe(c.Channel)
		case "unsubscribe":
			a.mu.Lock()
			defer a.mu.Unlock()
			if sub := a.subs[c.Channel]; sub != nil {
				_ = sub.Unsubscribe(a.ctx)
			}
		case "disconnect":
			_ = a.client.Disconnect(a.ctx)
		}
	})
}
