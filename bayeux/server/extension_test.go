package server_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// diary notes what several extensions saw, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, a ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, a...))
}

// take returns the lines since the last take.
func (d *diary) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

// writer is an extension that notes all it sees.
func (d *diary) writer(name string) bayeux.Extension {
	whom := func(s bayeux.Session) string {
		if s == nil {
			return "nobody"
		}
		return "somebody"
	}
	return bayeux.Funcs{
		In: func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
			d.note("%s in %s from %s", name, m.Channel, whom(from))
			return nil
		},
		Out: func(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
			d.note("%s out %s to %s", name, m.Channel, whom(to))
			return nil
		},
	}
}

// perSession is an extension that gives each session others of its own.
type perSession struct {
	bayeux.Funcs
	make func(s bayeux.Session) bayeux.Extension
}

func (p perSession) NewSession(s bayeux.Session) bayeux.Extension { return p.make(s) }

func with(extensions ...bayeux.Extension) func(*server.Config) {
	return func(c *server.Config) { c.Extensions = append(c.Extensions, extensions...) }
}

// Incoming runs in order of registration, server-wide first; outgoing in
// reverse. A broadcast is seen by the server-wide ones once, then by those of
// each receiver ([R-SV-4]).
func TestExtensionOrder(t *testing.T) {
	d := new(diary)
	own := func(name string) perSession {
		return perSession{make: func(bayeux.Session) bayeux.Extension { return d.writer(name) }}
	}
	bubble(t, with(d.writer("A"), d.writer("B"), own("C"), own("D")), func(t *testing.T, r *rig) {
		u, other := r.hello("").connect().subscribe("/a"), r.hello("").connect().subscribe("/a")
		d.take()
		u.publish("/a", "1")
		require.Equal(t, []string{
			"A in /a from somebody", "B in /a from somebody", "C in /a from somebody", "D in /a from somebody",
			"B out /a to nobody", "A out /a to nobody",
			"D out /a to somebody", "C out /a to somebody", // one receiver
			"D out /a to somebody", "C out /a to somebody", // the other
			"D out /a to somebody", "C out /a to somebody", "B out /a to somebody", "A out /a to somebody", // the reply
		}, d.take())
		other.send(`[{"channel":"/b","clientId":"unknown"}]`)
		require.Equal(t, []string{"A in /b from nobody", "B in /b from nobody", "B out /b to nobody", "A out /b to nobody"}, d.take())
		r.publish("/c", 1)
		require.Equal(t, []string{"B out /c to nobody", "A out /c to nobody"}, d.take())
	})
}

// How an extension ends a message: dropped, refused, handled, or with an error
// that is no verdict ([R-SV-4], [R-PB-4], [R-MSG-3]). Case 150.
func TestExtensionVerdicts(t *testing.T) {
	refusal := &bayeux.Error{Code: 403, Args: "a,b", Text: "no", Ext: bayeux.Raw(`{"why":1}`), Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectRetry}}
	for name, c := range map[string]struct {
		verdict func(m *bayeux.Message) error
		want    string
	}{
		"drop":   {func(*bayeux.Message) error { return bayeux.Drop }, `"successful":false,"error":"404::message_deleted"`},
		"wraps":  {func(*bayeux.Message) error { return fmt.Errorf("x: %w", bayeux.Drop) }, `"successful":false,"error":"404::message_deleted"`},
		"other":  {func(*bayeux.Message) error { return errors.New("oops") }, `"successful":false,"error":"404::message_deleted"`},
		"refuse": {func(*bayeux.Message) error { return refusal }, `"successful":false,"error":"403:a,b:no","ext":{"why":1},"advice":{"reconnect":"retry"}`},
		"handled": {func(m *bayeux.Message) error {
			m.Reply().Succeed(true).SetField("by", bayeux.Raw(`"me"`))
			return bayeux.Handled
		}, `"successful":true,"by":"me"`},
	} {
		t.Run(name, func(t *testing.T) {
			veto := bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
				if m.Channel == "/a" || m.Channel == "/service/a" {
					return c.verdict(m)
				}
				return nil
			}}
			bubble(t, with(veto), func(t *testing.T, r *rig) {
				u := r.hello("").connect().subscribe("/a")
				same(t, `[{"channel":"/a","id":"p",`+c.want+`}]`, u.publish("/a", "1").Messages)
				same(t, `[{"channel":"/service/a","id":"p",`+c.want+`}]`, u.publish("/service/a", "1").Messages)
				require.Empty(t, u.inbox())
			})
		})
	}
}

// A handshake that an extension ends makes no session, and the client need not
// come back unless the extension says so.
func TestExtensionRefusesHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"drop":   {bayeux.Drop, `"error":"404::message_deleted","advice":{"reconnect":"none"}`},
		"refuse": {&bayeux.Error{Code: 401, Text: "token_expired", Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake}}, `"error":"401::token_expired","advice":{"reconnect":"handshake"}`},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, with(bayeux.Funcs{In: func(context.Context, bayeux.Session, *bayeux.Message) error { return c.err }}), func(t *testing.T, r *rig) {
				reply := r.Post("", `[{"channel":"/meta/handshake","id":"h"}]`)
				same(t, `[{"channel":"/meta/handshake","id":"h","successful":false,`+c.want+`}]`, reply.Messages)
				require.Empty(t, reply.Header.Get("Set-Cookie"))
				require.Empty(t, r.srv.Sessions())
			})
		})
	}
}

// Extensions change what comes and what goes.
func TestExtensionEdits(t *testing.T) {
	edit := bayeux.Funcs{
		In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
			if m.Channel == "/a" {
				m.Data = bayeux.Raw(`"in"`)
			}
			return nil
		},
		Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
			m.SetField("stamp", bayeux.Raw("7"))
			return nil
		},
	}
	bubble(t, with(edit), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		same(t, `[{"channel":"/a","data":"in","stamp":7},{"channel":"/a","id":"p","successful":true,"stamp":7}]`, u.publish("/a", "1").Messages)
		s, _ := r.srv.Session(u.id)
		require.NoError(t, s.Deliver(t.Context(), "/b", 2))
		same(t, `[{"channel":"/b","data":2,"stamp":7}]`, u.inbox())
	})
}

// Edit gives one receiver a copy of its own; the others share what was frozen
// ([R-PB-13]). A receiver's extension may drop it for that receiver alone.
func TestEditIsForOne(t *testing.T) {
	wish := func(s bayeux.Session) bayeux.Extension {
		return bayeux.Funcs{Out: func(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
			if m.Channel != "/a" {
				return nil
			}
			if to != s {
				return errors.New("another session's extension")
			}
			switch s.Attributes().Get("wish") {
			case "edit":
				m.Edit().Data = bayeux.Raw(`"mine"`)
				m.Edit().SetField("twice", bayeux.Raw("true"))
			case "drop":
				return bayeux.Drop
			case "fail":
				return errors.New("oops")
			}
			return nil
		}}
	}
	bubble(t, with(perSession{make: wish}), func(t *testing.T, r *rig) {
		users := make(map[string]*user)
		for _, what := range []string{"edit", "drop", "fail", "keep"} {
			u := r.hello("").connect().subscribe("/a")
			s, _ := r.srv.Session(u.id)
			s.Attributes().Set("wish", what)
			users[what] = u
		}
		r.publish("/a", 1)
		same(t, `[{"channel":"/a","data":"mine","twice":true}]`, users["edit"].inbox())
		same(t, `[{"channel":"/a","data":1}]`, users["keep"].inbox())
		require.Empty(t, users["drop"].inbox())
		require.Empty(t, users["fail"].inbox())
	})
}

// A broadcast that a server-wide extension drops goes to nobody ([R-PB-4]).
func TestBroadcastDropped(t *testing.T) {
	drop := bayeux.Funcs{Out: func(_ context.Context, to bayeux.Session, m *bayeux.Message) error {
		if to == nil && m.Channel == "/a" {
			return bayeux.Drop
		}
		return nil
	}}
	bubble(t, with(drop), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		same(t, `[{"channel":"/a","id":"p","successful":false,"error":"404::message_deleted"}]`, u.publish("/a", "1").Messages)
		require.Equal(t, bayeux.ErrMessageDeleted, r.srv.Publish(t.Context(), "/a", 1))
		require.Empty(t, u.inbox())
	})
}

// The outgoing side of a reply runs when it leaves, not when its request came:
// for a held connect at the end of the hold.
func TestRepliesAreSeenWhenTheyLeave(t *testing.T) {
	at := make(map[string]time.Time)
	var mu sync.Mutex
	look := bayeux.Funcs{
		In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
			mu.Lock()
			defer mu.Unlock()
			at["in "+m.ID] = time.Now()
			return nil
		},
		Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
			mu.Lock()
			defer mu.Unlock()
			at["out "+m.ID] = time.Now()
			return nil
		},
	}
	bubble(t, with(look), func(t *testing.T, r *rig) {
		r.hello("").connect().send(connectHold)
		soon(t, 4*time.Second, at["out c1"].Sub(at["in c1"]))
		u := r.surf("").connected()
		u.say(connectHold)
		u.Next(5 * time.Second)
		soon(t, 4*time.Second, at["out c1"].Sub(at["in c1"]))
	})
}

// The server's farewell is a message like others: extensions see it.
func TestFarewellIsSeen(t *testing.T) {
	stamp := bayeux.Funcs{Out: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if m.Channel == "/meta/disconnect" {
			m.SetField("stamp", bayeux.Raw("7"))
		}
		return nil
	}}
	bubble(t, with(stamp), func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		held := u.later(connectHold)
		synctest.Wait()
		s, _ := r.srv.Session(u.id)
		require.NoError(t, s.Disconnect(t.Context()))
		same(t, `[{"channel":"/meta/disconnect","successful":true,"stamp":7},{"channel":"/meta/connect","id":"c1","successful":true,"advice":{"reconnect":"none"}}]`,
			(<-held).Messages)
	})
}

// A call may block; its context ends after ExtensionTimeout, with the session,
// or with the client, whichever comes first.
func TestExtensionContext(t *testing.T) {
	type wait struct {
		err  error
		took time.Duration
	}
	for name, c := range map[string]struct {
		end  func(r *rig, u *user, cancel func())
		want error
		took time.Duration
	}{
		"timeout": {func(*rig, *user, func()) {}, context.DeadlineExceeded, 7 * time.Second},
		"session": {func(r *rig, u *user, _ func()) { _ = r.srv.Remove(u.id) }, context.Canceled, 2 * time.Second},
		"client":  {func(_ *rig, _ *user, cancel func()) { cancel() }, context.Canceled, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var waited chan wait
			block := bayeux.Funcs{In: func(ctx context.Context, _ bayeux.Session, m *bayeux.Message) error {
				if m.Channel != "/block" {
					return nil
				}
				start := time.Now()
				at, ok := ctx.Deadline()
				if !ok || at.Sub(start) > 7*time.Second {
					return errors.New("no deadline")
				}
				<-ctx.Done()
				waited <- wait{ctx.Err(), time.Since(start)}
				return nil
			}}
			bubble(t, func(sc *server.Config) {
				sc.ExtensionTimeout = 7 * time.Second
				sc.Options["maxInterval"] = "60000"
				sc.Extensions = append(sc.Extensions, block)
			}, func(t *testing.T, r *rig) {
				waited = make(chan wait, 1) // of the bubble
				u := r.hello("").connect()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				reply := r.Go(testkit.Request{Body: u.fill(`{"channel":"/block","clientId":"$"}`), Cookie: u.cookie, Ctx: ctx})
				time.Sleep(2 * time.Second)
				c.end(r, u, cancel)
				w := <-waited
				require.ErrorIs(t, w.err, c.want)
				soon(t, c.took, w.took)
				<-reply
			})
		})
	}
}

// Who only looks at the context now and then sees its end too.
func TestExtensionContextIsPolled(t *testing.T) {
	seen := make(chan []error, 1)
	poll := bayeux.Funcs{In: func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		if m.Channel != "/poll" {
			return nil
		}
		errs := []error{ctx.Err()}
		if err := from.Disconnect(ctx); err != nil {
			return err
		}
		seen <- append(errs, ctx.Err())
		return nil
	}}
	bubble(t, with(poll), func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		same(t, `[`+wireFarewell+`,{"channel":"/poll","id":"p","successful":false,"error":"402::session_unknown"}]`, u.publish("/poll", "1").Messages)
		require.Equal(t, []error{nil, context.Canceled}, <-seen)
	})
}
