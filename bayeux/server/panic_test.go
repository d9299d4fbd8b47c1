package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// An extension or a listener that panics costs its message, on either kind of
// carrier, and nothing else.
func TestPanics(t *testing.T) {
	change := func(c *server.Config) {
		c.Extensions = append(c.Extensions, bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
			if m.Channel == "/bad" {
				panic("a secret")
			}
			return nil
		}})
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		_, err := r.srv.Listen("/worse", func(context.Context, bayeux.Session, *bayeux.Message) error { panic("a secret") })
		require.NoError(t, err)
		u := r.hello("").connect()
		s := r.Dial(nil)
		defer s.Cut()
		s.Send(`[{"channel":"/meta/handshake"}]`)
		w := &user{r: r, id: text(s.Next(time.Second).Messages[0]["clientId"])}
		for _, channel := range []string{"/bad", "/worse"} {
			want := `[{"channel":"` + channel + `","id":"p","successful":false,"error":"404::message_deleted"}]`
			same(t, want, u.publish(channel, "1").Messages)
			s.Send(w.fill(`[{"channel":"` + channel + `","clientId":"$","id":"p"}]`))
			same(t, want, s.Next(time.Second).Messages)
		}
		same(t, `[{"channel":"/good","id":"p","successful":true}]`, u.publish("/good", "1").Messages)
		s.Send(w.fill(`[{"channel":"/good","clientId":"$","id":"p"}]`))
		same(t, `[{"channel":"/good","id":"p","successful":true}]`, s.Next(time.Second).Messages)
	})
}
