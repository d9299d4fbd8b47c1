package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// wireAbort sends a connect, waits until it is held and aborts it.
func wireAbort(u *user) {
	u.r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	held := u.r.Go(testkit.Request{Body: u.fill(connectHold), Cookie: u.cookie, Ctx: ctx})
	wireStillHeld(u.r.t, held)
	cancel()
	require.Nil(u.r.t, <-held)
	synctest.Wait()
}

// Case 48: [R-CN-21] as decided. The hold is dropped, nothing is lost, and the
// expiry clock starts.
func TestWireAbortedConnect(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, v := r.hello("").connect().subscribe("/a"), r.hello("").connect()
		wireAbort(u)
		require.Zero(t, r.stats().Holds)
		v.publish("/a", "1")
		got := u.send(connectHold)
		require.Zero(t, got.Took)
		same(t, `[{"channel":"/a","data":1},{"channel":"/meta/connect","id":"c1","successful":true}]`, got.Messages)

		time.Sleep(2 * time.Second)
		wireAbort(u)
		time.Sleep(2900 * time.Millisecond)
		require.True(t, wireAlive(u))
		time.Sleep(700 * time.Millisecond)
		require.False(t, wireAlive(u))
	})
}

// Case 49: the same with retained delivery.
func TestWireAbortedConnectWithAck(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u, v := r.hello(`"ext":{"ack":true}`), r.hello("").connect()
		u.send(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":0},"advice":{"timeout":0}}]`)
		u.subscribe("/a")
		v.publish("/a", "1")
		require.Contains(t, u.send(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":1}}]`).Body, `"data":1`)
		// The client has not seen that answer.
		got := u.send(`[{"channel":"/meta/connect","clientId":"$","ext":{"ack":1}}]`)
		require.Zero(t, got.Took)
		require.Contains(t, got.Body, `"data":1`)
	})
}

// wireFlaky lets a test decide on each write of an answer.
type wireFlaky struct {
	http.ResponseWriter
	write func() error
}

func (f wireFlaky) Write(b []byte) (int, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.ResponseWriter.Write(b)
}

// [R-CN-18], [R-CN-22]: the clock starts when the answer has been written, and
// also when it could not be; then its messages wait for the next connect.
func TestWireWriteOfHeldReply(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		write := func() error { return nil }
		flaky := &rig{t: t, srv: r.srv, Wire: testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			r.srv.ServeHTTP(wireFlaky{w, func() error { return write() }}, q)
		}), "/cometd")}
		defer flaky.Close()
		odd := wireAt(flaky, u.id, u.cookie)

		write = func() error { //nolint:unparam // a later one fails
			time.Sleep(5 * time.Second) // longer than maxInterval
			return nil
		}
		held := wireHold(odd)
		r.hello("").publish("/a", "1")
		require.Contains(t, (<-held).Body, `"data":1`)
		time.Sleep(2900 * time.Millisecond)
		require.True(t, wireAlive(u))

		write = func() error { return errors.New("broken pipe") }
		held = wireHold(odd)
		r.hello("").publish("/a", "2")
		<-held
		same(t, `[{"channel":"/a","data":2},{"channel":"/meta/connect","id":"c1","successful":true}]`, u.send(connectHold).Messages)
		held = wireHold(odd)
		r.hello("").publish("/a", "3")
		<-held
		time.Sleep(2900 * time.Millisecond)
		require.True(t, wireAlive(u))
		time.Sleep(700 * time.Millisecond)
		require.False(t, wireAlive(u))
	})
}

// Case 56: time-outs of the listener's connections do not cut a hold; and
// [R-CN-25] the same on HTTP/2.
func TestWireIdleTimeoutOfListener(t *testing.T) {
	for _, version := range []int{1, 2} {
		bubble(t, nil, func(t *testing.T, r *rig) {
			u := r.hello("").connect()
			p := new(http.Protocols)
			p.SetHTTP1(version == 1)
			p.SetUnencryptedHTTP2(version == 2)
			half := 500 * time.Millisecond
			l, stop := wireListen(&http.Server{Protocols: p, IdleTimeout: half, ReadTimeout: half, WriteTimeout: half}, r.srv)
			defer stop()
			client := wireClient(l, p)
			defer client.CloseIdleConnections()
			req, err := http.NewRequest(http.MethodPost, "http://memory/cometd", strings.NewReader(u.fill(connectHold)))
			require.NoError(t, err)
			req.Header.Set("Cookie", u.cookie)
			start := time.Now()
			resp, err := client.Do(req)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			soon(t, 4*time.Second, time.Since(start))
			require.Equal(t, version, resp.ProtoMajor)
			same(t, wireHeldOK, string(body))
		})
	}
}

// [R-CN-26]: a request sent behind a held connect on the same connection is
// answered after it.
func TestWirePipelining(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		l, stop := wireListen(&http.Server{}, r.srv)
		defer stop()
		conn, err := l.Dial(context.Background())
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		post := func(body string) string {
			body = u.fill(body)
			return "POST /cometd HTTP/1.1\r\nHost: memory\r\nCookie: " + u.cookie + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
		}
		start := time.Now()
		go func() {
			_, _ = io.WriteString(conn, post(connectHold)+post(`[{"channel":"/a","clientId":"$","id":"p","data":1}]`))
		}()
		in := bufio.NewReader(conn)
		for _, want := range []string{wireHeldOK, `[{"channel":"/a","data":1},{"channel":"/a","id":"p","successful":true}]`} {
			resp, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			_ = resp.Body.Close()
			same(t, want, string(body))
			soon(t, 4*time.Second, time.Since(start))
		}
	})
}
