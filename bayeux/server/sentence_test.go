package server_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

const sentenceNone = `[{"channel":"/meta/connect","id":"c1","successful":false,"error":"401::session_revoked","advice":{"reconnect":"none","interval":0}}]`

// endSession ends a session as an extension does.
func (r *rig) endSession(id string, err *bayeux.Error) {
	r.t.Helper()
	s, ok := r.srv.Session(id)
	require.True(r.t, ok)
	e, ok := s.(bayeux.Ending)
	require.True(r.t, ok)
	e.End(r.t.Context(), err)
}

// A session that server code ends with an error: a held connect is answered
// with it at once, what was queued does not leave, and whatever comes later
// from the same browser is answered with it too.
func TestEndOverLongPolling(t *testing.T) {
	revoked := &bayeux.Error{Code: 401, Text: "session_revoked"}
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		held := u.later(connectHold)
		time.Sleep(time.Second)
		before := time.Now()
		r.endSession(u.id, revoked)
		reply := <-held
		require.Equal(t, 200, reply.Status)
		same(t, sentenceNone, reply.Messages)
		require.Equal(t, before, time.Now())
		require.Zero(t, r.stats().Subscriptions)
		require.Empty(t, r.srv.Sessions())
		require.EqualValues(t, 1, r.stats().Ended["unauthorized"])

		same(t, sentenceNone, u.send(connectHold).Messages)
		same(t, `[{"channel":"/a","id":"p","successful":false,"error":"401::session_revoked"}]`, u.publish("/a", "1").Messages)
		same(t, `[{"channel":"/meta/subscribe","id":"s","subscription":"/a","successful":false,"error":"401::session_revoked"}]`,
			u.send(subscribing("subscribe", `"/a"`)).Messages)
		stolen := &user{r: r, id: u.id, cookie: "BAYEUX_BROWSER=other"}
		same(t, unknown, stolen.send(connectHold).Messages)

		time.Sleep(6 * time.Minute)
		same(t, unknown, u.send(connectHold).Messages)
	})
	bubble(t, nil, func(t *testing.T, r *rig) { // nobody is there; what was queued is dropped
		u := r.hello("").connect().subscribe("/a")
		r.publish("/a", 1)
		r.endSession(u.id, &bayeux.Error{Code: 401, Text: "token_expired", Advice: &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake}})
		require.Zero(t, r.stats().QueuedBytes)
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":false,"error":"401::token_expired","advice":{"reconnect":"handshake"}}]`,
			u.send(connectHold).Messages)
	})
}

func TestEndOverWebSocket(t *testing.T) {
	revoked := &bayeux.Error{Code: 401, Text: "session_revoked"}
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.surf("").connected().subscribed("/a")
		u.say(connectHold)
		time.Sleep(time.Second)
		r.endSession(u.id, revoked)
		same(t, sentenceNone, u.get())
		r.publish("/a", 1)
		u.Quiet(time.Second)
		u.say(connectHold) // on the same socket, and on another
		same(t, sentenceNone, u.get())
		v := u.again()
		v.say(connectHold)
		same(t, sentenceNone, v.get())
		u.Cut()
		v.handshake("").connected().Cut()
	})
}

// A session that has ended stays as it is, and its client hears 402.
func TestEndTooLate(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		s, _ := r.srv.Session(u.id)
		u.send(leave)
		s.(bayeux.Ending).End(t.Context(), &bayeux.Error{Code: 401, Text: "session_revoked"})
		same(t, unknown, u.send(connectHold).Messages)
		require.Zero(t, r.stats().Ended["unauthorized"])
	})
}

// A Subject names the user, goes with a snapshot, and can be taken away.
func TestSubject(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		s, _ := r.srv.Session(u.id)
		require.Nil(t, bayeux.SubjectOf(s))
		alice := &bayeux.Subject{User: "alice", Groups: []string{"ops"}, Claims: map[string]any{"room": "7"}, Expires: time.Now().Add(time.Hour).UTC()}
		s.(bayeux.Authentication).SetSubject(alice)
		require.Same(t, alice, bayeux.SubjectOf(s))
		require.Equal(t, []string{"alice"}, r.srv.Users())

		snapshot, err := r.srv.Snapshot(u.id)
		require.NoError(t, err)
		text, err := json.Marshal(snapshot)
		require.NoError(t, err)
		var back server.Snapshot
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, alice, back.Subject)
		require.NoError(t, r.srv.Remove(u.id))
		require.NoError(t, r.srv.Restore(&back))
		s, _ = r.srv.Session(u.id)
		require.Equal(t, alice, bayeux.SubjectOf(s))

		s.(bayeux.Authentication).SetSubject(nil)
		require.Nil(t, bayeux.SubjectOf(s))
		require.Empty(t, r.srv.Users())
	})
	require.Nil(t, bayeux.SubjectOf(nil))
}

// A subscription that was allowed before a review and takes effect after it does
// not stay.
func TestReviewMeetsSubscribe(t *testing.T) {
	var asked, answer chan struct{}
	var closed atomic.Bool
	policy := policyFuncs{subscribe: func(bayeux.Session) error {
		if closed.Load() {
			return bayeux.Deny(bayeux.ReasonSecurityPolicy)
		}
		close(asked)
		<-answer
		return nil
	}}
	bubble(t, ruled(policy), func(t *testing.T, r *rig) {
		asked, answer = make(chan struct{}), make(chan struct{})
		u := r.hello("").connect()
		reply := u.later(subscribing("subscribe", `"/a"`))
		<-asked
		closed.Store(true)
		require.Zero(t, r.srv.Review(t.Context()))
		close(answer)
		require.Len(t, (<-reply).Messages, 1)
		require.Zero(t, r.stats().Subscriptions)
	})
}

// Review takes back what the policy no longer allows.
func TestReview(t *testing.T) {
	var closed atomic.Bool
	policy := policyFuncs{subscribe: func(bayeux.Session) error {
		if closed.Load() {
			return bayeux.Deny(bayeux.ReasonSecurityPolicy)
		}
		return nil
	}}
	bubble(t, ruled(policy), func(t *testing.T, r *rig) {
		var ended []channels.Name
		remove, err := r.srv.OnSubscription("/**", nil, func(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) {
			ended = append(ended, ch)
		})
		require.NoError(t, err)
		defer remove()
		u := r.hello("").connect().subscribe("/a").subscribe("/b/*")
		require.Zero(t, r.srv.Review(t.Context()))
		require.EqualValues(t, 2, r.stats().Subscriptions)
		closed.Store(true)
		require.Equal(t, 2, r.srv.Review(t.Context()))
		require.Zero(t, r.stats().Subscriptions)
		require.Zero(t, r.srv.Review(t.Context()))
		r.publish("/a", 1)
		require.Len(t, u.send(connectNow).Messages, 1, "the connect's reply alone")
		require.Equal(t, []channels.Name{"/a", "/b/*"}, ended)
	})
}
