//go:build peers

package peers

import (
	"errors"
	"fmt"
	"net/url"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func startPeer(t *testing.T, name string, options map[string]string) *Peer {
	t.Helper()
	p, err := Start(t.Context(), name, options)
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the last words of %s:\n%s", name, p.Log())
		}
	})
	return p
}

// alive tells whether there is a process of that id that is not a zombie of
// this one.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// Each peer lets a client in, delivers what it publishes and lets it go, over
// each of its transports; then it stops and leaves no process.
func TestTransports(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t, name, map[string]string{"timeout": "5000"})
			require.True(t, alive(p.PID()))
			require.Equal(t, name, p.Name())
			for _, transport := range Transports(name) {
				t.Run(transport, func(t *testing.T) { converse(t, p, transport) })
			}
			require.NoError(t, p.Stop(t.Context()), p.Log())
			require.False(t, alive(p.PID()))
			require.NoError(t, p.Stop(t.Context()), "once more is no error")
		})
	}
}

func converse(t *testing.T, p *Peer, transport string) {
	t.Helper()
	s := &session{t: t, carrier: open(t, p, transport)}
	shake := msg{
		"channel": "/meta/handshake", "version": "1.0", "minimumVersion": "1.0",
		"supportedConnectionTypes": []string{transport},
	}
	reply, _ := s.send(shake)
	require.Equal(t, true, reply["successful"], reply)
	if transport != "eventsource" { // Faye does not list it
		require.Contains(t, reply["supportedConnectionTypes"], transport)
	}
	s.id = reply["clientId"]
	connect := func() msg { return msg{"channel": "/meta/connect", "connectionType": transport} }
	if transport != "eventsource" {
		first := connect()
		first["advice"] = msg{"timeout": 0}
		s.done(first)
	}
	channel := "/transports/" + transport
	beside := s.done(msg{"channel": "/meta/subscribe", "subscription": channel})
	beside = append(beside, s.done(msg{"channel": channel, "data": msg{"n": 1}})...)
	for tries := 0; !delivered(beside, channel) && tries < 5; tries++ {
		if transport == "websocket" || transport == "eventsource" {
			beside = append(beside, s.pushed()...)
		} else {
			beside = append(beside, s.done(connect())...)
		}
	}
	require.True(t, delivered(beside, channel), "%v", beside)
	s.done(msg{"channel": "/meta/disconnect"})
}

// delivered tells whether the published message is there.
func delivered(all []msg, channel string) bool {
	for _, m := range all {
		if m["channel"] == channel && fmt.Sprint(m["data"]) == "map[n:1]" {
			return true
		}
	}
	return false
}

// A peer starts again where it was, after a crash too; two do not share a port.
func TestPort(t *testing.T) {
	p := startPeer(t, "faye", nil)
	u, err := url.Parse(p.URL())
	require.NoError(t, err)
	require.Equal(t, "/bayeux", u.Path)
	_, err = Start(t.Context(), "faye", map[string]string{"port": u.Port()})
	require.ErrorContains(t, err, "before it listened")
	require.ErrorContains(t, err, "EADDRINUSE", "the peer's own words are in the error")
	p.Kill()
	again := startPeer(t, "faye", map[string]string{"port": u.Port()})
	require.Equal(t, p.URL(), again.URL())
}

// A peer that is told nonsense says so.
func TestBadOptions(t *testing.T) {
	for name, options := range map[string]map[string]string{
		"faye": {"maxQueue": "1"}, "axum": {"colour": "blue"}, "halley": {"tiemout": "1"}, "cometd8": {"activity": "often"},
	} {
		_, err := Start(t.Context(), name, options)
		require.ErrorContains(t, err, "start the peer "+name+": it ended", name)
	}
}
