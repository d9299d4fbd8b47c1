package server

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/transport"
)

// [R-HS-11]: a session is handshaken once. The wire cannot ask for more, since
// each handshake makes a session ([R-HS-9]).
func TestSecondHandshakeOfOneSession(t *testing.T) {
	srv, err := New(Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, srv.Shutdown(context.Background())) }()
	st := srv.settings[transport.LongPolling]
	s := srv.newSession("abc", st)
	s.enter(st)
	p := &pass{srv: srv, settings: st, sess: s, alone: true}
	ctx := context.Background()
	require.True(t, p.message(ctx, &bayeux.Message{Channel: metaHandshake}).OK())
	again := p.message(ctx, &bayeux.Message{Channel: metaHandshake, ID: "2"})
	require.False(t, again.OK())
	require.Equal(t, "403::handshake_failed", again.Error)
	require.Empty(t, again.ClientID)
	require.Len(t, srv.Sessions(), 1)
}
