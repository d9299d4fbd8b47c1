package timestamp_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/timestamp"
	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The default is CometD's format, others are a setting [R-TM-1].
func TestFormats(t *testing.T) {
	at := time.Date(2026, time.November, 3, 3, 31, 44, 123_900_000, time.UTC)
	west := time.FixedZone("EST", -5*60*60)
	for name, c := range map[string]struct {
		config timestamp.Config
		want   string
	}{
		"default":        {timestamp.Config{Location: time.UTC}, "Tue Nov 03 03:31:44 UTC 2026"},
		"default, west":  {timestamp.Config{Location: west}, "Mon Nov 02 22:31:44 EST 2026"},
		"ISO 8601":       {timestamp.Config{Format: timestamp.ISO8601, Location: time.UTC}, "2026-11-03T03:31:44.123Z"},
		"ISO 8601, west": {timestamp.Config{Format: timestamp.ISO8601, Location: west}, "2026-11-02T22:31:44.123-05:00"},
		"HTTP":           {timestamp.Config{Format: timestamp.HTTP, Location: west}, "Tue, 03 Nov 2026 03:31:44 GMT"},
		"of one's own":   {timestamp.Config{Format: `"06\`, Location: time.UTC}, `"26\`},
		"where we are":   {timestamp.Config{Format: timestamp.ISO8601}, at.In(time.Local).Format(timestamp.ISO8601)},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Now = func() time.Time { return at }
			m := &bayeux.Message{Channel: "/a"}
			require.NoError(t, timestamp.New(c.config).Outgoing(context.Background(), nil, m))
			var got string
			require.NoError(t, json.Unmarshal(m.Field(timestamp.Field), &got))
			require.Equal(t, c.want, got)
		})
	}
}

// A shared message is not touched: its receiver gets a copy.
func TestShared(t *testing.T) {
	m := (&bayeux.Message{Channel: "/a"}).Share()
	require.NoError(t, timestamp.New(timestamp.Config{}).Outgoing(context.Background(), nil, m))
	require.Nil(t, m.Field(timestamp.Field))
	require.NotNil(t, m.Edited().Field(timestamp.Field))
}

// Every message and every reply has the field, at the time when it leaves, and
// a publisher's own value is overwritten [R-TM-1]. Case 151.
func TestWire(t *testing.T) {
	testkit.Bubble(t, func() (testkit.Engine, error) {
		return server.New(server.Config{
			Extensions: []bayeux.Extension{timestamp.New(timestamp.Config{Format: timestamp.ISO8601, Location: time.UTC})},
			Options:    server.Options{"timeout": "4000"},
		})
	}, func(t *testing.T, w *testkit.Wire) {
		stamps := func(messages []testkit.Msg, channels ...string) {
			t.Helper()
			require.Len(t, messages, len(channels))
			for i, m := range messages {
				require.Equal(t, channels[i], m["channel"])
				require.Equal(t, time.Now().UTC().Format(timestamp.ISO8601), m["timestamp"], "%v", m)
			}
		}
		u := w.Hello(`"timestamp":"1999"`)
		stamps([]testkit.Msg{u.First}, "/meta/handshake")
		stamps(u.Send(testkit.ConnectNow).Messages, "/meta/connect")
		u.Subscribe("/a")
		stamps(u.Send(`[{"channel":"/a","clientId":"$","data":1,"timestamp":"1999"}]`).Messages, "/a", "/a")
		stamps(u.Send(`[{"channel":"/none","clientId":"nobody"}]`).Messages, "/none")
		stamps(u.Send(testkit.ConnectHold).Messages, "/meta/connect") // 4 s later

		s := w.Surf().Connect().Subscribe("/a")
		s.Say(testkit.ConnectHold)
		u.Send(`[{"channel":"/a","clientId":"$","data":1}]`)
		stamps(s.Get(), "/a")
		stamps(s.Next(5*time.Second).Messages, "/meta/connect")
		synctest.Wait()
	})
}

// What the server itself sends has the field too: publications, deliveries and
// the farewell.
func TestWireServer(t *testing.T) {
	var srv *server.Server
	testkit.Bubble(t, func() (_ testkit.Engine, err error) {
		srv, err = server.New(server.Config{Extensions: []bayeux.Extension{timestamp.New(timestamp.Config{Format: timestamp.ISO8601})}})
		return srv, err
	}, func(t *testing.T, w *testkit.Wire) {
		s := w.Surf().Subscribe("/a") // a socket that was not used for a connect last hears the farewell
		session, ok := srv.Session(s.ID)
		require.True(t, ok)
		for _, send := range []func() error{
			func() error { return srv.Publish(t.Context(), "/a", 1) },
			func() error { return session.Deliver(t.Context(), "/b", 1) },
			func() error { return session.Disconnect(t.Context()) },
		} {
			require.NoError(t, send())
			require.Contains(t, s.Get()[0], "timestamp")
		}
	})
}
