package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// wireConnect is a connect with more fields.
func wireConnect(more string) string {
	return `[{"channel":"/meta/connect","clientId":"$","id":"c1"` + join(more) + `}]`
}

// [R-CN-3], [R-CN-4], [R-CN-5] and cases 26, 27: the first connect returns at
// once, the second is held for its time and then succeeds with nothing else.
func TestWireFirstAndSecondConnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for _, first := range []string{``, `"advice":{"timeout":3000}`, `"advice":{}`} {
			u := r.hello("")
			require.Zero(t, u.send(wireConnect(first)).Took) // [R-CN-5]
			got := <-wireHold(u)
			soon(t, 4*time.Second, got.Took) // [R-CN-8]
			require.Equal(t, 200, got.Status)
			if first == "" {
				same(t, wireHeldOK, got.Messages) // [R-CN-1]
			}
		}
	})
}

// Cases 28 and 29: [R-CN-6], [R-CN-7], [R-AD-3].
func TestWireConnectTimeout(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for _, c := range []struct {
			more   string
			held   time.Duration
			advice string
		}{
			{`"advice":{"timeout":1000}`, time.Second, wireFull},
			{``, 4 * time.Second, ""}, // the client's time was for that message
			{`"advice":{"timeout":6000}`, 6 * time.Second, wireFull},
			{`"advice":{"timeout":0}`, 0, wireFull},
			{`"advice":{"timeout":-1}`, 4 * time.Second, wireFull},
			{`"advice":{}`, 4 * time.Second, wireFull},
			{`"advice":null`, 4 * time.Second, ""},
			{`"advice":{"timeout":99999999999}`, 10 * time.Minute, wireFull}, // DESIGN 7
		} {
			got := u.send(wireConnect(c.more))
			soon(t, c.held, got.Took)
			want := `{"channel":"/meta/connect","id":"c1","successful":true}`
			if c.advice != "" {
				want = want[:len(want)-1] + `,"advice":` + c.advice + `}`
			}
			same(t, `[`+want+`]`, got.Messages)
		}
	})
}

// [R-CN-2] and case 32: the connection type is not looked at.
func TestWireConnectionType(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for _, more := range []string{``, `"connectionType":"websocket"`, `"connectionType":"foo"`, `"connectionType":5`, `"connectionType":null`} {
			got := u.send(wireConnect(more))
			soon(t, 4*time.Second, got.Took)
			same(t, wireHeldOK, got.Messages)
		}
	})
}

// Cases 39 and 40: [R-CN-9], [R-CN-19].
func TestWireConnectIsWoken(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, v := r.hello("").connect().subscribe("/a"), r.hello("").connect()
		held := wireHold(u)
		time.Sleep(time.Second)
		v.publish("/a", "1")
		got := wireAnswered(t, held)
		soon(t, time.Second, got.Took)
		same(t, `[{"channel":"/a","data":1},{"channel":"/meta/connect","id":"c1","successful":true}]`, got.Messages)

		held = wireHold(u)
		time.Sleep(time.Second)
		u.subscribe("/b")
		same(t, `[{"channel":"/a","data":2},{"channel":"/a","id":"p","successful":true}]`, u.publish("/a", "2").Messages)
		u.send(`[{"channel":"/meta/unsubscribe","clientId":"$","subscription":"/b"}]`)
		v.publish("/b", "3")
		wireStillHeld(t, held)
		got = <-held
		soon(t, 4*time.Second, got.Took)
		same(t, wireHeldOK, got.Messages)
	})
}

// [R-CN-10]: a burst arrives whole and in order, in as many polls as it takes.
func TestWireBurst(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, v := r.hello("").connect().subscribe("/a"), r.hello("").connect()
		held := wireHold(u)
		burst := "["
		for i := range 20 {
			if i > 0 {
				burst += ","
			}
			burst += fmt.Sprintf(`{"channel":"/a","clientId":"$","data":%d}`, i)
		}
		v.send(burst + "]")
		got := wireAnswered(t, held)
		require.Greater(t, len(got.Messages), 1)
		next := 0
		for polls := 0; next < 20; polls++ {
			require.Less(t, polls, 20)
			last := len(got.Messages) - 1
			require.Equal(t, "/meta/connect", got.Messages[last]["channel"])
			for _, m := range got.Messages[:last] {
				require.InDelta(t, next, m["data"], 0)
				next++
			}
			if next < 20 {
				got = u.send(connectHold)
				require.Zero(t, got.Took) // [R-CN-11]
			}
		}
	})
}

// [R-CN-11]: what is queued answers the connect.
func TestWireConnectWithBacklog(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, v := r.hello("").connect().subscribe("/a"), r.hello("").connect()
		v.publish("/a", "1")
		v.publish("/a", "2")
		got := u.send(connectHold)
		require.Zero(t, got.Took)
		same(t, `[{"channel":"/a","data":1},{"channel":"/a","data":2},{"channel":"/meta/connect","id":"c1","successful":true}]`, got.Messages)
	})
}

// Cases 34 and 35: [R-CN-12], [R-CN-13], [R-CN-4].
func TestWireConnectAmongOthers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, v := r.hello("").connect().subscribe("/q"), r.hello("").connect()
		connect := `{"channel":"/meta/connect","clientId":"$","id":"c1"}`
		connected := `{"channel":"/meta/connect","id":"c1","successful":true}`
		subscribe := `{"channel":"/meta/subscribe","clientId":"$","id":"s","subscription":"/a"}`
		subscribed := `{"channel":"/meta/subscribe","id":"s","subscription":"/a","successful":true}`
		for body, want := range map[string]string{
			`[` + connect + `,` + subscribe + `]`: `[` + connected + `,` + subscribed + `]`,
			`[` + subscribe + `,` + connect + `]`: `[` + subscribed + `,` + connected + `]`,
			`[` + connect + `,` + connect + `]`:   `[` + connected + `,` + connected + `]`,
		} {
			got := u.send(body)
			require.Zero(t, got.Took)
			same(t, want, got.Messages)
			v.publish("/q", "1")
			same(t, `[{"channel":"/q","data":1},`+want[1:], u.send(body).Messages)
		}
		require.Equal(t, 1, r.srv.Subscribers("/a"))
		// As the first connect it counts as that: the next is held.
		w := r.hello("")
		w.send(`[` + connect + `,` + subscribe + `]`)
		soon(t, 4*time.Second, w.send(connectHold).Took)
	})
}

// Case 30: [R-CN-14].
func TestWireClientInterval(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		got := u.send(wireConnect(`"advice":{"timeout":0,"interval":500}`))
		same(t, `{"reconnect":"retry","interval":500,"timeout":4000}`, got.Messages[0]["advice"])
		got = u.send(wireConnect(`"advice":{"timeout":0}`))
		same(t, wireFull, got.Messages[0]["advice"])
		got = u.send(wireConnect(`"advice":{"timeout":1000,"interval":700}`)) // held
		same(t, `{"reconnect":"retry","interval":700,"timeout":4000}`, got.Messages[0]["advice"])

		u.send(wireConnect(`"advice":{"timeout":0,"interval":60000}`))
		time.Sleep(62 * time.Second)
		require.True(t, wireAlive(u))
		u.send(connectHold) // the server's interval again
		time.Sleep(3600 * time.Millisecond)
		require.False(t, wireAlive(u))
	})
}

// Cases 36 and 37: [R-CN-20]. The older request fails, the newer one is held
// for its full time, and nothing is lost.
func TestWireDuplicateConnect(t *testing.T) {
	for status, change := range map[int][]string{500: nil, 409: {"duplicateMetaConnectHttpResponseCode", "409"}} {
		bubble(t, option(change...), func(t *testing.T, r *rig) {
			u := r.hello("").connect().subscribe("/a")
			older := wireHold(u)
			time.Sleep(3 * time.Second)
			newer := wireHold(u)
			got := wireAnswered(t, older)
			require.Equal(t, status, got.Status)
			require.Empty(t, got.Messages)
			time.Sleep(3 * time.Second)
			wireStillHeld(t, newer)
			r.hello("").publish("/a", "1")
			got = wireAnswered(t, newer)
			soon(t, 3*time.Second, got.Took)
			require.Len(t, got.Messages, 2)
			soon(t, 4*time.Second, (<-wireHold(u)).Took)

			// Also one that is not held takes over.
			older = wireHold(u)
			require.Equal(t, true, u.send(connectNow).Messages[0]["successful"])
			require.Equal(t, status, wireAnswered(t, older).Status)
			require.Zero(t, r.stats().Holds)
		})
	}
}

// [R-CN-20] as WIRE 17 has it: of ten at once all but the newest end.
func TestWireTenDuplicates(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		var all []<-chan *testkit.Reply
		for range 10 {
			all = append(all, u.later(connectHold))
		}
		count := map[int]int{}
		for _, c := range all {
			count[(<-c).Status]++
		}
		require.Equal(t, map[int]int{200: 1, 500: 9}, count)
	})
}
