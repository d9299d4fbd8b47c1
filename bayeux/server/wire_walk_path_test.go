package server_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

// walkPaths are the options for what is learned of networks.
func walkPaths() map[string]walkRow {
	trusting := func(c *server.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	// cut has two polls cut at that age, and returns the client.
	cut := func(w *walker, age time.Duration) *traveller {
		v := w.r.travel("192.0.2.1", false)
		v.cutTwice(age)
		return v
	}
	hold := func(w *walker) string { return cut(w, 2*time.Second).poll(0).Took.String() }
	blanks := func(w *walker) string {
		body := w.r.travel("192.0.2.1", false).poll(0).Body
		return fmt.Sprint(strings.Index(body, "["))
	}
	return map[string]walkRow{
		"paths":       {values: [2]string{"learn", "off"}, want: [2]string{"1.6s", "4s"}, change: trusting, probe: hold},
		"pathHolds":   {values: [2]string{"off", "3000"}, want: [2]string{"4s", "3s"}, with: []string{"paths", "learn"}, change: trusting, probe: hold},
		"pathMinHold": {values: [2]string{"1000", "1800"}, want: [2]string{"1.6s", "1.8s"}, with: []string{"paths", "learn", "pathShortPolls", "off"}, change: trusting, probe: hold},
		"pathShortPolls": {values: [2]string{"learn", "off"}, want: [2]string{"0s", "1s"}, with: []string{"paths", "learn"}, change: trusting, probe: func(w *walker) string {
			return cut(w, 800*time.Millisecond).poll(0).Took.String()
		}},
		"pathResponses": {values: [2]string{"learn", "9000"}, want: [2]string{"5", "2"}, with: []string{"paths", "learn"}, change: trusting, probe: func(w *walker) string {
			v := w.r.travel("192.0.2.1", false)
			v.subscribe("/a")
			for range 5 {
				require.NoError(w.r.t, w.r.srv.Publish(w.r.t.Context(), "/a", strings.Repeat("x", 4000)))
			}
			return fmt.Sprint(len(v.poll(0).Messages) - 1)
		}},
		"pathUpgrades": {values: [2]string{"learn", "off"}, want: [2]string{"400", "101"}, with: []string{"paths", "learn"}, probe: func(w *walker) string {
			for range 2 {
				w.silent()
			}
			return w.r.upgrade("")[:3]
		}},
		"pathSilence": {values: [2]string{"500", "2000"}, want: [2]string{"1s", "4s"}, with: []string{"paths", "learn"}, probe: func(w *walker) string {
			return walkTook(w.silent)
		}},
		"pathProbe": {values: [2]string{"-1", "10000"}, want: [2]string{"1.6s", "2.4s"}, with: []string{"paths", "learn"}, change: trusting, probe: func(w *walker) string {
			v := cut(w, 2*time.Second)
			time.Sleep(time.Second)
			for range 6 {
				v.poll(0)
			}
			return v.poll(0).Took.String()
		}},
		"pathTrickle": {values: [2]string{"0", "1500"}, want: [2]string{"0", "2"}, with: []string{"paths", "learn"}, change: trusting, probe: blanks},
		"pathTrickleFrom": {
			values: [2]string{"10.0.0.0/8", "10.0.0.0/8,192.0.2.1"}, want: [2]string{"0", "2"}, with: []string{"paths", "learn", "pathTrickle", "1500"},
			change: trusting, probe: blanks,
		},
	}
}

// silent opens a WebSocket, says nothing, and returns when it has been cut, or
// after ten seconds.
func (w *walker) silent() {
	w.r.t.Helper()
	conn, err := w.r.Raw()
	require.NoError(w.r.t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(w.r.t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Write([]byte("GET /cometd HTTP/1.1\r\nHost: memory\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	for buf := make([]byte, 4096); err == nil; {
		_, err = conn.Read(buf)
	}
}
