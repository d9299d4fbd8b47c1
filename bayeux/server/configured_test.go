package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// Channels of the configuration are there before anybody uses them, and stay
// ([R-SB-13]).
func TestConfiguredChannels(t *testing.T) {
	bubble(t, func(c *server.Config) {
		c.Channels = map[string]server.ChannelOptions{
			"/lazy/*": {Lazy: true, LazyTimeout: 1500 * time.Millisecond},
			"/quiet":  {NoBroadcastToPublisher: true},
			"/price":  {SlowConsumer: bayeux.SlowConflate},
		}
		c.Options["maxQueue"] = "2"
	}, func(t *testing.T, r *rig) {
		time.Sleep(time.Minute)
		u := r.hello("").connect().subscribe("/lazy/a").subscribe("/quiet").subscribe("/price")
		require.Len(t, u.publish("/quiet", "1").Messages, 1)
		for i := range 3 {
			require.NoError(t, r.srv.Publish(t.Context(), "/price", i))
		}
		same(t, `[{"channel":"/price","data":2}]`, u.inbox())
		require.NoError(t, r.srv.Publish(t.Context(), "/lazy/a", 1))
		soon(t, 1500*time.Millisecond, u.send(connectHold).Took)
	})
	_, err := server.New(server.Config{Channels: map[string]server.ChannelOptions{"/a/**/b": {}}})
	require.ErrorContains(t, err, "/a/**/b")
	_, err = server.New(server.Config{Channels: map[string]server.ChannelOptions{"/a": {SlowConsumer: 77}}})
	require.ErrorContains(t, err, "SlowConsumer(77)")
}
