package machine

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

func poll() *Via {
	return &Via{
		Transport: "long-polling",
		Times:     Times{Timeout: 20 * time.Second, MaxInterval: 10 * time.Second, MaxProcessing: -1},
	}
}

func socket() *Via {
	v := poll()
	v.Transport, v.Push = "websocket", true
	return v
}

func on(channel string) *bayeux.Message {
	return &bayeux.Message{Channel: channel, HasChannel: true, ID: "1", HasID: true}
}

func step(s *Session, m *bayeux.Message, v *Via) Effects {
	return s.Step(epoch, Input{Message: m, Via: v, Alone: true})
}

// connected returns a session after its first connect.
func connected(t *testing.T, v *Via) *Session {
	t.Helper()
	s := New("abc")
	require.True(t, step(s, on(metaHandshake), v).Reply.OK())
	require.True(t, step(s, on(metaConnect), v).Reply.OK())
	s.Written(epoch)
	require.Equal(t, Connected, s.State())
	return s
}

// [R-CN-3] The table in doc.go is the one in the code.
func TestTransitionsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	documented := map[State][]State{}
	for line := range strings.Lines(string(doc)) {
		from, to, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "//\t"), "→")
		if !ok {
			continue
		}
		var s State
		require.NoError(t, s.UnmarshalText([]byte(strings.TrimSpace(from))))
		documented[s] = []State{}
		for name := range strings.FieldsSeq(to) {
			var next State
			require.NoError(t, next.UnmarshalText([]byte(name)))
			documented[s] = append(documented[s], next)
		}
	}
	require.Equal(t, transitions, documented)
	require.Len(t, transitions, len(stateNames))
}

func TestStates(t *testing.T) {
	for state, want := range map[State]struct {
		name        string
		alive, over bool
	}{
		Created:      {"created", false, false},
		Handshaken:   {"handshaken", true, false},
		Connected:    {"connected", true, false},
		Disconnected: {"disconnected", false, true},
		Expired:      {"expired", false, true},
	} {
		require.Equal(t, want.name, state.String())
		require.Equal(t, want.alive, state.Alive(), want.name)
		require.Equal(t, want.over, state.Over(), want.name)
	}
	require.Equal(t, "invalid", State(99).String())
	var s State
	require.EqualError(t, s.UnmarshalText([]byte("held")), `machine: no state "held"`)
	require.Equal(t, "invalid", Cause(0).String())
}

// An illegal change does not happen.
func TestEnterKeepsToTheTable(t *testing.T) {
	s := connected(t, poll())
	s.enter(Handshaken)
	require.Equal(t, Connected, s.State())
	s.enter(Expired)
	s.enter(Connected)
	require.Equal(t, Expired, s.State())
}

// [R-MSG-11] Advice that Decode would not have let through.
func TestUnreadableAdvice(t *testing.T) {
	for _, advice := range []string{`{"timeout":"0"}`, `{"interval":[]}`, `[]`, `5`} {
		s := connected(t, poll())
		m := on(metaConnect)
		m.Advice = bayeux.Raw(advice)
		e := step(s, m, poll())
		require.Equal(t, "400::advice", e.Reply.Error, advice)
		require.Zero(t, e.Hold)
		require.False(t, s.Deadline().IsZero())
	}
}

// What an extension has put on a reply stays, and the advice stays due
// ([R-AD-5], [R-SP-2]).
func TestReplyFilledInBefore(t *testing.T) {
	own := bayeux.Raw(`{"reconnect":"retry","interval":7}`)
	s := New("abc")
	m := on(metaHandshake)
	m.Reply().Ext = bayeux.Raw(`{"ack":true}`)
	m.Reply().Advice = own
	reply := step(s, m, poll()).Reply
	require.Equal(t, own, reply.Advice)
	require.JSONEq(t, `{"ack":true}`, string(reply.Ext))
	require.Empty(t, s.Advised())

	m = on(metaConnect)
	m.Reply().Advice = own
	require.Equal(t, own, step(s, m, poll()).Reply.Advice)
	require.Empty(t, s.Advised())
	e := step(s, on(metaConnect), poll())
	require.NotZero(t, e.Hold)
	require.NotNil(t, s.Wake(epoch).Ended.Reply.Advice)
	require.Equal(t, "long-polling", s.Advised())

	refused := New("abc")
	m = on(metaHandshake)
	m.Reply().Advice = own
	e = refused.Step(epoch, Input{Message: m, Refused: bayeux.ErrHandshakeDenied})
	require.Equal(t, own, e.Reply.Advice)
	require.Nil(t, bayeux.ErrHandshakeDenied.Advice, "shared errors are not changed")
}

// Times that make no sense neither overflow nor end the session early.
func TestHugeTimes(t *testing.T) {
	v := poll()
	v.Times = Times{Timeout: math.MaxInt64, Interval: math.MaxInt64, MaxInterval: math.MaxInt64, MaxProcessing: math.MaxInt64}
	s := connected(t, v)
	require.True(t, s.ExpiresAt().After(epoch.Add(time.Hour)))
	s.SetTimeout(math.MaxInt64)
	s.SetInterval(math.MaxInt64)
	s.SetMaxInterval(math.MaxInt64)
	m := on(metaConnect)
	m.Advice = bayeux.Raw(`{"timeout":1e300,"interval":1e300}`)
	e := step(s, m, v)
	require.True(t, e.Hold.Until.After(epoch.Add(time.Hour)))
	s.Lost(epoch, e.Hold.ID)
	require.True(t, s.ExpiresAt().After(epoch.Add(time.Hour)))

	v = poll()
	v.Times = Times{Timeout: math.MinInt64, Interval: math.MinInt64, MaxInterval: math.MinInt64}
	s = connected(t, v)
	require.Equal(t, epoch, s.ExpiresAt())
	require.Zero(t, step(s, on(metaConnect), v).Hold)
}

// [R-EX-5] The caller undoes what the session had at its end.
func TestSubscriptionsAfterTheEnd(t *testing.T) {
	s := connected(t, poll())
	require.NotNil(t, s.Subscriptions())
	require.Empty(t, s.Subscriptions())
	m := on(metaSubscribe)
	e := s.Step(epoch, Input{Message: m, Names: []channels.Name{"/b", "/a"}})
	require.Equal(t, []channels.Name{"/b", "/a"}, e.Subscribe)
	require.True(t, s.Subscribed("/a"))
	require.False(t, s.Subscribed("/c"))
	e = s.Remove(epoch, ReasonServer)
	require.Equal(t, ReasonServer, e.Removed)
	require.Empty(t, e.Unsubscribe)
	require.Equal(t, []channels.Name{"/a", "/b"}, s.Subscriptions())
	require.Equal(t, 2, s.SubscriptionCount())
}

func TestHeld(t *testing.T) {
	s := connected(t, socket())
	_, _, _, ok := s.Held()
	require.False(t, ok)
	e := step(s, on(metaConnect), socket())
	id, until, push, ok := s.Held()
	require.True(t, ok)
	require.True(t, push)
	require.Equal(t, Hold{ID: id, Until: until}, e.Hold)
	require.Equal(t, until, s.Deadline())
	require.Equal(t, "abc", s.ID())
}

// [R-ID-1] [R-ERR-2] Advice comes with connects and handshakes only.
func TestUnknown(t *testing.T) {
	for channel, advice := range map[string]string{
		metaHandshake:   `{"reconnect":"handshake","interval":0}`,
		metaConnect:     `{"reconnect":"handshake","interval":0}`,
		metaSubscribe:   "",
		metaUnsubscribe: "",
		metaDisconnect:  "",
		"/service/x":    "",
		"/a":            "",
	} {
		reply := Unknown(on(channel))
		require.False(t, reply.OK())
		require.Equal(t, "402::session_unknown", reply.Error)
		require.Equal(t, advice, string(reply.Advice), channel)
		require.Equal(t, "1", reply.ID)
	}
}

func TestRestoreRefuses(t *testing.T) {
	_, err := Restore(epoch, Snapshot{})
	require.EqualError(t, err, "machine: snapshot without an id")
	var snap Snapshot
	require.ErrorContains(t, json.Unmarshal([]byte(`{"id":"a","state":"asleep"}`), &snap), "no state")

	s, err := Restore(epoch, Snapshot{ID: "a", State: Connected, Remaining: -5})
	require.NoError(t, err)
	require.Equal(t, ReasonExpired, s.Expire(epoch).Removed)
}

// The error values that policies share are never changed.
func TestRefusalsAreNotChanged(t *testing.T) {
	refused := bayeux.Deny("why")
	s := New("abc")
	e := s.Step(epoch, Input{Message: on(metaHandshake), Refused: refused})
	require.Equal(t, "403:why:handshake_denied", e.Reply.Error)
	require.Equal(t, bayeux.Error{Code: 403, Args: "why"}, *refused)
}

func BenchmarkHoldAndWake(b *testing.B) {
	s := New("abc")
	step(s, on(metaHandshake), poll())
	step(s, on(metaConnect), poll())
	v := poll()
	b.ReportAllocs()
	for b.Loop() {
		m := bayeux.Message{Channel: metaConnect}
		s.Step(epoch, Input{Message: &m, Via: v, Alone: true})
		s.Wake(epoch)
		s.Written(epoch)
	}
}

// What Terminate says meets the held connect and all that comes later; a
// session that had ended keeps its reason.
func TestTerminate(t *testing.T) {
	s := connected(t, poll())
	require.NotNil(t, step(s, on(metaConnect), poll()).Hold)

	e := s.Terminate(epoch, ReasonUnauthorized, &bayeux.Error{Code: 401, Text: "session_revoked"})
	require.Equal(t, ReasonUnauthorized, e.Removed)
	require.Equal(t, "401::session_revoked", e.Ended.Reply.Error)
	require.JSONEq(t, `{"reconnect":"none","interval":0}`, string(e.Ended.Reply.Advice))
	for _, channel := range []string{metaConnect, metaSubscribe, metaUnsubscribe, metaDisconnect, "/a"} {
		reply := step(s, on(channel), poll()).Reply
		require.Equal(t, "401::session_revoked", reply.Error, channel)
		require.Equal(t, channel == metaConnect, reply.Advice != nil, channel)
	}
	require.Empty(t, s.Terminate(epoch, ReasonServer, &bayeux.Error{Code: 401, Text: "other"}).Removed)
	require.Equal(t, "401::session_revoked", step(s, on(metaConnect), poll()).Reply.Error)
}
