//go:build peers

package peers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The options of ours put CometD's extensions in and leave them out.
func TestExtensions(t *testing.T) {
	for _, name := range []string{"cometd8", "cometd7"} {
		t.Run(name, func(t *testing.T) {
			ask := msg{"ack": true, "timesync": msg{"tc": 1, "l": 0, "o": 0}}
			data := msg{"data": "HelloWorld", "last": true}
			t.Run("standard", func(t *testing.T) {
				s, shaken := shake(t, startPeer(t, name, nil), ask)
				require.Equal(t, true, shaken["ext"].(msg)["ack"])
				require.Contains(t, shaken["ext"], "timesync")
				require.NotContains(t, shaken, "timestamp")
				s.done(msg{"channel": "/meta/subscribe", "subscription": "/binary"})
				s.done(msg{"channel": "/binary", "data": data, "ext": msg{"binary": msg{}}})
				for range 5 { // with ack, messages leave with connects
					for _, got := range s.done(msg{"channel": "/meta/connect", "connectionType": "long-polling", "ext": msg{"ack": 0}}) {
						require.Equal(t, data, got["data"])
						require.Contains(t, got["ext"], "binary")
						return
					}
				}
				require.FailNow(t, "the message has not come")
			})
			t.Run("without", func(t *testing.T) {
				p := startPeer(t, name, map[string]string{"ack": "false", "timesync": "false", "binary": "false", "timestamp": "true"})
				_, shaken := shake(t, p, ask)
				require.NotContains(t, shaken, "ext")
				require.Contains(t, shaken, "timestamp")
			})
			for _, activity := range []string{"1", "server:1"} {
				t.Run("activity="+activity, func(t *testing.T) {
					s, _ := shake(t, startPeer(t, name, map[string]string{"activity": activity}), msg{})
					connect := msg{"channel": "/meta/connect", "connectionType": "long-polling", "advice": msg{"timeout": 50}}
					for range 5 {
						reply, beside := s.send(connect)
						if reply["successful"] != true {
							require.Equal(t, "402::session_unknown", reply["error"])
							require.Equal(t, "/meta/disconnect", beside[0]["channel"])
							return
						}
					}
					require.FailNow(t, "the idle session is still there")
				})
			}
		})
	}
}

// Our own server takes the same options.
func TestHalleyExtensions(t *testing.T) {
	_, shaken := shake(t, startPeer(t, "halley", nil), msg{"ack": true})
	require.Equal(t, true, shaken["ext"].(msg)["ack"])
	_, shaken = shake(t, startPeer(t, "halley", map[string]string{"ack": "false"}), msg{"ack": true})
	require.NotContains(t, shaken, "ext")
}

// shake makes a session whose handshake has this ext.
func shake(t *testing.T, p *Peer, ext msg) (*session, msg) {
	t.Helper()
	s := &session{t: t, carrier: open(t, p, "long-polling")}
	reply, _ := s.send(msg{
		"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{"long-polling"}, "ext": ext,
	})
	require.Equal(t, true, reply["successful"], reply)
	s.id = reply["clientId"]
	return s, reply
}
