package server_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// All the errors of WIRE 12 as a client sees them ([R-MSG-14], [R-ERR-6]), but
// 403::handshake_failed, which no client can cause ([R-HS-11]), and
// 403::subscribe_failed, which needs a race (TestSubscribeMeetsEnd).
func TestErrorTexts(t *testing.T) {
	k := &keeper{create: "/c", subscribe: "/s", publish: "/p"}
	refuse := bayeux.Funcs{In: func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		switch {
		case m.Channel == "/deleted":
			return bayeux.Drop
		case m.Channel == "/meta/handshake" && m.ID == "no":
			return bayeux.ErrHandshakeDenied
		}
		return nil
	}}
	bubble(t, func(c *server.Config) {
		c.Policy = k
		c.Extensions = append(c.Extensions, refuse)
	}, func(t *testing.T, r *rig) {
		u := r.hello("")
		for message, want := range map[string]string{
			`{"clientId":"$"}`: "400::channel_missing",
			`{"channel":"/meta/unsubscribe","clientId":"$","subscription":"/none"}`:         "400::channel_missing",
			`{"channel":"/a","clientId":"other"}`:                                           "402::session_unknown",
			`{"channel":"/meta/handshake","id":"no"}`:                                       "403::handshake_denied",
			`{"channel":"/meta/subscribe","clientId":"$"}`:                                  "403::subscription_missing",
			`{"channel":"/meta/subscribe","clientId":"$","subscription":7}`:                 "403::subscription_invalid",
			`{"channel":"/meta/subscribe","clientId":"$","subscription":"/c"}`:              "403:not_yours:create_denied",
			`{"channel":"/meta/subscribe","clientId":"$","subscription":"/s"}`:              "403:not_yours:subscribe_denied",
			`{"channel":"/meta/unsubscribe","clientId":"$","subscription":"/meta/connect"}`: "403::unsubscribe_failed",
			`{"channel":"/c","clientId":"$"}`:                                               "403:not_yours:channel_create_denied",
			`{"channel":"/p","clientId":"$"}`:                                               "403:not_yours:publish_denied",
			`{"channel":"/meta/x","clientId":"$"}`:                                          "403:denied_by_security_policy:channel_create_denied",
			`{"channel":"/deleted","clientId":"$"}`:                                         "404::message_deleted",
			`{"channel":"/a?","clientId":"$"}`:                                              "405::channel_invalid",
			`{"channel":"/a","clientId":"$","id":"a-b"}`:                                    "405::message_id_invalid",
		} {
			reply := u.send("[" + message + "]")
			require.Len(t, reply.Messages, 1)
			require.Equal(t, false, reply.Messages[0]["successful"], message)
			require.Equal(t, want, reply.Messages[0]["error"], message)
		}
	})
}
