package timesync_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/timesync"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock tells the times of a list, one after the other.
type clock []time.Time

func (c *clock) now() time.Time {
	at := (*c)[0]
	*c = (*c)[1:]
	return at
}

// epoch is when messages come in these tests.
var epoch = time.UnixMilli(1_000_000)

// answer is the ext of the reply to a connect with that ext, which is kept for
// a while.
func answer(t *testing.T, c timesync.Config, ext string, kept time.Duration) string {
	t.Helper()
	at := &clock{epoch, epoch.Add(kept)}
	c.Now = at.now
	x := timesync.New(c)
	m := &bayeux.Message{Channel: "/meta/connect", Ext: bayeux.Raw(ext)}
	require.NoError(t, x.Incoming(context.Background(), nil, m))
	require.Equal(t, ext, string(m.Ext), "the message stays as it is")
	require.NoError(t, x.Outgoing(context.Background(), nil, m.Reply().Succeed(true)))
	return string(m.Reply().Ext)
}

// The client is told what it needs, unless it knows its lag and is accurate
// [R-TS-1], and without its own error if it told neither [R-TS-2]. Case 145.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		ask, want string
	}{
		"first":           {`{"tc":999000,"l":0,"o":0}`, `{"tc":999000,"ts":1000000,"p":40,"a":-1000}`},
		"no lag, exact":   {`{"tc":999000,"l":0,"o":1000}`, `{"tc":999000,"ts":1000000,"p":40,"a":0}`},
		"exact":           {`{"tc":999000,"l":10,"o":990}`, ``},
		"a bit fast":      {`{"tc":999024,"l":10,"o":990}`, ``},
		"too fast":        {`{"tc":999025,"l":10,"o":990}`, `{"tc":999025,"ts":1000000,"p":40,"a":25}`},
		"a bit slow":      {`{"tc":998976,"l":10,"o":990}`, ``},
		"too slow":        {`{"tc":998975,"l":10,"o":990}`, `{"tc":998975,"ts":1000000,"p":40,"a":-25}`},
		"without lag":     {`{"tc":999000}`, `{"tc":999000,"ts":1000000,"p":40}`},
		"offset only":     {`{"tc":999000,"o":7}`, `{"tc":999000,"ts":1000000,"p":40}`},
		"fractions":       {`{"tc":999000.75,"l":0.9,"o":-1.5}`, `{"tc":999000,"ts":1000000,"p":40,"a":-1001}`},
		"exponents":       {`{"tc":9.99e5,"l":0,"o":0}`, `{"tc":999000,"ts":1000000,"p":40,"a":-1000}`},
		"before 1970":     {`{"tc":-5,"l":0,"o":0}`, `{"tc":-5,"ts":1000000,"p":40,"a":-1000005}`},
		"unknown members": {`{"x":{},"tc":999000}`, `{"tc":999000,"ts":1000000,"p":40}`},
	} {
		t.Run(name, func(t *testing.T) {
			got := answer(t, timesync.Config{}, `{"timesync":`+c.ask+`}`, 40*time.Millisecond)
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.JSONEq(t, `{"timesync":`+c.want+`}`, got)
		})
	}
}

// What makes no sense is not answered, and harms nothing [R-TS-3].
func TestNonsense(t *testing.T) {
	for _, ask := range []string{
		`null`, `7`, `"x"`, `[]`, `{}`, `{"l":0,"o":0}`, `{"tc":null,"l":0,"o":0}`, `{"tc":"999000"}`, `{"tc":[1]}`,
		`{"tc":999000,"l":"0","o":0}`, `{"tc":999000,"l":null,"o":0}`, `{"tc":999000,"l":0}`, `{"tc":999000,"l":0,"o":{}}`,
		`{"tc":1e400}`, `{"tc":1e300}`, `{"tc":99999999999999999999}`, `{"tc":1,"l":1e17,"o":0}`,
	} {
		require.Empty(t, answer(t, timesync.Config{}, `{"timesync":`+ask+`}`, 0), ask)
	}
	require.Empty(t, answer(t, timesync.Config{}, `{"other":{"timesync":{"tc":1}}}`, 0))
}

// How long the server kept the message, a held connect above all, is the
// server's [R-TS-2]; a clock that was set back does not make it negative.
func TestKept(t *testing.T) {
	require.JSONEq(t, `{"timesync":{"tc":1,"ts":1000000,"p":4001}}`, answer(t, timesync.Config{}, `{"timesync":{"tc":1}}`, 4001*time.Millisecond))
	require.JSONEq(t, `{"timesync":{"tc":1,"ts":1000000,"p":0}}`, answer(t, timesync.Config{}, `{"timesync":{"tc":1}}`, -time.Second))
}

// How wrong a client may be is a setting [R-TS-1].
func TestAccuracy(t *testing.T) {
	const exact, off = `{"timesync":{"tc":999000,"l":10,"o":990}}`, `{"timesync":{"tc":999040,"l":10,"o":990}}`
	require.Empty(t, answer(t, timesync.Config{Accuracy: 41 * time.Millisecond}, off, 0))
	require.NotEmpty(t, answer(t, timesync.Config{Accuracy: 40 * time.Millisecond}, off, 0))
	require.NotEmpty(t, answer(t, timesync.Config{Accuracy: -1}, exact, 0))
}

// Other messages are left alone.
func TestMetaOnly(t *testing.T) {
	x := timesync.New(timesync.Config{})
	for _, channel := range []string{"/a", "/service/a", "/meta", "/metadata/x"} {
		m := &bayeux.Message{Channel: channel, Ext: bayeux.Raw(`{"timesync":{"tc":1}}`)}
		require.NoError(t, x.Incoming(context.Background(), nil, m))
		require.NoError(t, x.Outgoing(context.Background(), nil, m.Reply()))
		require.Nil(t, m.Reply().Ext, channel)
	}
}

// session is one with attributes and nothing else.
type session struct {
	bayeux.Session
	attributes bayeux.Attributes
}

func (s *session) Attributes() *bayeux.Attributes { return &s.attributes }

// Server code can ask for the lag.
func TestLag(t *testing.T) {
	s := &session{}
	_, ok := timesync.Lag(s)
	require.False(t, ok)
	x := timesync.New(timesync.Config{})
	for _, ext := range []string{`{"timesync":{"tc":1,"l":30,"o":0}}`, `{"timesync":{"tc":1}}`, `{"timesync":{"tc":1,"l":"x","o":0}}`} {
		require.NoError(t, x.Incoming(context.Background(), s, &bayeux.Message{Channel: "/meta/subscribe", Ext: bayeux.Raw(ext)}))
		lag, ok := timesync.Lag(s)
		require.True(t, ok)
		require.Equal(t, 30*time.Millisecond, lag, ext)
	}
}
