package bayeuxclient_test

import (
	"context"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/clients/bayeuxclient"
	"github.com/halleypush/halley/extensions/ack"
)

// realServer runs the server of this module on a port of its own.
func realServer(t *testing.T) (*server.Server, string) {
	t.Helper()
	srv, err := server.New(server.Config{Policy: guarded{}, Extensions: []bayeux.Extension{ack.New()}})
	require.NoError(t, err)
	_, err = srv.Listen("/service/echo", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		return from.Deliver(ctx, m.Channel, m.Data)
	})
	require.NoError(t, err)
	h := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		h.CloseClientConnections()
		h.Close()
	})
	return srv, h.URL + "/cometd"
}

// guarded refuses one channel.
type guarded struct{ bayeux.DefaultPolicy }

func (guarded) CanPublish(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	if ch == "/secret" {
		return bayeux.Deny("not_yours")
	}
	return nil
}

// Two clients of each transport, with and without ack, against the server of
// this module.
func TestAgainstHalley(t *testing.T) {
	for _, transport := range []string{bayeuxclient.WebSocket, bayeuxclient.LongPolling} {
		for _, acks := range []bool{false, true} {
			t.Run(transport+" ack "+strconv.FormatBool(acks), func(t *testing.T) {
				_, url := realServer(t)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				o := bayeuxclient.Options{Transports: []string{transport}, Ack: acks}
				talk(ctx, t, url, o)
			})
		}
	}
}

func talk(ctx context.Context, t *testing.T, url string, o bayeuxclient.Options) {
	t.Helper()
	reader, err := bayeuxclient.Dial(ctx, url, o)
	require.NoError(t, err)
	writer, err := bayeuxclient.Dial(ctx, url, o)
	require.NoError(t, err)

	const n = 200
	var got []string
	var all sync.WaitGroup
	all.Add(n)
	take := func(m *bayeux.Message) {
		got = append(got, string(m.Data))
		all.Done()
	}
	_, err = reader.Subscribe(ctx, "/chat/**", take)
	require.NoError(t, err)
	want := make([]string, 0, n)
	for i := range n {
		data := `{"n": ` + strconv.Itoa(i) + `.0, "s":"é\u0041"}`
		want = append(want, data)
		require.NoError(t, writer.Publish(ctx, "/chat/demo", bayeux.Raw(data)))
	}
	all.Wait()
	require.Equal(t, want, got)

	echo := make(chan string, 1)
	_, err = writer.Subscribe(ctx, "/service/echo", func(m *bayeux.Message) { echo <- string(m.Data) })
	require.NoError(t, err)
	require.NoError(t, writer.Publish(ctx, "/service/echo", "hi"))
	require.Equal(t, `"hi"`, <-echo)

	var refusal *bayeux.Error
	require.ErrorAs(t, writer.Publish(ctx, "/secret", 1), &refusal)
	require.Equal(t, "403:not_yours:publish_denied", refusal.Error())
	for _, c := range []*bayeuxclient.Client{reader, writer} {
		require.NoError(t, c.Disconnect(ctx))
		<-c.Done()
		require.NoError(t, c.Err())
	}
}
