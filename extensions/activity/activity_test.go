package activity_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/activity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a session that notes how often it was ended.
type fake struct {
	bayeux.Session
	attributes bayeux.Attributes
	ended      int
}

func (f *fake) Attributes() *bayeux.Attributes { return &f.attributes }

func (f *fake) Disconnect(context.Context) error {
	f.ended++
	return nil
}

// stage is a session, its extension and a clock that stands still.
type stage struct {
	t    *testing.T
	at   time.Time
	fake fake
	ext  bayeux.Extension
}

func newStage(t *testing.T, r activity.Rule) *stage {
	t.Helper()
	s := &stage{t: t, at: time.UnixMilli(0)}
	s.ext = activity.New(activity.Config{Rule: r, Now: func() time.Time { return s.at }}).NewSession(&s.fake)
	return s
}

func (s *stage) in(channel string) {
	s.t.Helper()
	require.NoError(s.t, s.ext.Incoming(context.Background(), &s.fake, &bayeux.Message{Channel: channel}))
}

func (s *stage) out(channel string) {
	s.t.Helper()
	require.NoError(s.t, s.ext.Outgoing(context.Background(), &s.fake, &bayeux.Message{Channel: channel}))
}

// ends tells whether a connect ends the session now.
func (s *stage) ends() bool {
	s.t.Helper()
	before := s.fake.ended
	s.in("/meta/connect")
	return s.fake.ended > before
}

// A period and no more may pass, from the beginning and from each activity
// [R-AC-1, R-AC-2].
func TestPeriod(t *testing.T) {
	const period = time.Minute
	for name, c := range map[string]struct {
		mode   activity.Mode
		act    func(s *stage)
		active bool
	}{
		"nothing":                       {activity.Client, func(*stage) {}, false},
		"connects":                      {activity.Client, func(s *stage) { s.in("/meta/connect") }, false},
		"publish":                       {activity.Client, func(s *stage) { s.in("/a") }, true},
		"service":                       {activity.Client, func(s *stage) { s.in("/service/a") }, true},
		"subscribe":                     {activity.Client, func(s *stage) { s.in("/meta/subscribe") }, true},
		"server's messages":             {activity.Client, func(s *stage) { s.out("/a"); s.out("/meta/subscribe") }, false},
		"server, nothing":               {activity.ClientServer, func(*stage) {}, false},
		"server, connects":              {activity.ClientServer, func(s *stage) { s.in("/meta/connect"); s.out("/meta/connect") }, false},
		"server, publish":               {activity.ClientServer, func(s *stage) { s.in("/a") }, true},
		"server, server's messages":     {activity.ClientServer, func(s *stage) { s.out("/a") }, true},
		"server, server's meta message": {activity.ClientServer, func(s *stage) { s.out("/meta/subscribe") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, activity.Rule{Mode: c.mode, Period: period})
			s.at = s.at.Add(period / 2)
			c.act(s)
			s.at = s.at.Add(period / 2)
			require.False(t, s.ends())
			s.at = s.at.Add(time.Nanosecond)
			require.Equal(t, !c.active, s.ends())
			s.at = s.at.Add(period/2 - time.Nanosecond)
			require.Equal(t, !c.active, s.ends())
			s.at = s.at.Add(time.Nanosecond)
			require.True(t, s.ends())
		})
	}
}

// Without a period nobody is watched.
func TestNoPeriod(t *testing.T) {
	s := newStage(t, activity.Rule{Mode: activity.ClientServer})
	s.at = s.at.Add(1000 * time.Hour)
	require.False(t, s.ends())
}

// A session's own rule takes the place of the server's, at any time, also one
// that comes from a snapshot.
func TestOwnRule(t *testing.T) {
	s := newStage(t, activity.Rule{Period: time.Minute})
	s.at = s.at.Add(time.Hour)
	activity.Set(&s.fake, activity.Rule{Period: 2 * time.Hour})
	require.False(t, s.ends())
	activity.Set(&s.fake, activity.Rule{})
	require.False(t, s.ends())
	s.fake.attributes.Set("activity", json.RawMessage(`{"mode":"client-server","period":1800000000000}`))
	require.True(t, s.ends())
	s.out("/a")
	require.False(t, s.ends())
	require.Equal(t, activity.Rule{Mode: activity.ClientServer, Period: 30 * time.Minute}, s.fake.attributes.Get("activity"))
	for _, foreign := range []any{json.RawMessage(`{"mode":"other"}`), json.RawMessage(`[]`), "somebody else's"} {
		s.fake.attributes.Set("activity", foreign)
		require.True(t, s.ends(), "the server's rule counts")
	}
}

// The extension itself lets all pass.
func TestServerWide(t *testing.T) {
	x := activity.New(activity.Config{Rule: activity.Rule{Period: 1}})
	m := &bayeux.Message{Channel: "/meta/connect"}
	require.NoError(t, x.Incoming(context.Background(), nil, m))
	require.NoError(t, x.Outgoing(context.Background(), nil, m))
}

// The time without activity moves with the session.
func TestSnapshot(t *testing.T) {
	move := func(t *testing.T, from, to *stage) {
		t.Helper()
		a, ok := from.ext.(bayeux.Snapshotter)
		require.True(t, ok)
		b, ok := to.ext.(bayeux.Snapshotter)
		require.True(t, ok)
		require.Equal(t, a.Key(), b.Key())
		raw, err := a.Snapshot()
		require.NoError(t, err)
		require.NoError(t, b.Restore(raw))
	}
	rule := activity.Rule{Mode: activity.ClientServer, Period: time.Minute}
	one, two := newStage(t, rule), newStage(t, rule)
	one.at = one.at.Add(10 * time.Second)
	one.in("/a")
	one.at = one.at.Add(20 * time.Second)
	one.out("/a")
	one.at = one.at.Add(25 * time.Second)
	two.at = two.at.Add(1000 * time.Hour) // another machine's clock
	move(t, one, two)
	two.at = two.at.Add(35 * time.Second)
	require.False(t, two.ends())
	two.at = two.at.Add(time.Nanosecond)
	require.True(t, two.ends())
	activity.Set(&two.fake, activity.Rule{Period: 81 * time.Second})
	require.False(t, two.ends())
	two.at = two.at.Add(time.Second)
	require.True(t, two.ends())

	for _, raw := range []string{`[]`, `{"client":-1}`, `{"server":-1}`, `{"client":"x"}`} {
		s, ok := newStage(t, rule).ext.(bayeux.Snapshotter)
		require.True(t, ok)
		require.Error(t, s.Restore(bayeux.Raw(raw)), raw)
	}
}

// Modes have names.
func TestModes(t *testing.T) {
	for _, m := range []activity.Mode{activity.Client, activity.ClientServer} {
		text, err := m.MarshalText()
		require.NoError(t, err)
		var again activity.Mode
		require.NoError(t, again.UnmarshalText(text))
		require.Equal(t, m, again)
	}
	var m activity.Mode
	require.ErrorContains(t, m.UnmarshalText([]byte("server")), "want client or client-server")
	require.Equal(t, "Mode(7)", activity.Mode(7).String())
}
