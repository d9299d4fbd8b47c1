package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

const (
	wirePoll   = `{"multiple-clients":true,"reconnect":"retry","interval":2000}`
	wirePolled = `[{"channel":"/meta/connect","id":"c1","successful":true,"advice":` + wirePoll + `}]`
)

// Case 58: [R-MC-1], [R-MC-2], [R-MC-4].
func TestWireSecondSessionPolls(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		v := r.helloWith(u.cookie, "")
		held := wireHold(u)
		got := v.send(connectHold) // its first
		require.Zero(t, got.Took)
		same(t, wirePolled, got.Messages)
		same(t, wirePolled, v.send(connectHold).Messages)
		for _, more := range []string{`"advice":{}`, `"advice":{"timeout":0}`, `"advice":{"timeout":9000}`} {
			got = v.send(wireConnect(more))
			require.Zero(t, got.Took)
			// Merged into the full advice that is due.
			same(t, `{"multiple-clients":true,"reconnect":"retry","interval":2000,"timeout":4000}`, got.Messages[0]["advice"])
		}
		same(t, `[{"channel":"/a","id":"p","successful":true}]`, v.publish("/a", "1").Messages)
		wireStillHeld(t, held)
		same(t, wireHeldOK, (<-held).Messages)
	})
}

// Polls bring the messages along.
func TestWirePollsDeliver(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		v := r.helloWith(u.cookie, "").connect().subscribe("/a")
		held := wireHold(u)
		u.publish("/a", "1")
		same(t, `[{"channel":"/a","data":1},`+wirePolled[1:], v.send(connectHold).Messages)
		<-held
	})
}

// Case 59: [R-MC-3].
func TestWireSecondSessionRefused(t *testing.T) {
	for _, interval := range []string{"0", "-1"} {
		bubble(t, option("multiSessionInterval", interval), func(t *testing.T, r *rig) {
			u := r.hello("").connect()
			v := r.helloWith(u.cookie, "").connect()
			held := wireHold(u)
			for _, body := range []string{connectHold, wireConnect(`"advice":{"timeout":0}`)} {
				same(t, `[{"channel":"/meta/connect","id":"c1","successful":false,"advice":{"multiple-clients":true,"reconnect":"none"}}]`,
					v.send(body).Messages)
			}
			<-held
		})
	}
}

// Case 61: [R-MC-1].
func TestWireSessionsPerBrowser(t *testing.T) {
	bubble(t, option("maxSessionsPerBrowser", "2"), func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		v, w := r.helloWith(u.cookie, "").connect(), r.helloWith(u.cookie, "").connect()
		a, b := wireHold(u), wireHold(v)
		same(t, wirePolled, w.send(connectHold).Messages)
		same(t, wireHeldOK, (<-a).Messages)
		same(t, wireHeldOK, (<-b).Messages)
	})
	bubble(t, option("maxSessionsPerBrowser", "-1"), func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		all := []<-chan *testkit.Reply{wireHold(u)}
		for range 5 {
			all = append(all, wireHold(r.helloWith(u.cookie, "").connect()))
		}
		for _, held := range all {
			same(t, wireHeldOK, (<-held).Messages)
		}
	})
	bubble(t, option("maxSessionsPerBrowser", "0"), func(t *testing.T, r *rig) {
		u := r.hello("")
		for range 3 {
			got := u.send(connectHold)
			require.Zero(t, got.Took)
			same(t, wirePolled, got.Messages)
		}
	})
}

// Case 62: [R-MC-5]. A duplicate is not a second session, and whoever comes
// next when the holder's connect has ended may hold, however it ended.
func TestWireHolderChanges(t *testing.T) {
	bubble(t, option("maxInterval", "60000"), func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		v := r.helloWith(u.cookie, "").connect()
		older := wireHold(u)
		newer := wireHold(u)
		require.Equal(t, 500, wireAnswered(t, older).Status)
		same(t, wirePolled, v.send(connectHold).Messages)
		soon(t, 4*time.Second, (<-newer).Took) // ended by time

		got := v.send(connectHold)
		soon(t, 4*time.Second, got.Took)
		same(t, wireHeldOK, got.Messages) // as CometD: the advice to poll is not taken back

		held := wireHold(u)
		v.publish("/a", "1")
		wireAnswered(t, held) // by a message
		soon(t, 4*time.Second, v.send(connectHold).Took)

		wireAbort(u) // by its client
		soon(t, 4*time.Second, v.send(connectHold).Took)

		held = wireHold(u)
		u.send(`[{"channel":"/meta/disconnect","clientId":"$"}]`) // by a disconnect
		wireAnswered(t, held)
		soon(t, 4*time.Second, v.send(connectHold).Took)
	})
}

// [R-MC-6]: the interval of a poll is not the session's.
func TestWirePollsDoNotExtend(t *testing.T) {
	bubble(t, option("timeout", "30000"), func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		v := r.helloWith(u.cookie, "").connect()
		held := wireHold(u)
		for range 3 { // in time
			same(t, wirePolled, v.send(connectHold).Messages)
			time.Sleep(2 * time.Second)
		}
		same(t, wirePolled, v.send(connectHold).Messages)
		time.Sleep(4 * time.Second)
		same(t, wireGone, v.send(connectHold).Messages)
		<-held
	})
}

// [R-MC-7]: connects on WebSockets do not count, whatever cookie they have.
func TestWireSocketsDoNotCount(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		s := r.Dial(http.Header{"Cookie": {u.cookie}})
		defer s.Cut()
		s.Send(`[{"channel":"/meta/handshake"}]`)
		onSocket := wireAt(r, text(s.Next(time.Second).Messages[0]["clientId"]), "")
		s.Send(onSocket.fill(connectNow))
		s.Next(time.Second)
		s.Send(onSocket.fill(connectHold))
		soon(t, 4*time.Second, (<-wireHold(u)).Took)
		same(t, wireHeldOK, s.Next(time.Second).Messages)
	})
}

// [R-MC-8]: clients that keep no cookies get a new one with each handshake,
// and are not limited; afterwards each needs its own ([R-ID-3]).
func TestWireClientsWithoutCookieJar(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		cookies := map[string]bool{}
		var all []<-chan *testkit.Reply
		for range 5 {
			u := r.hello("").connect()
			cookies[u.cookie] = true
			all = append(all, wireHold(u))
		}
		require.Len(t, cookies, 5)
		for _, held := range all {
			same(t, wireHeldOK, (<-held).Messages)
		}
	})
}

// Case 63: [R-MC-1] on HTTP/2.
func TestWireBrowserOnHTTP2(t *testing.T) {
	type answer struct {
		took time.Duration
		body string
	}
	for limit, want := range map[string]string{"-1": wireHeldOK, "1": wirePolled} {
		bubble(t, option("http2MaxSessionsPerBrowser", limit), func(t *testing.T, r *rig) {
			p := new(http.Protocols)
			p.SetUnencryptedHTTP2(true)
			l, stop := wireListen(&http.Server{Protocols: p}, r.srv)
			defer stop()
			client := wireClient(l, p)
			defer client.CloseIdleConnections()
			post := func(u *user) answer {
				start := time.Now()
				req, err := http.NewRequest(http.MethodPost, "http://memory/cometd", strings.NewReader(u.fill(connectHold)))
				if err != nil {
					return answer{body: err.Error()}
				}
				req.Header.Set("Cookie", u.cookie)
				resp, err := client.Do(req)
				if err != nil {
					return answer{body: err.Error()}
				}
				defer func() { _ = resp.Body.Close() }()
				body, _ := io.ReadAll(resp.Body)
				return answer{time.Since(start), string(body)}
			}
			u := r.hello("").connect()
			v := r.helloWith(u.cookie, "").connect()
			first := make(chan answer, 1)
			go func() { first <- post(u) }()
			time.Sleep(100 * time.Millisecond)
			second := post(v)
			same(t, want, second.body)
			require.Equal(t, limit == "-1", second.took > time.Second)
			got := <-first
			same(t, wireHeldOK, got.body)
			soon(t, 4*time.Second, got.took)
		})
	}
}
