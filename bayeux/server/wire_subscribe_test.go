package server_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// subscribing returns the body of a subscribe or unsubscribe; the subscription
// is JSON, and left out where empty.
func subscribing(verb, subscription string) string {
	if subscription != "" {
		subscription = `,"subscription":` + subscription
	}
	return `[{"channel":"/meta/` + verb + `","clientId":"$","id":"s"` + subscription + `}]`
}

// answered is the reply to such a body: with the subscription as it was sent
// and an error, if there is one.
func answered(verb, subscription, errText string) string {
	if subscription != "" && subscription != "null" {
		subscription = `,"subscription":` + subscription
	} else {
		subscription = ""
	}
	if errText != "" {
		return fmt.Sprintf(`[{"channel":"/meta/%s","id":"s","successful":false,"error":%q%s}]`, verb, errText, subscription)
	}
	return fmt.Sprintf(`[{"channel":"/meta/%s","id":"s","successful":true%s}]`, verb, subscription)
}

// What a subscription may be, and what is said to what it may not be.
// Cases 65, 66, 67, 69, 71 and 73.
func TestSubscribeReplies(t *testing.T) {
	const (
		missing = "403::subscription_missing"
		invalid = "403::subscription_invalid"
		meta    = "403:denied_by_security_policy:subscribe_denied"
		create  = "403:denied_by_security_policy:create_denied"
	)
	for _, c := range []struct{ rule, subscription, want string }{
		{"[R-SB-1] a string", `"/a"`, ""},
		{"[R-SB-1] an array", `["/a","/b/c"]`, ""},
		{"[R-SB-1] spelling", `"/a/ "`, ""},
		{"[R-SB-2] absent", "", missing},
		{"[R-SB-2] null", "null", missing},
		{"[R-SB-2] a number", "5", invalid},
		{"[R-SB-2] an object", "{}", invalid},
		{"[R-SB-2] no slash", `"foo"`, invalid},
		{"[R-SB-2] bad character", `"/a?"`, invalid},
		{"[R-SB-2] number inside", `["/a",5]`, invalid},
		{"[R-SB-2] nested array", `[["/a"]]`, invalid},
		{"[R-SB-2] last is bad", `["/ok","bad?"]`, invalid},
		{"[R-SB-4] empty array", "[]", invalid},
		{"[R-MSG-10] wildcard inside", `"/a/**/b"`, invalid},
		{"[R-MSG-10] wildcard before a segment", `"/*/b"`, invalid},
		{"[R-MSG-10] parameter and wildcard", `"/{v}/*"`, invalid},
		{"[R-MSG-10] empty segment", `"//a"`, invalid},
		{"[R-SB-6] service", `"/service/x"`, ""},
		{"[R-SB-6] service wildcard", `"/service/**"`, ""},
		{"[R-SB-7] meta", `"/meta/connect"`, meta},
		{"[R-SB-7] meta wildcard", `"/meta/*"`, create},
		{"[R-SB-7] deep meta wildcard", `"/meta/**"`, create},
		{"[R-SB-7] all broadcasts", `"/**"`, ""},
		{"[R-SB-11] template", `"/a/{v}"`, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.hello("")
				reply := u.send(subscribing("subscribe", c.subscription))
				same(t, answered("subscribe", c.subscription, c.want), reply.Messages)
				if c.want != "" {
					require.Zero(t, r.stats().Subscriptions, "something was subscribed")
				}
			})
		})
	}
}

// Unsubscribing succeeds for channels that exist ([R-SB-12]). Cases 71 and 75.
func TestUnsubscribeReplies(t *testing.T) {
	for _, c := range []struct{ rule, subscription, want string }{
		{"subscribed", `"/a"`, ""},
		{"an array", `["/a","/known"]`, ""},
		{"known, not subscribed", `"/known"`, ""},
		{"[R-MSG-12] normalised", `"/a/"`, ""},
		{"unknown", `"/nobody"`, "400::channel_missing"},
		{"an array stops", `["/nobody","/a"]`, "400::channel_missing"},
		{"meta", `"/meta/connect"`, "403::unsubscribe_failed"},
		{"unknown meta", `"/meta/*"`, "400::channel_missing"},
		{"known service", `"/service/known"`, ""},
		{"unknown service", `"/service/unknown"`, "400::channel_missing"},
		{"missing", "", "403::subscription_missing"},
		{"invalid", "7", "403::subscription_invalid"},
	} {
		t.Run("[R-SB-12] "+c.rule, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u := r.hello("").subscribe("/a")
				r.hello("").subscribe("/known").subscribe("/service/known")
				reply := u.send(subscribing("unsubscribe", c.subscription))
				same(t, answered("unsubscribe", c.subscription, c.want), reply.Messages)
				left := 1
				if c.want == "" && (c.subscription == `"/a"` || c.subscription == `"/a/"` || c.subscription[0] == '[') {
					left = 0
				}
				require.Equal(t, left, r.srv.Subscribers("/a"))
			})
		})
	}
}

// keeper refuses to let anybody touch some channels, with a reason of its own.
type keeper struct {
	bayeux.DefaultPolicy
	create, subscribe, publish channels.Name
	asked                      []string
}

func (k *keeper) verdict(what string, ch, refused channels.Name) error {
	k.asked = append(k.asked, what+" "+string(ch))
	if ch == refused {
		return bayeux.Deny("not_yours")
	}
	return nil
}

func (k *keeper) CanCreate(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	return k.verdict("create", ch, k.create)
}

func (k *keeper) CanSubscribe(_ context.Context, _ bayeux.Session, p channels.Pattern, _ *bayeux.Message) error {
	return k.verdict("subscribe", p.Name(), k.subscribe)
}

func (k *keeper) CanPublish(_ context.Context, _ bayeux.Session, ch channels.Name, _ *bayeux.Message) error {
	return k.verdict("publish", ch, k.publish)
}

// Elements before the refused one stay subscribed, later ones are not asked
// for ([R-SB-3]); the words of the refusal tell the operation ([R-SB-8]) and
// the policy's reason ([R-SB-9]).
func TestSubscribeStopsAtRefusal(t *testing.T) {
	k := &keeper{create: "/two", subscribe: "/four"}
	bubble(t, func(c *server.Config) { c.Policy = k }, func(t *testing.T, r *rig) {
		u := r.hello("")
		same(t, answered("subscribe", `["/one","/two","/three"]`, "403:not_yours:create_denied"),
			u.send(subscribing("subscribe", `["/one","/two","/three"]`)).Messages)
		require.Equal(t, []string{"create /one", "subscribe /one", "create /two"}, k.asked)
		require.Equal(t, 1, r.srv.Subscribers("/one"))
		require.Zero(t, r.srv.Subscribers("/three"))

		k.asked = nil
		same(t, answered("subscribe", `["/one","/four","/five"]`, "403:not_yours:subscribe_denied"),
			u.send(subscribing("subscribe", `["/one","/four","/five"]`)).Messages)
		require.Equal(t, []string{"subscribe /one", "create /four", "subscribe /four"}, k.asked,
			"CREATE is asked for new channels only")
		require.False(t, r.srv.HasChannel("/five"))
	})
}

// A session that ends while the policy thinks gets subscribe_failed, and is
// not subscribed ([R-SB-8]).
func TestSubscribeMeetsEnd(t *testing.T) {
	think, told := make(chan struct{}), make(chan struct{})
	p := policyFuncs{subscribe: func(bayeux.Session) error {
		close(told)
		<-think
		return nil
	}}
	bubble(t, func(c *server.Config) { c.Policy = p }, func(t *testing.T, r *rig) {
		u := r.hello("")
		reply := u.later(subscribing("subscribe", `"/a"`))
		<-told
		require.NoError(t, r.srv.Remove(u.id))
		close(think)
		same(t, answered("subscribe", `"/a"`, "403::subscribe_failed"), (<-reply).Messages)
		require.Zero(t, r.srv.Subscribers("/a"))
	})
}

// Subscribing twice is like once ([R-SB-5]), and so is matching twice
// ([R-PB-9]). Cases 77 and 78.
func TestSubscribeIsIdempotent(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		same(t, answered("subscribe", `["/x/y","/x/y","/x/*","/x/**","/**"]`, ""),
			u.send(subscribing("subscribe", `["/x/y","/x/y","/x/*","/x/**","/**"]`)).Messages)
		u.subscribe("/x/y")
		require.NoError(t, r.srv.Publish(t.Context(), "/x/y", 1))
		same(t, `[{"channel":"/x/y","data":1},{"channel":"/meta/connect","id":"c1","successful":true}]`, u.send(connectHold).Messages)
		u.send(subscribing("unsubscribe", `["/x/y","/x/*","/x/**","/**"]`))
		require.NoError(t, r.srv.Publish(t.Context(), "/x/y", 2))
		same(t, `[{"channel":"/meta/connect","id":"c1","successful":true}]`, u.send(connectHold).Messages)
	})
}

// Who receives what ([R-SB-10], [R-SB-11], [R-SB-7] last sentence, [R-SB-6]).
// Cases 70 and 72.
func TestSubscriptionsMatch(t *testing.T) {
	published := []string{"/foo", "/foo/bar", "/foo/bar/boo", "/foobar", "/a/b", "/a/{v}", "/service/s"}
	for pattern, want := range map[string][]string{
		"/foo/*":     {"/foo/bar"},
		"/foo/**":    {"/foo/bar", "/foo/bar/boo"},
		"/foo":       {"/foo"},
		"/*":         {"/foo", "/foobar"},
		"/**":        {"/foo", "/foo/bar", "/foo/bar/boo", "/foobar", "/a/b", "/a/{v}"},
		"/a/{v}":     {"/a/{v}"},
		"/foo/ ":     {"/foo"}, // [R-MSG-12]
		"/service/s": nil,
	} {
		t.Run(pattern, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, r *rig) {
				u, from := r.hello("").connect().subscribe(pattern), r.hello("")
				for _, ch := range published {
					from.publish(ch, "0")
				}
				var got []string
				for _, m := range u.send(connectNow).Messages {
					if ch := text(m["channel"]); ch != "/meta/connect" {
						got = append(got, ch)
					}
				}
				require.Equal(t, want, got)
			})
		})
	}
}

// A channel that nobody uses is gone after three sweeps ([R-SB-13]); one with
// a listener, a subscriber or the persistent flag stays.
func TestUnusedChannelsAreSwept(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect()
		u.publish("/unused", "1")
		remove, err := r.srv.Listen("/heard", func(context.Context, bayeux.Session, *bayeux.Message) error { return nil })
		require.NoError(t, err)
		require.NoError(t, r.srv.Configure("/kept", server.ChannelOptions{Persistent: true}))
		u.subscribe("/used")
		held := u.later(connectHold)
		time.Sleep(900 * time.Millisecond)
		require.True(t, r.srv.HasChannel("/unused"))
		time.Sleep(1200 * time.Millisecond)
		for ch, want := range map[string]bool{"/unused": false, "/heard": true, "/kept": true, "/used": true} {
			require.Equal(t, want, r.srv.HasChannel(ch), ch)
		}
		same(t, answered("unsubscribe", `"/unused"`, "400::channel_missing"),
			u.send(subscribing("unsubscribe", `"/unused"`)).Messages)
		remove()
		<-held
		time.Sleep(2100 * time.Millisecond)
		require.False(t, r.srv.HasChannel("/heard"))
	})
}

// A subscription is in effect before its reply ([R-SB-14]); pushed messages go
// ahead of the replies, these in the order of the requests ([R-OUT-2]).
func TestSubscriptionIsEffectiveAtOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		reply := r.hello("").send(`[{"channel":"/meta/subscribe","clientId":"$","subscription":"/z","id":"1"},` +
			`{"channel":"/z","clientId":"$","data":1,"id":"2"}]`)
		same(t, `[{"channel":"/z","data":1},
			{"channel":"/meta/subscribe","subscription":"/z","id":"1","successful":true},
			{"channel":"/z","id":"2","successful":true}]`, reply.Messages)
	})
}

// Subscriptions go with the session from carrier to carrier and die with it
// ([R-SB-15]).
func TestSubscriptionsSurviveMoves(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		u := r.hello("").connect().subscribe("/a")
		s := &surfer{Socket: r.Dial(nil), r: r, id: u.id}
		s.connected()
		require.NoError(t, r.srv.Publish(t.Context(), "/a", 1))
		same(t, `[{"channel":"/a","data":1}]`, s.get())
		u.connect()
		require.NoError(t, r.srv.Publish(t.Context(), "/a", 2))
		require.Contains(t, u.send(connectHold).Body, `"data":2`)
		require.Equal(t, 1, r.srv.Subscribers("/a"))
		u.send(`[{"channel":"/meta/disconnect","clientId":"$"}]`)
		synctest.Wait()
		require.Zero(t, r.srv.Subscribers("/a"))
		s.Cut()
	})
}

// The bound of subscriptions names itself (DESIGN 7), in words of the protocol
// ([R-MSG-14]).
func TestSubscriptionsAreBounded(t *testing.T) {
	bubble(t, option("maxSubscriptions", "2"), func(t *testing.T, r *rig) {
		u := r.hello("")
		same(t, answered("subscribe", `["/1","/2","/1","/3"]`, "403:subscriptions_limit:subscribe_denied"),
			u.send(subscribing("subscribe", `["/1","/2","/1","/3"]`)).Messages)
		require.EqualValues(t, 2, r.stats().Subscriptions)
	})
}
