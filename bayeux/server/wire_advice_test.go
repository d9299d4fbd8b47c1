package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// wireTiming returns the setters of a session's times.
func wireTiming(u *user) bayeux.Timing {
	u.r.t.Helper()
	timing, ok := wireSession(u).(bayeux.Timing)
	require.True(u.r.t, ok)
	return timing
}

// [R-AD-1], [R-AD-2], [R-AD-3]: full advice with the handshake, with each
// connect that has advice of its own, and where the transport changes; else
// none.
func TestWireAdviceWhenDue(t *testing.T) {
	bubble(t, option("ws.timeout", "7000"), func(t *testing.T, r *rig) {
		u := r.hello("")
		same(t, wireFull, u.first["advice"])
		for _, c := range []struct{ more, want string }{
			{``, ""},
			{`"advice":{"timeout":0}`, wireFull},
			{`"advice":{"timeout":1}`, wireFull},
			{``, ""},
			{`"advice":{}`, wireFull},
			{`"advice":null`, ""},
			{`"advice":{"foo":1}`, wireFull},
			{`"advice":{"interval":-1}`, wireFull},
		} {
			m := u.send(wireConnect(c.more)).Messages[0]
			if c.want == "" {
				require.NotContains(t, m, "advice", c.more)
			} else {
				same(t, c.want, m["advice"])
			}
		}
		s := r.Dial(nil)
		defer s.Cut()
		connect := u.fill(`[{"channel":"/meta/connect","clientId":"$","id":"c1"}]`)
		s.Send(connect)
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":{"reconnect":"retry","interval":0,"timeout":7000}}]`,
			s.Next(8*time.Second).Messages)
		s.Send(connect)
		same(t, wireHeldOK, s.Next(8*time.Second).Messages)
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":`+wireFull+`}]`, u.send(connectHold).Messages)
		same(t, wireHeldOK, u.send(connectHold).Messages)
	})
}

// [R-AD-1], [R-AD-4] and case 47: times changed by the server.
func TestWireAdviceAfterChange(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		held := wireHold(u)
		time.Sleep(time.Second)
		wireTiming(u).SetTimeout(1500 * time.Millisecond)
		wireTiming(u).SetInterval(250 * time.Millisecond)
		got := <-held
		soon(t, 4*time.Second, got.Took)
		changed := `{"reconnect":"retry","interval":250,"timeout":1500}`
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":`+changed+`}]`, got.Messages)
		got = u.send(connectHold)
		soon(t, 1500*time.Millisecond, got.Took)
		same(t, wireHeldOK, got.Messages)

		wireTiming(u).SetTimeout(-1) // the transport's again
		wireTiming(u).SetInterval(-1)
		got = u.send(connectHold)
		soon(t, 4*time.Second, got.Took)
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":`+wireFull+`}]`, got.Messages)

		// The client's own time goes before the session's ([R-CN-6]), and a
		// timeout of 0 by the server does not hold.
		wireTiming(u).SetTimeout(0)
		got = u.send(connectHold)
		require.Zero(t, got.Took)
		same(t, `{"reconnect":"retry","interval":0,"timeout":0}`, got.Messages[0]["advice"])
		wireTiming(u).SetInterval(time.Second)
		same(t, `{"reconnect":"retry","interval":1000,"timeout":0}`, u.send(connectHold).Messages[0]["advice"])
		soon(t, time.Second, u.send(wireConnect(`"advice":{"timeout":1000}`)).Took)
	})
}

// [R-AD-5]: no advice but with handshakes and connects, also where it is due.
func TestWireAdviceNowhereElse(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		wireTiming(u).SetTimeout(time.Second)
		for _, m := range []string{
			`"channel":"/meta/subscribe","subscription":"/a"`, `"channel":"/meta/subscribe"`, `"channel":"/meta/unsubscribe","subscription":"/a"`,
			`"channel":"/a"`, `"channel":"/a?"`, `"channel":"/service/x"`, `"channel":"/meta/x"`, `"channel":"/meta/disconnect"`,
		} {
			reply := u.send(`[{` + m + `,"clientId":"$","advice":{"timeout":0}}]`)
			require.NotContains(t, reply.Messages[0], "advice", reply.Body)
		}
	})
}

// [R-AD-6], [R-AD-8]: each value of reconnect, and nothing that CometD's
// advice does not have.
func TestWireAdviceValues(t *testing.T) {
	policy := wirePolicy{handshake: func(_ bayeux.Session, m *bayeux.Message) error {
		if m.Ext != nil {
			return &bayeux.Error{}
		}
		return nil
	}}
	bubble(t, wireWith(policy), func(t *testing.T, r *rig) {
		known := []string{"reconnect", "interval", "timeout", "maxInterval", "multiple-clients"}
		u := r.hello("").connect()
		v := r.helloWith(u.cookie, "")
		held := wireHold(u)
		for reconnect, m := range map[string]any{
			"retry":         u.first["advice"],
			"handshake":     wireAt(r, "bogus", u.cookie).send(connectHold).Messages[0]["advice"],
			"none":          wireShake(r, "", `"ext":{}`).Messages[0]["advice"],
			"retry, others": v.send(connectHold).Messages[0]["advice"],
		} {
			advice, ok := m.(map[string]any)
			require.True(t, ok, reconnect)
			require.Equal(t, reconnect[:4], text(advice["reconnect"])[:4])
			for k := range advice {
				require.Contains(t, known, k)
			}
		}
		u.send(`[{"channel":"/meta/disconnect","clientId":"$"}]`)
		same(t, wireHeldNone, wireAnswered(t, held).Messages)
	})
}
