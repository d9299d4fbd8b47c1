package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

type msg = map[string]any

type socket struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func dial(t *testing.T, address string) socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, "ws://"+address, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return socket{t, ctx, conn}
}

func (s socket) ask(text string) []msg {
	s.t.Helper()
	require.NoError(s.t, s.conn.Write(s.ctx, websocket.MessageText, []byte(text)))
	return s.read()
}

func (s socket) read() (all []msg) {
	s.t.Helper()
	_, text, err := s.conn.Read(s.ctx)
	require.NoError(s.t, err)
	require.NoError(s.t, json.Unmarshal(text, &all), string(text))
	return all
}

func TestConversation(t *testing.T) {
	for name, async := range map[string]bool{"direct": false, "async": true} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			served := make(chan error, 1)
			go func() { served <- serve(listener, async) }()
			t.Cleanup(func() {
				require.NoError(t, listener.Close())
				require.ErrorIs(t, <-served, net.ErrClosed)
			})
			a, b := dial(t, listener.Addr().String()), dial(t, listener.Addr().String())
			for _, s := range []socket{a, b} {
				shaken := s.ask(`[{"channel":"/meta/handshake","id":"1"}]`)[0]
				require.Equal(t, true, shaken["successful"])
				require.NotEmpty(t, shaken["clientId"])
				require.Equal(t, "2", s.ask(`[{"channel":"/meta/connect","advice":{"timeout":0},"id":"2"}]`)[0]["id"])
				require.Equal(t, "/c", s.ask(`[{"channel":"/meta/subscribe","subscription":"/c","id":"3"}]`)[0]["subscription"])
				require.NoError(t, s.conn.Write(s.ctx, websocket.MessageText, []byte(`[{"channel":"/meta/connect","id":"4"}]`)))
			}
			publisher := dial(t, listener.Addr().String())
			require.Len(t, publisher.ask(`[{"channel":"/c","data":{"n":1},"id":"1"},{"channel":"/c","data":2,"id":"2"}]`), 2)
			for _, s := range []socket{a, b} {
				require.Equal(t, []msg{{"channel": "/c", "data": msg{"n": 1.0}}}, s.read())
				require.Equal(t, []msg{{"channel": "/c", "data": 2.0}}, s.read())
			}
			require.Len(t, a.ask(`[{"channel":"/meta/unsubscribe","subscription":"/c","id":"5"}]`), 1)
			require.NoError(t, b.conn.Close(websocket.StatusNormalClosure, ""))
			require.Len(t, publisher.ask(`[{"channel":"/c","data":3,"id":"3"}]`), 1)
			require.Equal(t, "/meta/disconnect", a.ask(`[{"channel":"/meta/disconnect","id":"6"}]`)[0]["channel"])
		})
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestParse(t *testing.T) {
	for want, args := range map[string][]string{
		"usage": nil, `port "x"`: {"x"}, `"colour"`: {"0", "colour=blue"}, `async="x"`: {"0", "async=x"},
	} {
		require.ErrorContains(t, run(args), want)
	}
}
