package transport

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

func TestWebSocketIdle(t *testing.T) {
	t.Run("R-WS-17 Port.Idle, read anew after each frame", func(t *testing.T) {
		wsEach(t, WSOptions{}, "", func(e *wsEnv) {
			if _, ok := e.client.conn.(*net.TCPConn); ok {
				return // real time is not for this
			}
			start := time.Now()
			time.Sleep(20 * time.Second)
			e.port.setIdle(50 * time.Second)
			e.client.frame(frameFin|byte(ws.OpPong), "")
			require.Equal(e.t, "idle timeout", e.client.expectClose(1001))
			require.Equal(e.t, 70*time.Second, time.Since(start))
		})
	})
	t.Run("R-WS-17 half a frame is none", func(t *testing.T) {
		wsBubble(t, WSOptions{}, func(e *wsEnv) {
			start := time.Now()
			m := wsMasked(frameFin|byte(ws.OpText), "[]"+strings.Repeat(" ", 50))
			for i := range 20 {
				e.client.raw(m[i : i+1])
				time.Sleep(time.Second)
			}
			f, err := e.client.next()
			require.NoError(e.t, err)
			require.Equal(e.t, "\x03\xe9idle timeout", f.payload)
			require.Equal(e.t, 30*time.Second, time.Since(start))
		})
	})
	t.Run("R-WS-17 option, and a peer that is gone", func(t *testing.T) {
		wsBubble(t, WSOptions{IdleTimeout: 3 * time.Second, WriteTimeout: 5 * time.Second}, func(e *wsEnv) {
			start := time.Now()
			<-e.port.gone // half open: not even the close frame is read
			require.Equal(e.t, 8*time.Second, time.Since(start))
			require.Equal(e.t, []string{"idle timeout"}, e.port.closed)
		})
	})
	t.Run("pings", func(t *testing.T) {
		wsBubble(t, WSOptions{PingInterval: 10 * time.Second, IdleTimeout: -1}, func(e *wsEnv) {
			start := time.Now()
			for i := range 3 {
				f, err := e.client.next()
				require.NoError(e.t, err)
				require.Equal(e.t, wsFrame{ws.OpPing, 0, ""}, f)
				require.Equal(e.t, time.Duration(i+1)*10*time.Second, time.Since(start))
			}
		})
	})
}

// The peer's close frame is waited for, but not for ever.
func TestWebSocketCloseTimeout(t *testing.T) {
	wsEach(t, WSOptions{CloseTimeout: 2 * time.Second}, "", func(e *wsEnv) {
		if _, ok := e.client.conn.(*net.TCPConn); ok {
			e.port.link.Close(4001, "later")
			require.Equal(e.t, "later", e.client.expectClose(4001))
			return
		}
		start := time.Now()
		e.port.push(Output{Replies: wsReplies([]string{`{"r":1}`})})
		e.port.link.Close(1008, "queue full")
		e.port.link.Close(1011, "too late to matter")
		e.client.expect(`[{"r":1}]`) // what was queued leaves first
		f, err := e.client.next()
		require.NoError(e.t, err)
		require.Equal(e.t, "\x03\xf0queue full", f.payload)
		<-e.port.gone
		require.Equal(e.t, 2*time.Second, time.Since(start))
		require.Equal(e.t, []string{"queue full"}, e.port.closed)
	})
}

// An extension that blocks does not hold up the end: its ctx is over.
func TestWebSocketEndsReceive(t *testing.T) {
	e := newWSEnv(t, WSOptions{})
	entered := make(chan struct{})
	e.hub.receive = func(p *wsPort, _ []*bayeux.Message) error {
		close(entered)
		<-p.ended
		return nil
	}
	stop := e.dialTCP("", nil)
	e.client.text(`[{"channel":"/a"}]`)
	<-entered
	e.carrier.Close()
	<-e.port.gone
	e.end()
	stop()
}

func TestWebSocketShutdown(t *testing.T) {
	t.Run("R-WS-26 1001 after what is queued", func(t *testing.T) {
		wsEach(t, WSOptions{}, "", func(e *wsEnv) {
			e.port.push(Output{Replies: wsReplies([]string{`{"r":1}`})})
			done := make(chan error)
			go func() { done <- e.carrier.Shutdown(context.Background()) }()
			e.client.expect(`[{"r":1}]`)
			_ = e.client.expectClose(1001)
			require.NoError(e.t, <-done)
		})
	})
	t.Run("R-WS-26 cut in the end", func(t *testing.T) {
		wsBubble(t, WSOptions{}, func(e *wsEnv) {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			start := time.Now()
			require.ErrorIs(e.t, e.carrier.Shutdown(ctx), context.DeadlineExceeded)
			<-e.port.gone
			require.Equal(e.t, 3*time.Second, time.Since(start))
		})
	})
}

// What a connection leaves half read when it ends is nobody else's: the next one
// begins anew.
func TestWebSocketEndsInFrame(t *testing.T) {
	whole := wsMasked(frameFin|byte(ws.OpText), `[{"channel":"/a"}]`)
	parts := map[string][]byte{
		"header": whole[:1], "mask": whole[:4], "payload": whole[:9],
		"fragment": wsMasked(byte(ws.OpText), `[{"chan`),
	}
	for name, part := range parts {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newWSEnv(t, WSOptions{})
				for range 20 { // whoever gets the buffers
					e.dialPipe("", nil)
					e.client.raw(part)
					synctest.Wait()
					_ = e.client.conn.Close()
					<-e.port.gone
				}
				e.dialPipe("", nil)
				e.client.raw(whole)
				synctest.Wait()
				require.Equal(t, 1, e.port.batchesSeen())
				e.end()
			})
		})
	}
}

// Replies to publishes that were read together leave together, but not those of
// very many.
func TestWebSocketOwes(t *testing.T) {
	e := newWSEnv(t, WSOptions{})
	owed, most, sum := 0, 0, 0
	e.hub.receive = func(_ *wsPort, batch []*bayeux.Message) error {
		owed += len(batch)
		return nil
	}
	e.hub.attach = func(p *wsPort) {
		p.take = func() Output {
			n := owed
			if owed = 0; n == 0 {
				return Output{}
			}
			most, sum = max(most, n), sum+n
			return Output{Replies: wsReplies([]string{"{}"})}
		}
	}
	stop := e.dialTCP("", nil)
	var frames []byte
	for range 700 {
		frames = append(frames, wsMasked(frameFin|byte(ws.OpText), `[{}]`)...)
	}
	e.client.raw(frames)
	e.client.raw(wsMasked(frameFin|byte(ws.OpText), `[{"channel":"/meta/connect"}]`))
	for seen := 0; seen < 701; seen = e.port.batchesSeen() {
		e.client.expect("[{}]")
	}
	e.end()
	stop()
	require.Equal(t, 701, sum)
	require.LessOrEqual(t, most, wsOwesMax)
}

// resetConn can fail as a connection does that the peer has reset.
type resetConn struct {
	net.Conn

	broken *atomic.Bool
}

func (c resetConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, errors.New("reset by peer")
	}
	return c.Conn.Write(p)
}

func TestWebSocketEnds(t *testing.T) {
	for name, c := range map[string]struct {
		o    WSOptions
		end  func(e *wsEnv)
		want End
	}{
		"the peer closes": {WSOptions{}, func(e *wsEnv) {
			e.client.frame(frameFin|byte(ws.OpClose), "\x03\xe9")
			e.client.expectClose(1001)
		}, EndClosed},
		"we close": {WSOptions{}, func(e *wsEnv) {
			e.port.link.Close(1008, "queue full")
			e.client.expectClose(1008)
		}, EndClosed},
		"we close, the peer just leaves": {WSOptions{}, func(e *wsEnv) {
			e.port.link.Close(1008, "queue full")
			_, err := e.client.next()
			require.NoError(e.t, err)
		}, EndClosed},
		"a violation": {WSOptions{}, func(e *wsEnv) {
			e.client.text("null")
			e.client.expectClose(1011)
		}, EndClosed},
		"the peer leaves":         {WSOptions{}, func(*wsEnv) {}, EndLost},
		"the peer leaves halfway": {WSOptions{}, func(e *wsEnv) { e.client.raw([]byte{0x81}) }, EndLost},
		"idle": {WSOptions{}, func(e *wsEnv) {
			require.Equal(e.t, "idle timeout", e.client.expectClose(1001))
		}, EndIdle},
		"idle, and gone": {WSOptions{}, func(e *wsEnv) { <-e.port.gone }, EndIdle},
		"stuck": {WSOptions{IdleTimeout: -1}, func(e *wsEnv) {
			e.port.push(Output{Messages: wsFrozen(`{"n":1}`)})
			e.port.link.Wake()
			<-e.port.gone
		}, EndStuck},
		"cut": {WSOptions{}, func(e *wsEnv) { e.port.link.Cut("moved") }, EndCut},
		"the server ends": {WSOptions{}, func(e *wsEnv) {
			synctest.Wait() // it is known to the carrier
			e.carrier.Close()
		}, EndCut},
		"the server shuts down": {WSOptions{}, func(e *wsEnv) {
			done := make(chan error)
			go func() { done <- e.carrier.Shutdown(context.Background()) }()
			e.client.expectClose(1001)
			require.NoError(e.t, <-done)
		}, EndClosed},
	} {
		t.Run(name, func(t *testing.T) {
			var port *wsPort
			wsBubble(t, c.o, func(e *wsEnv) {
				port = e.port
				c.end(e)
			})
			require.Equal(t, []End{c.want}, port.ends)
		})
	}
	t.Run("a write fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, broken := newWSEnv(t, WSOptions{}), new(atomic.Bool)
			e.dialPipe("", func(c net.Conn) net.Conn { return resetConn{c, broken} })
			broken.Store(true)
			e.port.push(Output{Messages: wsFrozen(`{"n":1}`)})
			e.port.link.Wake()
			<-e.port.gone
			e.end()
			require.Equal(t, []End{EndLost}, e.port.ends)
		})
	})
	names := map[string]bool{}
	for end := EndClosed; end <= EndCut+1; end++ {
		names[end.String()] = true
	}
	require.Len(t, names, int(EndCut)+2)
	require.Equal(t, "unknown", (EndCut + 1).String())
}
