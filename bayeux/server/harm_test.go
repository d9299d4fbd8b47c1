package server_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// trouble is server code that blocks, panics or keeps its context, for messages
// to channels that say so.
type trouble struct {
	stop chan struct{}
	kept context.Context
}

func (x *trouble) with(ctx context.Context, m *bayeux.Message) {
	switch m.Channel {
	case "/sick/blocks":
		<-x.stop
	case "/sick/panics":
		panic("a secret")
	case "/sick/keeps":
		x.kept = ctx
	case "/sick/waits": // as long as it may
		<-ctx.Done()
	}
}

type troubledPolicy struct {
	bayeux.DefaultPolicy
	x *trouble
}

func (p troubledPolicy) CanPublish(ctx context.Context, _ bayeux.Session, _ channels.Name, m *bayeux.Message) error {
	p.x.with(ctx, m)
	return nil
}

// Server code that blocks keeps its own client waiting, one that panics costs
// its message, and a context that is kept has ended and costs nothing: listeners,
// policies, authorizers and extensions alike, on either carrier.
func TestServerCodeHarmsNobody(t *testing.T) {
	const (
		fine    = `"successful":true`
		deleted = `"successful":false,"error":"404::message_deleted"`
		denied  = `"successful":false,"error":"403:denied_by_security_policy:publish_denied"`
	)
	for name, c := range map[string]struct {
		set    func(x *trouble, c *server.Config)
		listen bool
		panics string
	}{
		"listener":  {listen: true, panics: deleted},
		"policy":    {set: func(x *trouble, c *server.Config) { c.Policy = troubledPolicy{x: x} }, panics: denied},
		"composed":  {set: func(x *trouble, c *server.Config) { c.Policy = bayeux.AllOf(troubledPolicy{x: x}) }, panics: denied},
		"extension": {set: func(x *trouble, c *server.Config) { c.Extensions = []bayeux.Extension{x.extension()} }, panics: deleted},
		"authorizer": {set: func(x *trouble, c *server.Config) {
			a := bayeux.NewAuthorizers(nil)
			_, _ = a.Add("/sick/*", func(ctx context.Context, op bayeux.Operation, _ channels.Name, _ bayeux.Session, m *bayeux.Message) bayeux.Verdict {
				if op == bayeux.OperationPublish {
					x.with(ctx, m)
				}
				return bayeux.Grant()
			})
			c.Policy = a
		}, panics: denied},
	} {
		t.Run(name, func(t *testing.T) {
			x := &trouble{stop: make(chan struct{})}
			change := func(cfg *server.Config) {
				cfg.ExtensionTimeout = time.Second
				if c.set != nil {
					c.set(x, cfg)
				}
			}
			bubble(t, change, func(t *testing.T, r *rig) {
				x.stop = make(chan struct{}) // in the bubble
				if c.listen {
					_, err := r.srv.Listen("/sick/*", func(ctx context.Context, _ bayeux.Session, m *bayeux.Message) error {
						x.with(ctx, m)
						return nil
					})
					require.NoError(t, err)
				}
				x.play(t, r, fine, c.panics)
			})
		})
	}
}

func (x *trouble) extension() bayeux.Extension {
	return bayeux.Funcs{In: func(ctx context.Context, _ bayeux.Session, m *bayeux.Message) error {
		x.with(ctx, m)
		return nil
	}}
}

func (x *trouble) play(t *testing.T, r *rig, fine, panics string) {
	sick, socket, well := r.hello("").connect(), r.surf("").connected(), r.hello("").connect().subscribe("/sick/**").subscribe("/well")
	publishing := func(ch string) string { return `[{"channel":"` + ch + `","clientId":"$","id":"p","data":1}]` }
	answer := func(ch, verdict string) string { return `[{"channel":"` + ch + `","id":"p",` + verdict + `}]` }

	start := time.Now()
	same(t, answer("/sick/panics", panics), sick.send(publishing("/sick/panics")).Messages)
	socket.say(publishing("/sick/panics"))
	same(t, answer("/sick/panics", panics), socket.get())
	same(t, answer("/sick/keeps", fine), sick.send(publishing("/sick/keeps")).Messages)
	same(t, `[{"channel":"/sick/keeps","data":1}]`, well.inbox())

	synctest.Wait()
	before := runtime.NumGoroutine()
	require.ErrorIs(t, x.kept.Err(), context.Canceled)
	select {
	case <-x.kept.Done():
	default:
		require.Fail(t, "a context that is kept must have ended")
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), before, "and costs nothing")
	soon(t, 0, time.Since(start))

	same(t, answer("/sick/waits", fine), sick.send(publishing("/sick/waits")).Messages)
	soon(t, time.Second, time.Since(start))
	same(t, `[{"channel":"/sick/waits","data":1}]`, well.inbox())

	blocked := sick.later(publishing("/sick/blocks"))
	socket.say(publishing("/sick/blocks"))
	go socket.say(publishing("/well")) // waits its turn
	synctest.Wait()
	start = time.Now()
	for range 3 {
		same(t, answer("/well", fine), r.hello("").publish("/well", "1").Messages)
	}
	same(t, answer("/well", fine), sick.send(publishing("/well")).Messages)
	require.Len(t, well.inbox(), 4)
	wireStillHeld(t, blocked)
	soon(t, 0, time.Since(start))
	close(x.stop)
	same(t, answer("/sick/blocks", fine), (<-blocked).Messages)
	same(t, answer("/sick/blocks", fine), socket.get())
	same(t, answer("/well", fine), socket.get())
}
