package activity_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/extensions/activity"
	"github.com/halleypush/halley/internal/testkit"
)

// What an inactive client gets [R-AC-1].
const (
	pushed = `{"channel":"/meta/disconnect","successful":true}`
	failed = `{"channel":"/meta/connect","id":"c1","successful":false,"error":"402::session_unknown","advice":{"reconnect":"none","interval":0}}`
)

// build makes a server with the extension that holds connects for a second.
func build(r activity.Rule, p bayeux.Policy) (*server.Server, error) {
	return server.New(server.Config{
		Policy:     p,
		Extensions: []bayeux.Extension{ack.New(), activity.New(activity.Config{Rule: r})},
		Options:    server.Options{"timeout": "1000", "sweepPeriod": "500"},
	})
}

// bubble runs f with such a server.
func bubble(t *testing.T, r activity.Rule, p bayeux.Policy, f func(t *testing.T, w *testkit.Wire, srv *server.Server)) {
	t.Helper()
	var srv *server.Server
	testkit.Bubble(t, func() (_ testkit.Engine, err error) {
		srv, err = build(r, p)
		return srv, err
	}, func(t *testing.T, w *testkit.Wire) { f(t, w, srv) })
}

// connects goes on with connects for so many seconds; none fails.
func connects(t *testing.T, u *testkit.User, seconds int) {
	t.Helper()
	for range seconds {
		reply := u.Send(testkit.ConnectHold)
		require.Equal(t, true, reply.Messages[len(reply.Messages)-1]["successful"], reply.Body)
	}
}

func same(t *testing.T, want string, got []testkit.Msg) {
	t.Helper()
	text, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, want, string(text))
}

// A client that only connects is told to go, in one response [R-AC-1], also
// where messages leave with connects only. Case 147.
func TestWirePoll(t *testing.T) {
	for _, ext := range []string{`"ext":{}`, `"ext":{"ack":true}`} {
		bubble(t, activity.Rule{Period: 3 * time.Second}, nil, func(t *testing.T, w *testkit.Wire, srv *server.Server) {
			u := w.Hello(ext).Connect()
			connects(t, u, 3)
			time.Sleep(time.Millisecond)
			reply := u.Send(testkit.ConnectHold)
			require.Zero(t, reply.Took, "it is not held")
			same(t, `[`+pushed+`,`+failed+`]`, reply.Messages)
			require.Empty(t, srv.Sessions())
			require.Contains(t, u.Send(testkit.ConnectHold).Body, `"reconnect":"handshake"`)
			synctest.Wait()
			require.Zero(t, srv.Stats().QueuedBytes)
		})
	}
}

// By WebSocket: the same, each in its frame [R-AC-1].
func TestWireSocket(t *testing.T) {
	bubble(t, activity.Rule{Period: 3 * time.Second}, nil, func(t *testing.T, w *testkit.Wire, srv *server.Server) {
		u := w.Surf().Connect()
		for range 3 {
			u.Say(testkit.ConnectHold)
			require.Equal(t, true, u.Next(2 * time.Second).Messages[0]["successful"])
		}
		time.Sleep(time.Millisecond)
		u.Say(testkit.ConnectHold)
		same(t, `[`+pushed+`]`, u.Get())
		same(t, `[`+failed+`]`, u.Get())
		u.Quiet(5 * time.Second)
		require.Empty(t, srv.Sessions())
	})
}

// What the client sends keeps it, but not what it gets [R-AC-2].
func TestWireClient(t *testing.T) {
	bubble(t, activity.Rule{Period: 3 * time.Second}, nil, func(t *testing.T, w *testkit.Wire, srv *server.Server) {
		u := w.Hello().Connect()
		connects(t, u, 2)
		u.Subscribe("/a")
		connects(t, u, 2)
		u.Send(`[{"channel":"/b","clientId":"$"}]`)
		connects(t, u, 2)
		require.NoError(t, srv.Publish(t.Context(), "/a", 1))
		connects(t, u, 1) // brings the message
		connects(t, u, 1)
		time.Sleep(time.Millisecond)
		same(t, `[`+pushed+`,`+failed+`]`, u.Send(testkit.ConnectHold).Messages)
	})
}

// What is sent to the client keeps it where the server counts too [R-AC-2]. Case 147.
func TestWireClientServer(t *testing.T) {
	bubble(t, activity.Rule{Mode: activity.ClientServer, Period: 3 * time.Second}, nil, func(t *testing.T, w *testkit.Wire, srv *server.Server) {
		u := w.Hello().Connect().Subscribe("/a")
		session, ok := srv.Session(u.ID)
		require.True(t, ok)
		for range 3 {
			connects(t, u, 2)
			require.NoError(t, srv.Publish(t.Context(), "/a", 1))
			connects(t, u, 3)
			require.NoError(t, session.Deliver(t.Context(), "/b", 1))
			connects(t, u, 1)
		}
		require.NoError(t, srv.Publish(t.Context(), "/other", 1))
		connects(t, u, 3)
		time.Sleep(time.Millisecond)
		same(t, `[`+pushed+`,`+failed+`]`, u.Send(testkit.ConnectHold).Messages)
	})
}

// wards gives the sessions of a kind a rule of their own.
type wards struct{ bayeux.DefaultPolicy }

func (wards) CanHandshake(_ context.Context, s bayeux.Session, m *bayeux.Message) error {
	if m.Field("role") != nil {
		activity.Set(s, activity.Rule{Period: 5 * time.Second})
	}
	return nil
}

// A session can have a rule of its own, with and without one for all.
func TestWireOwnRule(t *testing.T) {
	for _, all := range []time.Duration{0, 2 * time.Second} {
		bubble(t, activity.Rule{Period: all}, wards{}, func(t *testing.T, w *testkit.Wire, _ *server.Server) {
			own, other := w.Hello(`"role":"ward"`).Connect(), w.Hello().Connect()
			connects(t, own, 5)
			time.Sleep(time.Millisecond)
			same(t, `[`+pushed+`,`+failed+`]`, own.Send(testkit.ConnectHold).Messages)
			got := other.Send(testkit.ConnectHold).Messages
			require.Equal(t, all == 0, got[len(got)-1]["successful"], "%v", got)
		})
	}
}

// Time without activity goes on where a session moves to.
func TestWireSnapshot(t *testing.T) {
	rule := activity.Rule{Period: 5 * time.Second}
	bubble(t, rule, nil, func(t *testing.T, w *testkit.Wire, srv *server.Server) {
		u := w.Hello().Connect()
		connects(t, u, 3)
		other, err := build(rule, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, other.Shutdown(context.Background())) }()
		snapshot, err := srv.Snapshot(u.ID)
		require.NoError(t, err)
		text, err := json.Marshal(snapshot)
		require.NoError(t, err)
		var moved server.Snapshot
		require.NoError(t, json.Unmarshal(text, &moved))
		require.NoError(t, srv.Remove(u.ID))
		require.NoError(t, other.Restore(&moved))

		there := testkit.Serve(t, other, "/cometd")
		defer there.Close()
		u.Move(there)
		connects(t, u, 2)
		time.Sleep(time.Millisecond)
		same(t, `[`+pushed+`,`+failed+`]`, u.Send(testkit.ConnectHold).Messages)
	})
}
