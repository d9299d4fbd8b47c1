package bayeux

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/channels"
)

func always(v Verdict) Authorizer {
	return func(context.Context, Operation, channels.Name, Session, *Message) Verdict { return v }
}

func TestGrantOnly(t *testing.T) {
	granted := []Operation{OperationCreate, OperationSubscribe}
	some, none := GrantOnly(granted...), GrantOnly()
	granted[0] = OperationPublish // the caller's
	for op, want := range map[Operation]Verdict{OperationCreate: Grant(), OperationSubscribe: Grant(), OperationPublish: Ignore()} {
		require.Equal(t, want, some(t.Context(), op, "/a", nil, nil), op)
		require.Equal(t, Ignore(), none(t.Context(), op, "/a", nil, nil), op)
	}
}

// [R-SP-3].
func TestAuthorizers(t *testing.T) {
	type entry struct {
		channel string
		verdict Verdict
	}
	for name, c := range map[string]struct {
		entries []entry
		channel channels.Name
		want    string // the reason; empty: granted
	}{
		"none":                         {nil, "/a/b", ""},
		"none that matches":            {[]entry{{"/x", Refuse("no")}, {"/a", Refuse("no")}}, "/a/b", ""},
		"a grant":                      {[]entry{{"/a/b", Grant()}}, "/a/b", ""},
		"ignored by all":               {[]entry{{"/a/b", Ignore()}, {"/**", Ignore()}}, "/a/b", ReasonNotGranting},
		"granted by a wildcard":        {[]entry{{"/a/b", Ignore()}, {"/a/*", Grant()}}, "/a/b", ""},
		"granted from far above":       {[]entry{{"/a/b", Ignore()}, {"/**", Grant()}}, "/a/b", ""},
		"a refusal beats grants":       {[]entry{{"/**", Grant()}, {"/a/**", Refuse("closed")}, {"/a/b", Grant()}}, "/a/b", "closed"},
		"a refusal without a reason":   {[]entry{{"/a/b", Refuse("")}}, "/a/b", ReasonSecurityPolicy},
		"the shallow wildcard is near": {[]entry{{"/a/*", Refuse("closed")}}, "/a/b/c", ""},
		"meta is not asked about":      {[]entry{{"/**", Refuse("closed")}}, "/meta/foo", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := NewAuthorizers(open{})
			for _, e := range c.entries {
				_, err := a.Add(e.channel, always(e.verdict))
				require.NoError(t, err)
			}
			ctx, m := context.Background(), &Message{}
			for _, err := range []error{
				a.CanCreate(ctx, nil, c.channel, m),
				a.CanSubscribe(ctx, nil, channels.Compile(c.channel), m),
				a.CanPublish(ctx, nil, c.channel, m),
			} {
				if c.want == "" {
					require.NoError(t, err)
					continue
				}
				var e *Error
				require.ErrorAs(t, err, &e)
				require.Equal(t, c.want, e.Args)
			}
		})
	}
}

// open allows everything, meta channels too.
type open struct{ DefaultPolicy }

func (open) CanCreate(context.Context, Session, channels.Name, *Message) error { return nil }
func (open) CanSubscribe(context.Context, Session, channels.Pattern, *Message) error {
	return nil
}
func (open) CanPublish(context.Context, Session, channels.Name, *Message) error { return nil }

// The wrapped policy decides first; authorizers may differ by operation, and a
// removed one is not asked any more.
func TestAuthorizersWrap(t *testing.T) {
	ctx, m := context.Background(), &Message{}
	a := NewAuthorizers(nil)
	require.NoError(t, a.CanHandshake(ctx, nil, m))
	require.EqualError(t, a.CanPublish(ctx, nil, "/meta/x", m), "403:"+ReasonSecurityPolicy+":")
	require.Error(t, a.CanCreate(ctx, nil, "/meta/x", m))
	require.Error(t, a.CanSubscribe(ctx, nil, channels.Compile("/meta/x"), m))

	remove, err := a.Add("/room/*", func(_ context.Context, op Operation, _ channels.Name, _ Session, _ *Message) Verdict {
		if op == OperationPublish {
			return Refuse("read only")
		}
		return Grant()
	})
	require.NoError(t, err)
	require.NoError(t, a.CanSubscribe(ctx, nil, channels.Compile("/room/1"), m))
	require.EqualError(t, a.CanPublish(ctx, nil, "/room/1", m), "403:read only:")
	remove()
	remove()
	require.NoError(t, a.CanPublish(ctx, nil, "/room/1", m))

	_, err = a.Add("room", always(Grant()))
	require.ErrorIs(t, err, channels.ErrCharacters)
}

// Authorizers are asked from the widest wildcard to the channel, the first that
// refuses is the last ([R-SP-3]).
func TestAuthorizersOrder(t *testing.T) {
	var asked []string
	a := NewAuthorizers(nil)
	add := func(channel, note string, v Verdict) {
		_, err := a.Add(channel, func(ctx context.Context, op Operation, ch channels.Name, _ Session, _ *Message) Verdict {
			asked = append(asked, note+Param(ctx, "id")+Param(ctx, channels.Wild))
			require.Equal(t, OperationPublish, op)
			require.Equal(t, channels.Name("/room/7/talk"), ch)
			return v
		})
		require.NoError(t, err)
	}
	add("/room/7/talk", "own", Grant())
	add("/room/7/talk", "own again", Refuse("closed"))
	add("/room/7/talk", "never", Grant())
	add("/room/{id}/talk", "template ", Ignore())
	add("/{house}/{id}/talk", "wider ", Ignore())
	add("/room/7/*", "shallow ", Ignore())
	add("/room/**", "deep ", Ignore())
	add("/**", "all ", Ignore())
	add("/room/*", "not", Refuse("wrong"))
	add("/room/{id}", "not", Refuse("wrong"))
	err := a.CanPublish(t.Context(), nil, "/room/7/talk", &Message{})
	require.EqualError(t, err, "403:closed:")
	require.Equal(t, []string{
		"all room/7/talk", "deep 7/talk", "shallow talk", "wider 7", "template 7", "own", "own again",
	}, asked)
}

// CASES 85: an authorizer that removes itself while it is asked has been asked
// for the last time, and its grant is gone ([R-SP-3]).
func TestAuthorizersRemoveDuringCall(t *testing.T) {
	a := NewAuthorizers(nil)
	_, err := a.Add("/test/*", always(Ignore()))
	require.NoError(t, err)
	var remove func()
	remove, err = a.Add("/test/granted", func(context.Context, Operation, channels.Name, Session, *Message) Verdict {
		remove()
		return Grant()
	})
	require.NoError(t, err)
	require.NoError(t, a.CanPublish(t.Context(), nil, "/test/granted", &Message{}))
	require.EqualError(t, a.CanPublish(t.Context(), nil, "/test/granted", &Message{}), "403:"+ReasonNotGranting+":")
	require.NoError(t, a.CanPublish(t.Context(), nil, "/foo", &Message{}))
}

// Channels with authorizers are kept, those that come later too, until the
// last has gone; templates are no channels ([R-SB-13]).
func TestAuthorizersKeep(t *testing.T) {
	var mu sync.Mutex
	held := map[channels.Name]int{}
	hold := func(ch channels.Name) func() {
		mu.Lock()
		defer mu.Unlock()
		held[ch]++
		return func() {
			mu.Lock()
			defer mu.Unlock()
			held[ch]--
		}
	}
	a := NewAuthorizers(nil)
	before, err := a.Add("/a", always(Grant()))
	require.NoError(t, err)
	a.Keep(hold)
	after, err := a.Add("/a", always(Grant()))
	require.NoError(t, err)
	_, err = a.Add("/{id}", always(Grant()))
	require.NoError(t, err)
	require.Equal(t, map[channels.Name]int{"/a": 2}, held)
	before()
	before()
	require.Equal(t, 1, held["/a"])
	after()
	require.Zero(t, held["/a"])
	_, err = a.Add("/{a}/{a}", always(Grant()))
	require.ErrorIs(t, err, channels.ErrParameter)

	// Many at once, while another server begins to keep.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				remove, err := a.Add("/b", always(Grant()))
				if err == nil && a.CanPublish(context.Background(), nil, "/b", &Message{}) == nil {
					remove()
				}
			}
		})
	}
	all.Go(func() { a.Keep(hold) })
	all.Wait()
	require.Zero(t, held["/b"])
}
