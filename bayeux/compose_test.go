package bayeux

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/channels"
)

// told is a policy that says the same to everything and notes that it was
// asked.
type told struct {
	name string
	err  error
	log  *[]string
}

func (p told) say() error {
	*p.log = append(*p.log, p.name)
	return p.err
}

func (p told) CanHandshake(context.Context, Session, *Message) error { return p.say() }
func (p told) CanCreate(context.Context, Session, channels.Name, *Message) error {
	return p.say()
}

func (p told) CanSubscribe(context.Context, Session, channels.Pattern, *Message) error {
	return p.say()
}

func (p told) CanPublish(context.Context, Session, channels.Name, *Message) error {
	return p.say()
}

// everyway asks a policy about all operations; they must agree.
func everyway(t *testing.T, p Policy) error {
	t.Helper()
	ctx, m := t.Context(), &Message{}
	first := p.CanHandshake(ctx, nil, m)
	for _, err := range []error{
		p.CanCreate(ctx, nil, "/a", m), p.CanSubscribe(ctx, nil, channels.Compile("/a"), m), p.CanPublish(ctx, nil, "/a", m),
	} {
		require.Equal(t, first, err)
	}
	return first
}

func TestCompose(t *testing.T) {
	no, never, broken := Deny("no"), Deny("never"), errors.New("broken")
	for name, c := range map[string]struct {
		of        func(...Policy) Policy
		verdicts  []error
		want      error
		wantAsked int
	}{
		"all of none":                     {AllOf, nil, nil, 0},
		"all allow":                       {AllOf, []error{nil, nil}, nil, 2},
		"the first refusal counts":        {AllOf, []error{nil, no, never}, no, 2},
		"a failure refuses":               {AllOf, []error{broken, nil}, broken, 1},
		"any of none":                     {AnyOf, nil, Deny(ReasonSecurityPolicy), 0},
		"any allows":                      {AnyOf, []error{no, nil, never}, nil, 2},
		"the last refusal counts":         {AnyOf, []error{no, never}, never, 2},
		"a failure does not stop the ask": {AnyOf, []error{broken, nil}, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var log []string
			var policies []Policy
			for i, err := range c.verdicts {
				policies = append(policies, told{string(rune('a' + i)), err, &log})
			}
			require.Equal(t, c.want, everyway(t, c.of(policies...)))
			require.Len(t, log, 4*c.wantAsked)
		})
	}
}

// Policies compose with each other and with authorizers, and what is attached
// to channels inside is kept.
func TestComposeNested(t *testing.T) {
	inner := NewAuthorizers(nil)
	_, err := inner.Add("/in", always(Refuse("inside")))
	require.NoError(t, err)
	outer := NewAuthorizers(AnyOf(AllOf(inner, DefaultPolicy{}), told{"x", Deny("else"), new([]string)}))
	_, err = outer.Add("/out/*", always(Refuse("outside")))
	require.NoError(t, err)
	held := map[channels.Name]int{}
	outer.Keep(func(ch channels.Name) func() {
		held[ch]++
		return func() { held[ch]-- }
	})
	require.Equal(t, map[channels.Name]int{"/in": 1, "/out/*": 1}, held)
	m := &Message{}
	require.NoError(t, outer.CanPublish(t.Context(), nil, "/a", m))
	require.EqualError(t, outer.CanPublish(t.Context(), nil, "/in", m), "403:else:")
	require.EqualError(t, outer.CanPublish(t.Context(), nil, "/out/1", m), "403:outside:")
}

func TestParseError(t *testing.T) {
	for s, want := range map[string]Error{
		"402::session_unknown":          {Code: 402, Text: "session_unknown"},
		"403:a,b:publish_denied":        {Code: 403, Args: "a,b", Text: "publish_denied"},
		"403:why:text:with:more colons": {Code: 403, Args: "why", Text: "text:with:more colons"},
		"402::Unknown client":           {Code: 402, Text: "Unknown client"}, // [R-ERR-6]
		"just text":                     {Text: "just text"},
		"x:y:z":                         {Text: "x:y:z"},
		"402:":                          {Text: "402:"},
		"":                              {},
	} {
		require.Equal(t, want, *ParseError(s), s) // [R-MSG-14]
	}
}
