package timesync_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/extensions/timesync"
	"github.com/halleypush/halley/internal/testkit"
)

// bubble runs f with a server that has the extension and holds connects for 4 s.
func bubble(t *testing.T, f func(t *testing.T, w *testkit.Wire)) {
	t.Helper()
	testkit.Bubble(t, func() (testkit.Engine, error) {
		return server.New(server.Config{
			Extensions: []bayeux.Extension{ack.New(), timesync.New(timesync.Config{})},
			Options:    server.Options{"timeout": "4000"},
		})
	}, f)
}

// synced is a part of a message that left just now by a clock that is off by so
// much.
func synced(off time.Duration, rest string) string {
	return fmt.Sprintf(`"ext":{"timesync":{"tc":%d%s}}`, time.Now().Add(off).UnixMilli(), rest)
}

// told returns the timesync of a reply, nil if there is none.
func told(m testkit.Msg) map[string]any {
	ext, _ := m["ext"].(map[string]any)
	sync, _ := ext["timesync"].(map[string]any)
	return sync
}

// Each kind of meta message is answered, failed ones too [R-TS-1].
func TestWireMetaMessages(t *testing.T) {
	bubble(t, func(t *testing.T, w *testkit.Wire) {
		u := w.Hello(synced(-time.Hour, `,"l":0,"o":0`))
		require.Equal(t, map[string]any{"tc": float64(time.Now().Add(-time.Hour).UnixMilli()), "ts": float64(time.Now().UnixMilli()), "p": 0.0, "a": -3_600_000.0}, told(u.First))
		for _, body := range []string{
			`"channel":"/meta/connect"`, `"channel":"/meta/subscribe","subscription":"/a"`, `"channel":"/meta/subscribe"`,
			`"channel":"/meta/unsubscribe","subscription":"/a"`, `"channel":"/meta/none"`, `"channel":"/meta/disconnect"`, `"channel":"/meta/connect"`,
		} {
			reply := u.Send(`[{` + body + `,"clientId":"$",` + synced(-time.Hour, `,"l":7,"o":3599000`) + `}]`)
			require.InDelta(t, -993, told(reply.Messages[0])["a"], 0, body)
			reply = u.Send(`[{` + body + `,"clientId":"$",` + synced(-time.Hour, `,"l":7,"o":3599993`) + `}]`)
			require.Nil(t, told(reply.Messages[0]), body)
		}
	})
}

// A client that does not ask notices nothing, nor does a message that is no
// meta message.
func TestWireNotAsked(t *testing.T) {
	bubble(t, func(t *testing.T, w *testkit.Wire) {
		u := w.Hello().Connect().Subscribe("/a")
		require.NotContains(t, u.First, "ext")
		reply := u.Send(`[{"channel":"/a","clientId":"$",` + synced(0, "") + `}]`)
		require.Len(t, reply.Messages, 2)
		require.NotContains(t, reply.Messages[1], "ext")
		require.Contains(t, reply.Messages[0], "ext", "others get what was published")
	})
}

// A held connect is answered with the time it was held, by long-polling and by
// WebSocket [R-TS-2]. The message that ends it does not count.
func TestWireHeldConnect(t *testing.T) {
	bubble(t, func(t *testing.T, w *testkit.Wire) {
		held := `[{"channel":"/meta/connect","clientId":"$","id":"c1",` + synced(0, "") + `}]`
		u := w.Hello().Connect().Subscribe("/a")
		came := time.Now()
		reply := u.Send(held)
		require.InDelta(t, 4000, told(reply.Messages[0])["p"], 20)
		require.InDelta(t, came.UnixMilli(), told(reply.Messages[0])["ts"], 20)

		later := u.Later(held)
		time.Sleep(1500 * time.Millisecond)
		w.Hello().Send(`[{"channel":"/a","clientId":"$","data":1}]`)
		reply = <-later
		require.Len(t, reply.Messages, 2)
		require.InDelta(t, 1500, told(reply.Messages[1])["p"], 20)

		s := w.Surf().Connect()
		s.Say(held)
		require.InDelta(t, 4000, told(s.Next(5 * time.Second).Messages[0])["p"], 20)
	})
}

// Both extensions share the ext of a reply; an unknown session is told the time
// too.
func TestWireBesideOthers(t *testing.T) {
	bubble(t, func(t *testing.T, w *testkit.Wire) {
		sync := `"timesync":{"tc":1}`
		u := w.Hello(`"ext":{"ack":true,` + sync + `}`)
		require.Contains(t, u.First["ext"], "ack")
		require.NotNil(t, told(u.First))
		reply := u.Send(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":0,` + sync + `}}]`)
		require.Contains(t, reply.Messages[0]["ext"], "ack")
		require.NotNil(t, told(reply.Messages[0]))
		reply = u.Send(`[{"channel":"/meta/connect","clientId":"nobody","ext":{` + sync + `}}]`)
		require.Equal(t, "402::session_unknown", reply.Messages[0]["error"])
		require.NotNil(t, told(reply.Messages[0]))
	})
}
