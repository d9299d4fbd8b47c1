package transport

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

// fakePaths remembers what it is asked, by address, and counts what it is told.
type fakePaths struct {
	mu          sync.Mutex
	refuses     bool
	asked       []string
	dead, alive int
}

func (f *fakePaths) note(list *[]string, from *bayeux.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, from.Remote.Addr().String()+from.URL)
}

func (f *fakePaths) Upgrade(from *bayeux.Request) bool {
	f.note(&f.asked, from)
	return !f.refuses
}

func (f *fakePaths) Dead(Port)  { f.count(&f.dead) }
func (f *fakePaths) Alive(Port) { f.count(&f.alive) }

func (f *fakePaths) count(n *int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*n++
}

// told returns how often it was told of dead ones and live ones.
func (f *fakePaths) told() [2]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return [2]int{f.dead, f.alive}
}

// watchEnv is a connection that is watched, in a bubble.
type watchEnv struct {
	*wsEnv

	paths *fakePaths
	start time.Time
}

const watchSilence = 2 * time.Second

// watchEach runs f on connections of all kinds: those of servePipes are an
// engine's too when TestFront runs this.
func watchEach(t *testing.T, f func(e *watchEnv)) {
	t.Helper()
	for _, kind := range []string{"plain", "poller", "served"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				paths := new(fakePaths)
				o := WSOptions{Silence: watchSilence, Paths: paths, IdleTimeout: -1}
				if kind == "poller" {
					o.Poller = newMemoryPoller()
				}
				e := &watchEnv{wsEnv: newWSEnv(t, o), paths: paths, start: time.Now()}
				e.hub.receive = answerAll
				if kind == "served" {
					conn := servePipes(t, NewHandler(e.hub, Options{WebSocket: e.carrier.Serve})).dial(t)
					conn.send(wsTestUpgrade + "\r\n")
					e.connected(conn.Conn)
				} else {
					e.dialPipe("", nil)
				}
				f(e)
				e.end()
				c, _ := e.port.link.(*wsConn)
				c.mu.Lock()
				require.Nil(t, c.watchLocked(), "nothing is kept")
				c.mu.Unlock()
				if kind == "poller" {
					require.NoError(t, o.Poller.Wait(context.Background()))
				}
				require.Len(t, paths.asked, 1)
				if kind == "served" {
					require.Equal(t, []string{"192.0.2.1/cometd"}, paths.asked)
				}
			})
		})
	}
}

// answerAll answers each message but connects whose id is "held".
func answerAll(p *wsPort, batch []*bayeux.Message) error {
	for _, m := range batch {
		switch {
		case m.ID == "held":
		case m.Channel == wsMetaHandshake:
			p.push(Output{Handshake: []byte(`{"h":1}`)})
		default:
			p.push(Output{Replies: wsReplies([]string{`{"id":"` + m.ID + `"}`})})
		}
	}
	return nil
}

func (e *watchEnv) handshake() {
	e.t.Helper()
	e.client.text(`[{"channel":"/meta/handshake","id":"1"}]`)
	e.client.expect(`[{"h":1}]`)
}

func (e *watchEnv) connect(id string) {
	e.t.Helper()
	e.client.text(`[{"channel":"/meta/connect","id":"` + id + `"}]`)
	if id != "held" {
		e.client.expect(`[{"id":"` + id + `"}]`)
	}
}

func (e *watchEnv) publish() {
	e.t.Helper()
	e.client.text(`[{"channel":"/a","id":"p"}]`)
	e.client.expect(`[{"id":"p"}]`)
}

// ping expects one when nothing has come for long enough.
func (e *watchEnv) ping() {
	e.t.Helper()
	start := time.Now()
	f, err := e.client.next()
	require.NoError(e.t, err)
	require.Equal(e.t, wsFrame{ws.OpPing, 0, ""}, f)
	require.Equal(e.t, watchSilence, time.Since(start))
}

func (e *watchEnv) pong() {
	e.t.Helper()
	e.client.frame(frameFin|byte(ws.OpPong), "")
}

// dies expects a ping after Silence, and a cut after another.
func (e *watchEnv) dies() {
	e.t.Helper()
	e.ping()
	start := time.Now()
	_, err := e.client.next()
	require.Error(e.t, err, "no close frame")
	require.Equal(e.t, watchSilence, time.Since(start))
	<-e.port.gone
	synctest.Wait()
	require.Equal(e.t, []End{EndDead}, e.port.ends)
	require.Equal(e.t, [2]int{1, 0}, e.paths.told())
	require.Equal(e.t, 1, e.counts.event(EventWSDead))
	require.Equal(e.t, 1, e.counts.event(EventWSClosed+"1006"))
}

// lives expects nothing for a day: no ping, no cut, no timer.
func (e *watchEnv) lives(alive int) {
	e.t.Helper()
	time.Sleep(24 * time.Hour)
	synctest.Wait()
	e.port.push(Output{Messages: wsFrozen(`{"n":1}`)})
	e.port.link.Wake()
	e.client.expect(`[{"n":1}]`)
	require.Equal(e.t, [2]int{0, alive}, e.paths.told())
	require.Zero(e.t, e.counts.event(EventWSDead))
	c, _ := e.port.link.(*wsConn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if alive > 0 {
		require.Nil(e.t, c.aside, "nothing is kept")
		require.False(e.t, c.watched.Load())
	} else {
		require.Nil(e.t, c.aside.watch.timer)
	}
}

func TestWatchOpened(t *testing.T) {
	t.Run("nothing comes", func(t *testing.T) { watchEach(t, (*watchEnv).dies) })
	t.Run("a pong comes", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.ping()
			time.Sleep(watchSilence - 1)
			e.pong()
			e.lives(0)
			e.handshake() // and is watched once more
			e.dies()
		})
	})
	t.Run("half a frame comes", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.client.raw(wsMasked(frameFin|byte(ws.OpText), "[]")[:1])
			e.lives(0)
		})
	})
	t.Run("the peer leaves", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.ping()
			time.Sleep(time.Second)
			require.NoError(e.t, e.client.conn.Close())
			<-e.port.gone
			time.Sleep(time.Hour)
			require.Equal(e.t, []End{EndLost}, e.port.ends)
			require.Equal(e.t, [2]int{}, e.paths.told())
		})
	})
	t.Run("we leave", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.ping()
			time.Sleep(time.Second)
			e.port.link.Close(1008, "not you")
			f, err := e.client.next()
			require.NoError(e.t, err)
			require.Equal(e.t, ws.OpClose, f.op)
			<-e.port.gone
			time.Sleep(time.Hour)
			require.Equal(e.t, []End{EndClosed}, e.port.ends)
			require.Equal(e.t, [2]int{}, e.paths.told())
		})
	})
}

func TestWatchHandshake(t *testing.T) {
	t.Run("nothing follows", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			time.Sleep(time.Second)
			e.handshake()
			e.dies()
		})
	})
	t.Run("a connect follows", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.handshake()
			time.Sleep(watchSilence - 1)
			e.connect("held")
			synctest.Wait()
			require.Equal(e.t, [2]int{0, 1}, e.paths.told())
			e.publish()
			e.connect("2")
			e.lives(1)
		})
	})
	t.Run("a publish follows, much later", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.handshake()
			e.ping()
			e.pong()
			e.lives(0)
			e.publish()
			e.lives(1)
		})
	})
	t.Run("another handshake follows", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.handshake()
			time.Sleep(time.Second)
			e.handshake()
			require.Equal(e.t, [2]int{}, e.paths.told())
			e.dies()
		})
	})
}

// A session goes on by a new connection.
func TestWatchMoved(t *testing.T) {
	t.Run("nothing follows", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.connect("1")
			e.dies()
		})
	})
	t.Run("nothing was answered", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.connect("held")
			e.lives(0)
		})
	})
	t.Run("publishes prove nothing", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			e.connect("1")
			e.publish()
			e.publish()
			e.lives(0)
			e.connect("2")
			e.lives(1)
		})
	})
	t.Run("it was sent much", func(t *testing.T) {
		watchEach(t, func(e *watchEnv) {
			much := strings.Repeat("x", wsWatchBytes)
			e.port.push(Output{Messages: wsFrozen(`"` + much + `"`)})
			e.client.text(`[{"channel":"/meta/connect","id":"1"}]`)
			e.client.expect(`["`+much+`"]`, `[{"id":"1"}]`)
			e.lives(0)
		})
	})
}

// While messages are processed nobody reads, and a pong waits.
func TestWatchSlowServer(t *testing.T) {
	watchEach(t, func(e *watchEnv) {
		e.connect("held")
		synctest.Wait()
		e.port.onReceive(func(p *wsPort, batch []*bayeux.Message) error {
			p.push(Output{Replies: wsReplies([]string{`{"late":1}`})})
			p.link.Wake()
			time.Sleep(time.Minute)
			return answerAll(p, batch)
		})
		e.client.text(`[{"channel":"/a","id":"p"}]`)
		e.client.expect(`[{"late":1}]`)
		e.ping()
		go e.pong() // a pipe keeps nothing
		e.client.expect(`[{"id":"p"}]`)
		e.lives(0)
	})
}

// A peer that makes no room is bounded by WriteTimeout, and the ping may not have
// left.
func TestWatchStuckWriter(t *testing.T) {
	watchEach(t, func(e *watchEnv) {
		<-e.port.gone
		require.Equal(e.t, 2+30, int(time.Since(e.start).Seconds()))
		require.Equal(e.t, []End{EndStuck}, e.port.ends)
		require.Equal(e.t, [2]int{}, e.paths.told())
	})
}

// TestWatchLate: where timers are late, what has come may not have been read either.
func TestWatchLate(t *testing.T) {
	wsBubble(t, WSOptions{Silence: time.Hour, IdleTimeout: -1}, func(e *wsEnv) {
		c, _ := e.port.link.(*wsConn)
		synctest.Wait()
		for _, tt := range []struct {
			late time.Duration
			want wsVerdict
		}{{-1, watchNothing}, {16 * time.Minute, watchNothing}, {0, watchCut}, {15 * time.Minute, watchCut}} {
			c.mu.Lock()
			w := c.aside.watch
			w.pinged, w.due = true, c.carrier.clock.Now().Add(-tt.late)
			c.mu.Unlock()
			require.Equal(e.t, tt.want, c.judge(), tt.late)
		}
	})
}

// TestWatchUnread: what the kernel has and nobody has read is a sign of life.
func TestWatchUnread(t *testing.T) {
	e := newWSEnv(t, WSOptions{})
	stop := e.dialTCP("", nil)
	c, _ := e.port.link.(*wsConn)
	require.False(t, c.unread())
	block := make(chan struct{})
	e.port.onReceive(func(*wsPort, []*bayeux.Message) error {
		<-block
		return nil
	})
	e.client.text(`[{"channel":"/a"}]`)
	require.Eventually(t, func() bool { return e.port.batchesSeen() == 1 }, time.Minute, time.Millisecond)
	e.client.frame(frameFin|byte(ws.OpPong), "")
	require.Eventually(t, c.unread, time.Minute, time.Millisecond)
	close(block)
	e.end()
	stop()
}

func TestWatchOff(t *testing.T) {
	paths := new(fakePaths)
	wsBubble(t, WSOptions{Paths: paths, IdleTimeout: -1}, func(e *wsEnv) {
		e.port.onReceive(answerAll)
		for range 2 {
			time.Sleep(time.Hour)
			e.client.text(`[{"channel":"/meta/connect","id":"1"}]`)
			e.client.expect(`[{"id":"1"}]`)
		}
	})
	require.Len(t, paths.asked, 1)
	require.Equal(t, [2]int{}, paths.told())
}

// TestPathRefused: the answer to an upgrade is an ordinary one, from which clients
// conclude that they have to take another transport.
func TestPathRefused(t *testing.T) { // [R-WS-4]
	paths := &fakePaths{refuses: true}
	e := newWSEnv(t, WSOptions{Paths: paths, Admit: func(*bayeux.Request) (func(), *StatusError) {
		return nil, &StatusError{Status: 503, Reason: "nobody is to be asked"}
	}})
	h := NewHandler(e.hub, Options{WebSocket: e.carrier.Serve})
	r, body := ask(t, h, wsTestUpgrade+"\r\n")
	require.Equal(t, 400, r.StatusCode)
	require.Equal(t, wsPathRefused+"\n", body)
	require.Equal(t, []string{"192.0.2.1/cometd"}, paths.asked)
	require.Equal(t, 1, e.counts.event(EventWSPathRefused))
	require.Equal(t, 1, e.counts.event(EventRefused))

	// What is no upgrade is told so by its own reason.
	w := httptest.NewRecorder()
	e.carrier.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), Origin{})
	require.Equal(t, 400, w.Code)
	require.NotContains(t, w.Body.String(), wsPathRefused)
	require.Len(t, paths.asked, 1)
	e.carrier.Close()
}
