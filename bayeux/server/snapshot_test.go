package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/internal/testkit"
)

// twin starts a second server in the bubble of r, with the same configuration.
func (r *rig) twin(change func(*server.Config)) *rig {
	r.t.Helper()
	c := server.Config{
		Extensions: []bayeux.Extension{ack.New()},
		Options:    server.Options{"timeout": "4000", "maxInterval": "3000", "sweepPeriod": "500"},
	}
	if change != nil {
		change(&c)
	}
	srv, err := server.New(c)
	require.NoError(r.t, err)
	w := testkit.Serve(r.t, srv, "/cometd")
	r.t.Cleanup(func() { // in the bubble
		require.NoError(r.t, srv.Shutdown(context.Background()))
		w.Close()
		synctest.Wait()
	})
	return &rig{Wire: w, t: r.t, srv: srv}
}

// move takes a session from one server to another, through JSON.
func move(t *testing.T, from, to *rig, id string) {
	t.Helper()
	snap, err := from.srv.Snapshot(id)
	require.NoError(t, err)
	text, err := json.Marshal(snap)
	require.NoError(t, err)
	require.NoError(t, from.srv.Remove(id))
	var again server.Snapshot
	require.NoError(t, json.Unmarshal(text, &again))
	require.NoError(t, to.srv.Restore(&again))
}

// A session moves to another server with its queue, subscriptions, attributes
// and user; its client goes on there with its next connect and its cookie
// (DESIGN 4.8).
func TestSnapshotMovesSession(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		other := r.twin(nil)
		u := r.hello("").connect().subscribe("/a/*").subscribe("/b")
		s, _ := r.srv.Session(u.id)
		s.Attributes().Set("room", map[string]int{"n": 7})
		id, ok := s.(bayeux.Identity)
		require.True(t, ok)
		id.SetUser("ann")
		r.publish("/a/x", bayeux.Raw(`{"n":1.50}`))
		r.publish("/b", 2)
		move(t, r, other, u.id)
		require.Contains(t, u.send(connectHold).Body, "402::session_unknown")

		other.publish("/b", 3)
		u.r = other
		require.Equal(t, 1, other.srv.Subscribers("/a/*"))
		require.Contains(t, (&user{r: other, id: u.id, cookie: "BAYEUX_BROWSER=other"}).send(connectHold).Body, "402::session_unknown")
		reply := u.send(connectHold)
		require.Contains(t, reply.Body, `{"n":1.50}`)
		same(t, `[{"channel":"/a/x","data":{"n":1.5}},{"channel":"/b","data":2},{"channel":"/b","data":3},`+connectOK+`]`, reply.Messages)
		soon(t, 4*time.Second, u.send(connectHold).Took)
		s, _ = other.srv.Session(u.id)
		require.Equal(t, "ann", s.User())
		require.Equal(t, "long-polling", s.Transport())
		require.Equal(t, json.RawMessage(`{"n":7}`), s.Attributes().Get("room"))
		u.send(subscribing("unsubscribe", `"/b"`))
		other.publish("/b", 4)
		require.Empty(t, u.inbox())
	})
}

// The clock goes on where it was: the client has what was left of its time.
func TestSnapshotKeepsTime(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		other := r.twin(nil)
		u := r.hello("").connect()
		time.Sleep(2 * time.Second)
		move(t, r, other, u.id)
		time.Sleep(900 * time.Millisecond)
		require.Len(t, other.srv.Sessions(), 1)
		time.Sleep(700 * time.Millisecond)
		require.Empty(t, other.srv.Sessions())
	})
}

// The batches move too: what was not acknowledged comes again, under a number
// that goes on ([R-ACK-5], [R-ACK-6]).
func TestSnapshotMovesBatches(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		other := r.twin(nil)
		u := r.reliable().subscribe("/a")
		r.publish("/a", 1)
		u.expect(acking("1", ""), "1", 2)
		r.publish("/a", 2)
		u.expect(acking("2", ""), "2", 3)
		r.publish("/a", 3)
		move(t, r, other, u.id)
		u.r = other
		u.expect(acking("2", ""), "2,3", 4) // batch 3 got lost
		other.publish("/a", 4)
		u.expect(acking("4", ""), "4", 5)
		u.expect(acking("5", ackNow), "", 6)
	})
}

// A session of a WebSocket goes on by a socket to the other server; the old
// one hears nothing more.
func TestSnapshotMovesSocket(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		other := r.twin(nil)
		u := r.surf("").connected().subscribed("/a")
		u.say(connectHold)
		synctest.Wait()
		move(t, r, other, u.id)
		u.Cut()
		other.publish("/a", 1)
		u.r = other
		next := u.again()
		next.say(connectHold)
		same(t, `[{"channel":"/a","data":1}]`, next.get())
		next.Quiet(3900 * time.Millisecond)
		same(t, "["+connectOK+"]", next.Next(time.Second).Messages)
		other.publish("/a", 2)
		same(t, `[{"channel":"/a","data":2}]`, next.get())
	})
}

// counting is an extension of one session whose state moves.
type counting struct {
	bayeux.Funcs
	id string
	n  int
}

func (c *counting) Incoming(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	c.n++
	m.Reply().SetField("n", bayeux.Raw(string(rune('0'+c.n))))
	return nil
}

func (*counting) Key() string                     { return "counting" }
func (c *counting) Snapshot() (bayeux.Raw, error) { return json.Marshal(c.n) }

func (c *counting) Restore(state bayeux.Raw) error {
	if len(c.id) < 20 {
		return errors.New("the extension was made for no session")
	}
	return json.Unmarshal(state, &c.n)
}

// The state of a session's extensions moves (bayeux.Snapshotter), and they are
// made for the session they serve.
func TestSnapshotMovesExtensions(t *testing.T) {
	var made []string
	counts := with(perSession{make: func(s bayeux.Session) bayeux.Extension {
		made = append(made, s.ID())
		return &counting{id: s.ID()}
	}})
	bubble(t, counts, func(t *testing.T, r *rig) {
		other := r.twin(counts)
		u := r.hello("")
		require.EqualValues(t, 2, u.publish("/x", "0").Messages[0]["n"])
		move(t, r, other, u.id)
		require.Equal(t, []string{u.id, u.id}, made)
		u.r = other
		require.EqualValues(t, 3, u.publish("/x", "0").Messages[0]["n"])
	})
}

// What cannot be moved says why.
func TestSnapshotErrors(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		_, err := r.srv.Snapshot("nobody")
		require.ErrorIs(t, err, server.ErrNoSession)
		u := r.hello("").connect()
		snap, err := r.srv.Snapshot(u.id)
		require.NoError(t, err)
		require.ErrorContains(t, r.srv.Restore(snap), "already here")
		for what, spoil := range map[string]func(*server.Snapshot){
			"transport":     func(s *server.Snapshot) { s.Home = "pigeon" },
			"no session id": func(s *server.Snapshot) { s.ID = "a/b" },
			"has ended":     func(s *server.Snapshot) { s.Machine.State = 99 },
		} {
			c := *snap
			spoil(&c)
			require.ErrorContains(t, r.srv.Restore(&c), what)
		}
		s, _ := r.srv.Session(u.id)
		s.Attributes().Set("bad", func() {})
		_, err = r.srv.Snapshot(u.id)
		require.ErrorContains(t, err, `attribute "bad"`)
		require.Len(t, r.srv.Sessions(), 1)
	})
}
