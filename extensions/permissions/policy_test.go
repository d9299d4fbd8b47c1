package permissions

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

func (p *Policy) hears(s *session, name string) error {
	return p.CanSubscribe(context.Background(), s, channels.Compile(channels.Name(name)), nil)
}

// A new subject, and new rules, make what was decided void.
func TestRefreshAndReplace(t *testing.T) {
	sub := bayeux.OperationSubscribe
	old := compile(t, allow(sub, "group:wide", "/**"), allow(sub, "everyone", "/open"))
	p := New(Config{Rules: old})
	s := as(&bayeux.Subject{User: "a", Groups: []string{"wide"}})
	for range 2 {
		require.NoError(t, p.hears(s, "/a/b"))
	}
	s.SetSubject(&bayeux.Subject{User: "a", Groups: []string{"narrow"}})
	require.Error(t, p.hears(s, "/a/b"), "narrowed")
	s.SetSubject(nil)
	require.Error(t, p.hears(s, "/a/b"), "anonymous again")
	require.NoError(t, p.hears(s, "/open"))
	wide := &bayeux.Subject{User: "a", Groups: []string{"wide"}}
	s.SetSubject(wide)
	require.NoError(t, p.hears(s, "/a/b"), "widened")

	p.Replace(compile(t, deny(sub, "everyone", "/a/**"), allow(sub, "group:wide", "/**")))
	require.Error(t, p.hears(s, "/a/b"), "new rules")
	require.NoError(t, p.hears(s, "/b"))
	p.Replace(old)
	require.NoError(t, p.hears(s, "/a/b"), "the old ones")
	p.Replace(nil)
	require.Error(t, p.hears(s, "/a/b"), "none")
	require.NoError(t, p.CanHandshake(t.Context(), s, nil))
	runtime.KeepAlive(wide)
}

// Verdicts stay right while subjects and rules change under way: what is asked
// for after a change is decided by what holds after it.
func TestConcurrently(t *testing.T) {
	sub := bayeux.OperationSubscribe
	sets := []*Rules{compile(t, allow(sub, "group:g", "/0/**")), compile(t, allow(sub, "group:g", "/1/**"))}
	subjects := []*bayeux.Subject{{User: "in", Groups: []string{"g"}}, {User: "out"}, nil}
	p := New(Config{Rules: sets[0]})
	var wg sync.WaitGroup
	shared := as(subjects[0])
	for range 4 {
		wg.Go(func() {
			own := as(nil)
			for i := range 2000 {
				// Of its own session it knows what must come, but for the rules.
				x := subjects[i%3]
				own.SetSubject(x)
				zero, one := p.hears(own, "/0/"+strconv.Itoa(i%40)) == nil, p.hears(own, "/2/"+strconv.Itoa(i%40)) == nil
				if one || zero && i%3 != 0 {
					panic("a verdict of another subject")
				}
				shared.SetSubject(x)
				_ = p.hears(shared, "/1/x")
				p.Replace(sets[i%2])
			}
		})
	}
	wg.Wait()
	for i, set := range sets {
		p.Replace(set)
		shared.SetSubject(subjects[0])
		require.NoError(t, p.hears(shared, "/"+strconv.Itoa(i)+"/x"))
		require.Error(t, p.hears(shared, "/"+strconv.Itoa(1-i)+"/x"))
	}
}

func (p *Policy) remembered() (n int) {
	p.known.Range(func(any, any) bool {
		n++
		return true
	})
	return n
}

// What is known of a subject goes with it; idle sessions and anonymous ones take
// nothing.
func TestForgets(t *testing.T) {
	p := New(Config{Rules: compile(t, allow(bayeux.OperationSubscribe, "authenticated", "/a"))})
	require.Error(t, p.hears(as(nil), "/a"))
	require.Zero(t, p.remembered())
	func() {
		var all []*session
		for i := range 100 {
			s := as(&bayeux.Subject{User: strconv.Itoa(i)})
			require.NoError(t, p.hears(s, "/a"))
			all = append(all, s)
		}
		require.Equal(t, 100, p.remembered())
		runtime.KeepAlive(all)
	}()
	for range 1000 { // the collector takes its time
		runtime.GC()
		if p.remembered() == 0 {
			break
		}
		runtime.Gosched()
	}
	require.Zero(t, p.remembered())
}

// The cache is bounded, and long names are not kept.
func TestCacheBound(t *testing.T) {
	x := &bayeux.Subject{User: "a"}
	s, p := as(x), New(Config{Rules: compile(t, allow(bayeux.OperationSubscribe, "authenticated", "/a/**"))})
	for i := range 1000 {
		require.NoError(t, p.hears(s, "/a/"+strconv.Itoa(i)))
	}
	kept := func() (n int) {
		id := p.identity(s)
		require.Len(t, id.slots, fewSlots)
		for i := range id.slots {
			if v := id.slots[i].Load(); v != nil {
				n++
				require.LessOrEqual(t, len(v.name), maxCached)
			}
		}
		return n
	}
	require.Equal(t, fewSlots, kept())
	long := make([]byte, maxCached)
	for i := range long {
		long[i] = 'x'
	}
	for range 2 {
		require.NoError(t, p.hears(s, "/a/"+string(long)))
	}
	kept()
	runtime.KeepAlive(x)
}

// What clients are told, and what is told of it.
func TestRefusals(t *testing.T) {
	sub, pub := bayeux.OperationSubscribe, bayeux.OperationPublish
	reasoned := Rule{Name: "closed", Source: "x.yaml:3", Deny: true, Operations: []bayeux.Operation{sub, pub, bayeux.OperationCreate}, Who: []string{"everyone"}, Channels: []string{"/closed/**"}, Reason: "closed_today"}
	var told []Refusal
	p := New(Config{
		Rules: compile(t, reasoned, deny(bayeux.OperationCreate, "everyone", "/rooms/*"), allow(sub, "everyone", "/rooms/**"), allow(pub, "everyone", "/rooms/**"),
			deny(OperationHandshake, "group:banned")),
		Refused: func(_ context.Context, r Refusal) { told = append(told, r) },
	})
	s := as(&bayeux.Subject{User: "a", Groups: []string{"banned"}})
	ctx := t.Context()
	subscribing, publishing := &bayeux.Message{Channel: "/meta/subscribe"}, &bayeux.Message{Channel: "/x"}
	for _, tt := range []struct {
		name string
		err  error
		want string
		rule string
	}{
		{"handshake", p.CanHandshake(ctx, s, nil), "403::handshake_denied", "rule 5"},
		{"subscribe", p.hears(s, "/a"), "403:denied_by_security_policy:subscribe_denied", ""},
		{"publish", p.CanPublish(ctx, s, "/a", publishing), "403:denied_by_security_policy:publish_denied", ""},
		{"meta", p.hears(s, "/meta/x"), "403:denied_by_security_policy:subscribe_denied", ""},
		{"subscribe, reason", p.hears(s, "/closed/1"), "403:closed_today:subscribe_denied", "rule 1 (closed)"},
		{"publish, reason", p.CanPublish(ctx, s, "/closed/1", publishing), "403:closed_today:publish_denied", "rule 1 (closed)"},
		{"to subscribe", p.CanCreate(ctx, s, "/a", subscribing), "403:denied_by_security_policy:subscribe_denied", ""},
		{"to publish", p.CanCreate(ctx, s, "/a", publishing), "403:denied_by_security_policy:publish_denied", ""},
		{"by nobody", p.CanCreate(ctx, s, "/a", nil), "403:denied_by_security_policy:publish_denied", ""},
		{"create", p.CanCreate(ctx, s, "/rooms/1", subscribing), "403:denied_by_security_policy:", "rule 2"},
		{"create by wildcard", p.CanCreate(ctx, s, "/rooms/**", subscribing), "403:denied_by_security_policy:", "rule 2"},
	} {
		e, ok := errors.AsType[*bayeux.Error](tt.err)
		require.True(t, ok, tt.name)
		require.Equal(t, tt.want, e.Error(), tt.name)
		require.Equal(t, tt.rule, told[0].Rule, tt.name)
		told = told[1:]
	}
	require.Empty(t, told)
	require.NoError(t, p.CanCreate(ctx, s, "/rooms/1/2", subscribing))
	require.NoError(t, p.hears(s, "/rooms/1"))
	require.NoError(t, p.CanHandshake(ctx, as(nil), nil))
}

// Who may handshake: everybody, all but those denied, or those allowed only.
func TestHandshakes(t *testing.T) {
	anna, bot := as(&bayeux.Subject{User: "anna"}), as(&bayeux.Subject{User: "bot", Groups: []string{"bots"}})
	for _, tt := range []struct {
		rules              []Rule
		anonym, anna, bots bool
	}{
		{nil, true, true, true},
		{[]Rule{deny(OperationHandshake, "group:bots")}, true, true, false},
		{[]Rule{allow(OperationHandshake, "authenticated")}, false, true, true},
		{[]Rule{deny(OperationHandshake, "group:bots"), allow(OperationHandshake, "authenticated")}, false, true, false},
		{[]Rule{allow(OperationHandshake, "authenticated"), deny(OperationHandshake, "group:bots")}, false, true, true},
	} {
		p := New(Config{Rules: compile(t, tt.rules...)})
		for s, want := range map[*session]bool{as(nil): tt.anonym, anna: tt.anna, bot: tt.bots} {
			require.Equal(t, want, p.CanHandshake(t.Context(), s, nil) == nil, "%+v", tt.rules)
			x, err := p.Rules().Explain(s.Subject(), OperationHandshake, "")
			require.NoError(t, err)
			require.Equal(t, want, x.Allowed)
		}
	}
}
