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

// authorized returns authorizers and the change of the rig that uses them.
func authorized() (*bayeux.Authorizers, func(*server.Config)) {
	a := bayeux.NewAuthorizers(nil)
	return a, func(c *server.Config) { c.Policy = a }
}

func says(v bayeux.Verdict) bayeux.Authorizer {
	return func(context.Context, bayeux.Operation, channels.Name, bayeux.Session, *bayeux.Message) bayeux.Verdict {
		return v
	}
}

// CASES 83, 84: what authorizers deny, ignore and grant ([R-SP-3]).
func TestWireAuthorizers(t *testing.T) {
	a, change := authorized()
	for ch, v := range map[string]bayeux.Verdict{
		"/ignored": bayeux.Ignore(), "/test/*": bayeux.Grant(), "/test/denied": bayeux.Refuse("test"),
		"/mine/{who}": bayeux.Refuse("not_yours"), "/service/closed": bayeux.Ignore(),
	} {
		_, err := a.Add(ch, says(v))
		require.NoError(t, err)
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		for ch, want := range map[string]string{
			"/foo":            `"successful":true`,
			"/ignored":        `"successful":false,"error":"403:denied_by_not_granting:publish_denied"`,
			"/test/granted":   `"successful":true`,
			"/test/denied":    `"successful":false,"error":"403:test:publish_denied"`,
			"/test/denied/x":  `"successful":true`,
			"/mine/7":         `"successful":false,"error":"403:not_yours:channel_create_denied"`,
			"/service/open":   `"successful":true`,
			"/service/closed": `"successful":false,"error":"403:denied_by_not_granting:publish_denied"`,
		} {
			same(t, `[{"channel":"`+ch+`","id":"p",`+want+`}]`, u.publish(ch, "1").Messages)
		}
		for ch, want := range map[string]string{
			"/ignored":     `"successful":false,"error":"403:denied_by_not_granting:subscribe_denied"`,
			"/test/denied": `"successful":false,"error":"403:test:subscribe_denied"`,
			"/mine/7":      `"successful":false,"error":"403:not_yours:create_denied"`,
			"/test/*":      `"successful":true`,
			"/**":          `"successful":true`,
		} {
			same(t, `[{"channel":"/meta/subscribe","id":"s","subscription":"`+ch+`",`+want+`}]`,
				u.send(subscribing("subscribe", `"`+ch+`"`)).Messages)
		}
	})
}

// A new channel asks for CREATE, then for the operation; one that exists for the
// operation alone, and a channel with authorizers of its own exists ([R-SP-4],
// [R-SB-13]).
func TestWireAuthorizersSequence(t *testing.T) {
	a, change := authorized()
	var d diary
	note := func(_ context.Context, op bayeux.Operation, ch channels.Name, _ bayeux.Session, _ *bayeux.Message) bayeux.Verdict {
		d.note("%s %s", op, ch)
		return bayeux.Grant()
	}
	for _, ch := range []string{"/**", "/room/{id}", "/own"} {
		_, err := a.Add(ch, note)
		require.NoError(t, err)
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		u.publish("/new", "1")
		require.Equal(t, []string{"create /new", "publish /new"}, d.take())
		u.publish("/new", "1")
		u.subscribe("/new")
		require.Equal(t, []string{"publish /new", "subscribe /new"}, d.take())
		u.subscribe("/room/7") // asked twice: by the wildcard and by the template
		require.Equal(t, []string{"create /room/7", "create /room/7", "subscribe /room/7", "subscribe /room/7"}, d.take())
		u.publish("/own", "1")
		u.subscribe("/**")
		require.Equal(t, []string{"publish /own", "publish /own", "subscribe /**"}, d.take())
		u.subscribe("/x/*")
		require.Equal(t, []string{"create /x/*", "subscribe /x/*"}, d.take())
	})
}

// CASES 85: an authorizer that removes itself during a call has granted for the
// last time. Its channel then goes as any does.
func TestWireAuthorizerRemovesItself(t *testing.T) {
	a, change := authorized()
	_, err := a.Add("/test/*", says(bayeux.Ignore()))
	require.NoError(t, err)
	var remove func()
	remove, err = a.Add("/test/granted", func(context.Context, bayeux.Operation, channels.Name, bayeux.Session, *bayeux.Message) bayeux.Verdict {
		remove()
		return bayeux.Grant()
	})
	require.NoError(t, err)
	bubble(t, change, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		require.Contains(t, u.publish("/test/granted", "{}").Body, `"successful":true`)
		require.Contains(t, u.publish("/test/granted", "{}").Body, "403:denied_by_not_granting:publish_denied")
		time.Sleep(2100 * time.Millisecond)
		require.False(t, r.srv.HasChannel("/test/granted"))
		require.True(t, r.srv.HasChannel("/test/*"))
		require.Contains(t, u.publish("/test/granted", "{}").Body, "403:denied_by_not_granting:channel_create_denied")
		later, err := a.Add("/late", says(bayeux.Grant()))
		require.NoError(t, err)
		require.True(t, r.srv.HasChannel("/late"))
		later()
	})
}
