package server_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// Parameters of templates and what wildcards stand for reach the listener.
func TestListenParameters(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		for _, ch := range []string{"/room/{id}", "/room/{id}/of/{house}", "/room/*", "/room/**", "/service/room/{id}"} {
			_, err := r.srv.Listen(ch, func(ctx context.Context, _ bayeux.Session, m *bayeux.Message) error {
				d.note("%s %s id=%s house=%s rest=%s", ch, m.Channel, bayeux.Param(ctx, "id"), bayeux.Param(ctx, "house"), bayeux.Param(ctx, channels.Wild))
				return nil
			})
			require.NoError(t, err)
		}
		u := r.hello("")
		u.publish("/room/7", "1")
		require.Equal(t, []string{
			"/room/** /room/7 id= house= rest=7", "/room/* /room/7 id= house= rest=7", "/room/{id} /room/7 id=7 house= rest=",
		}, d.take())
		u.publish("/room/7/of/b c/", "1") // as the sender spells it [R-MSG-12]
		require.Equal(t, []string{
			"/room/** /room/7/of/b c/ id= house= rest=7/of/b c", "/room/{id}/of/{house} /room/7/of/b c/ id=7 house=b c rest=",
		}, d.take())
		u.publish("/service/room/9", "1")
		require.Equal(t, []string{"/service/room/{id} /service/room/9 id=9 house= rest="}, d.take())
		u.publish("/room", "1")
		u.publish("/room/7/in/b", "1")
		require.Equal(t, []string{"/room/** /room/7/in/b id= house= rest=7/in/b"}, d.take())
		require.False(t, r.srv.HasChannel("/room/{id}"), "a template is no channel")
		require.True(t, r.srv.HasChannel("/room/*"))
	})
}

// A template on the wire is a literal name ([R-SB-11]).
func TestTemplateIsLiteralForClients(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		_, err := r.srv.Listen("/room/{id}", func(context.Context, bayeux.Session, *bayeux.Message) error { return nil })
		require.NoError(t, err)
		u := r.hello("").connect().subscribe("/room/{id}")
		r.publish("/room/7", 1)
		r.publish("/room/{id}", 2)
		same(t, `[{"channel":"/room/{id}","data":2}]`, u.inbox())
	})
}

// Listeners of meta channels hear what clients send before the server acts, and
// can keep it from acting; those of wildcards outside /meta/ do not hear it.
func TestListenMeta(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		for _, ch := range []string{"/meta/handshake", "/meta/*", "/**", "/meta/subscribe", "/meta/disconnect", "/{x}/connect"} {
			_, err := r.srv.Listen(ch, func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
				_, exists := r.srv.Session(from.ID())
				d.note("%s %s %t", ch, m.Channel, exists)
				return nil
			})
			require.NoError(t, err)
		}
		u := r.hello("").connect()
		require.Equal(t, []string{
			"/meta/* /meta/handshake false", "/meta/handshake /meta/handshake false", "/meta/* /meta/connect true",
		}, d.take())
		u.subscribe("/a")
		require.Equal(t, []string{"/meta/* /meta/subscribe true", "/meta/subscribe /meta/subscribe true"}, d.take())
		r.Post("", `[{"channel":"/meta/connect","clientId":"nobody"}]`)
		u.send(`[{"channel":"/meta/disconnect","clientId":"$"},{"channel":"/meta/connect","clientId":"$"}]`)
		require.Equal(t, []string{"/meta/* /meta/disconnect true", "/meta/disconnect /meta/disconnect true"}, d.take())
		require.False(t, r.srv.HasChannel("/meta/handshake"))

		for _, veto := range []string{"/meta/handshake", "/meta/subscribe", "/meta/disconnect", "/meta/connect"} {
			remove, err := r.srv.Listen(veto, func(context.Context, bayeux.Session, *bayeux.Message) error { return bayeux.Drop })
			require.NoError(t, err)
			var got any
			if veto == "/meta/handshake" {
				got = r.Post("", `[{"channel":"/meta/handshake","id":"1"}]`).Messages
				same(t, `[{"channel":"/meta/handshake","id":"1","successful":false,"error":"404::message_deleted","advice":{"reconnect":"none"}}]`, got)
			} else {
				u := r.hello("")
				got = u.send(`[{"channel":"` + veto + `","clientId":"$","id":"1"}]`).Messages
				same(t, `[{"channel":"`+veto+`","id":"1","successful":false,"error":"404::message_deleted"}]`, got)
				require.True(t, wireAlive(u))
			}
			remove()
			remove()
		}
		d.take()
	})
}

// The first that refuses is the last; what one changes the next sees, and the
// subscribers ([R-PB-4]). CASES 86.
func TestListenersInTurn(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		var d diary
		on := func(ch, name string, verdict error) func() {
			remove, err := r.srv.Listen(ch, func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
				d.note("%s %s", name, m.Data)
				m.Data = bayeux.Raw(`"` + name + `"`)
				return verdict
			})
			require.NoError(t, err)
			return remove
		}
		on("/a/b", "own", nil)
		stop := on("/a/b", "no", bayeux.Drop)
		on("/a/b", "last", nil)
		on("/a/{x}", "template", nil)
		on("/**", "all", nil)
		u := r.hello("").connect().subscribe("/a/b")
		same(t, `[{"channel":"/a/b","id":"p","successful":false,"error":"404::message_deleted"}]`, u.publish("/a/b", `"data"`).Messages)
		require.Equal(t, []string{`all "data"`, `template "all"`, `own "template"`, `no "own"`}, d.take())
		stop()
		require.ErrorIs(t, r.srv.Publish(t.Context(), "/a/*", 1), server.ErrNotBroadcast)
		same(t, `[{"channel":"/a/b","data":"last"},{"channel":"/a/b","id":"p","successful":true}]`, u.publish("/a/b", `"data"`).Messages)
	})
}

// CASES 153: channels are swept unless something keeps them; a weak listener
// does not, and is heard again when the channel is back ([R-SB-13]).
func TestListenWeak(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		heard := 0
		hear := func(context.Context, bayeux.Session, *bayeux.Message) error {
			heard++
			return nil
		}
		strong, err := r.srv.Listen("/strong", hear)
		require.NoError(t, err)
		_, err = r.srv.ListenWeak("/weak", hear)
		require.NoError(t, err)
		require.NoError(t, r.srv.Configure("/kept", server.ChannelOptions{Persistent: true}))
		u := r.hello("").connect().subscribe("/taken")
		u.publish("/weak", "1")
		u.publish("/plain", "1")
		require.True(t, r.srv.HasChannel("/weak"))
		time.Sleep(2100 * time.Millisecond) // four sweeps, the first of which may come at once
		for ch, is := range map[string]bool{"/strong": true, "/kept": true, "/taken": true, "/weak": false, "/plain": false} {
			require.Equal(t, is, r.srv.HasChannel(ch), ch)
		}
		r.publish("/weak", 2)
		require.Equal(t, 2, heard)
		strong()
		strong()
		require.True(t, r.srv.HasChannel("/strong"))
		u.connect()
		time.Sleep(2100 * time.Millisecond)
		require.False(t, r.srv.HasChannel("/strong"))
	})
}

func TestListenErrors(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		_, err := r.srv.Listen("/a", nil)
		require.ErrorContains(t, err, `"/a"`)
		_, err = r.srv.Listen("/{a}/{a}", func(context.Context, bayeux.Session, *bayeux.Message) error { return nil })
		require.ErrorIs(t, err, channels.ErrParameter)
		require.False(t, r.srv.HasChannel("/a"))
	})
}
