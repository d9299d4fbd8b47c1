package bayeux

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/channels"
)

func always(v Verdict) Authorizer {
	return func(context.Context, Operation, channels.Name, Session, *Message) Verdict { return v }
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
