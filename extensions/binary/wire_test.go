package binary_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/binary"
	"github.com/halleypush/halley/internal/testkit"
)

// bubble runs f with a server.
func bubble(t *testing.T, f func(t *testing.T, w *testkit.Wire, srv *server.Server)) {
	t.Helper()
	var srv *server.Server
	testkit.Bubble(t, func() (_ testkit.Engine, err error) {
		srv, err = server.New(server.Config{})
		return srv, err
	}, func(t *testing.T, w *testkit.Wire) { f(t, w, srv) })
}

// A server that only passes messages on does not look into them: each byte of
// ext and data comes out as it went in, nonsense too [R-BI-1]. Case 148.
func TestWireRelay(t *testing.T) {
	bubble(t, func(t *testing.T, w *testkit.Wire, _ *server.Server) {
		poll, socket := w.Hello().Connect().Subscribe("/a"), w.Surf().Connect().Subscribe("/a")
		for _, fields := range []string{
			`"ext":{"binary":{}},"data":{"data":"HelloWorld","last":true}`,
			`"ext":{ "binary" : { } , "x":1.50},"data":{ "meta" : {"n":1e3} , "data" : "\u0030r\/<&>", "last":false }`,
			`"ext":{"binary":{}},"data":{"data":"~~~","last":"perhaps"}`,
			`"ext":{"binary":{}},"data":7`,
		} {
			reply := poll.Send(`[{"channel":"/a","clientId":"$",` + fields + `}]`)
			require.Equal(t, `[{"channel":"/a",`+fields+`},{"channel":"/a","successful":true}]`, reply.Body)
			require.Equal(t, `[{"channel":"/a",`+fields+`}]`, socket.Next(time.Second).Text)
		}
	})
}

// reverse answers bytes with the same from back to front, on the same channel.
func reverse(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
	d, err := binary.From(m)
	if err != nil {
		return &bayeux.Error{Code: 400, Text: "binary"}
	}
	slices.Reverse(d.Bytes)
	return from.Deliver(ctx, m.Channel, d)
}

// Code on the server reads bytes of each length to 64, and sends bytes to the
// sender and to subscribers [R-BI-2]. Case 148.
func TestWireServerSide(t *testing.T) {
	bubble(t, func(t *testing.T, w *testkit.Wire, srv *server.Server) {
		remove, err := srv.Listen("/service/reverse", reverse)
		require.NoError(t, err)
		defer remove()
		u := w.Hello().Connect().Subscribe("/a")
		rng := rand.NewChaCha8([32]byte{})
		for n := range 65 {
			b := make([]byte, n)
			_, _ = rng.Read(b)
			sent := &bayeux.Message{Channel: "/service/reverse", ClientID: u.ID}
			require.NoError(t, binary.Data{Bytes: b, Last: n%2 == 0, Meta: bayeux.Raw(fmt.Sprintf(`{"n":%d}`, n))}.Fill(sent))
			got := received(t, u.Send(string(bayeux.AppendBatch(nil, []*bayeux.Message{sent}))).Body, "/service/reverse")
			slices.Reverse(b)
			require.Equal(t, binary.Data{Bytes: b, Last: n%2 == 0, Meta: bayeux.Raw(fmt.Sprintf(`{"n":%d}`, n))}, got)

			require.NoError(t, srv.Publish(t.Context(), "/a", binary.Data{Bytes: b, Last: true}))
			require.Equal(t, binary.Data{Bytes: b, Last: true}, received(t, u.Send(testkit.ConnectNow).Body, "/a"))
		}
		require.Error(t, srv.Publish(t.Context(), "/a", binary.Data{Meta: bayeux.Raw(`}`)}))
		reply := u.Send(`[{"channel":"/service/reverse","clientId":"$","ext":{"binary":{}},"data":{"data":"~~"}}]`)
		require.Equal(t, "400::binary", reply.Messages[0]["error"])
	})
}

// received reads the bytes of a response's first message.
func received(t *testing.T, body, channel string) binary.Data {
	t.Helper()
	var messages []struct {
		Channel   string
		Ext, Data json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(body), &messages))
	require.Len(t, messages, 2)
	require.Equal(t, channel, messages[0].Channel)
	d, err := binary.From(&bayeux.Message{Channel: channel, Ext: messages[0].Ext, Data: messages[0].Data})
	require.NoError(t, err)
	return d
}
