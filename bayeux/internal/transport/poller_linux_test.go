package transport

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newSystemPoller(t testing.TB) Poller {
	p, err := NewEpollPoller()
	require.NoError(t, err)
	return p
}

// pollPair returns both ends of a TCP connection, the first one parked.
func pollPair(t *testing.T) (p *Parked, peer net.Conn, ready chan struct{}) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	peer, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	conn, err := l.Accept()
	require.NoError(t, err)
	ready = make(chan struct{}, 10)
	t.Cleanup(func() {
		_ = conn.Close()
		_ = peer.Close()
	})
	return &Parked{Conn: conn, Ready: func() { ready <- struct{}{} }}, peer, ready
}

func TestEpollPoller(t *testing.T) {
	tests := map[string]func(t *testing.T, e Poller, p *Parked, peer net.Conn, ready chan struct{}){
		"ready once, and again when armed again": func(t *testing.T, e Poller, p *Parked, peer net.Conn, ready chan struct{}) {
			for range 3 {
				require.True(t, e.Arm(p, time.Now().Add(time.Hour)))
				_, err := peer.Write([]byte("x"))
				require.NoError(t, err)
				<-ready
				require.False(t, e.Disarm(p))
			}
		},
		"what came before counts": func(t *testing.T, e Poller, p *Parked, peer net.Conn, ready chan struct{}) {
			_, err := peer.Write([]byte("x"))
			require.NoError(t, err)
			require.True(t, e.Arm(p, time.Time{}))
			<-ready
		},
		"closed by the peer": func(t *testing.T, e Poller, p *Parked, peer net.Conn, ready chan struct{}) {
			require.True(t, e.Arm(p, time.Time{}))
			require.NoError(t, peer.Close())
			<-ready
		},
		"disarmed": func(t *testing.T, e Poller, p *Parked, peer net.Conn, ready chan struct{}) {
			require.True(t, e.Arm(p, time.Now()))
			if e.Disarm(p) {
				require.False(t, e.Disarm(p))
				_, err := peer.Write([]byte("x"))
				require.NoError(t, err)
				require.NoError(t, e.Wait(context.Background()))
				require.Empty(t, ready)
			}
		},
		"deadline, moved while it waits": func(t *testing.T, e Poller, p *Parked, _ net.Conn, ready chan struct{}) {
			require.True(t, e.Arm(p, time.Now().Add(-2*time.Second)))
			<-ready
			require.True(t, e.Arm(p, time.Now().Add(time.Hour)))
			require.True(t, e.Disarm(p))
			at := time.Now().Add(100 * time.Millisecond)
			require.True(t, e.Arm(p, at))
			<-ready
			require.False(t, time.Now().Before(at), "never early")
		},
		"the end": func(t *testing.T, e Poller, p *Parked, _ net.Conn, ready chan struct{}) {
			require.True(t, e.Arm(p, time.Time{}))
			require.NoError(t, e.Wait(context.Background()))
			<-ready
			require.False(t, e.Arm(p, time.Time{}))
		},
		"a closed connection": func(t *testing.T, e Poller, p *Parked, _ net.Conn, _ chan struct{}) {
			require.NoError(t, p.Conn.Close())
			require.False(t, e.Arm(p, time.Time{}))
		},
		"another kind": func(t *testing.T, e Poller, _ *Parked, _ net.Conn, _ chan struct{}) {
			a, _ := net.Pipe()
			require.False(t, e.Arm(&Parked{Conn: a}, time.Time{}))
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := newSystemPoller(t)
			p, peer, ready := pollPair(t)
			test(t, e, p, peer, ready)
			require.NoError(t, e.Wait(context.Background()))
		})
	}
}

// R-WS-17 through the poller: nobody waits for the connection meanwhile.
func TestEpollIdle(t *testing.T) {
	poller := newSystemPoller(t)
	e := newWSEnv(t, WSOptions{Poller: poller, IdleTimeout: 50 * time.Millisecond})
	stop := e.dialTCP("", nil)
	require.Equal(t, "idle timeout", e.client.expectClose(1001))
	e.end()
	stop()
	require.NoError(t, poller.Wait(context.Background()))
}

// A parked connection that is cut ends too.
func TestEpollCut(t *testing.T) {
	poller := newSystemPoller(t)
	e := newWSEnv(t, WSOptions{Poller: poller})
	stop := e.dialTCP("", nil)
	e.carrier.Close()
	<-e.port.gone
	e.end()
	stop()
	require.NoError(t, poller.Wait(context.Background()))
}
