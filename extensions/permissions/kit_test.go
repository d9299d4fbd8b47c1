package permissions

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// session is one that has a subject and nothing else.
type session struct {
	bayeux.Session
	subject atomic.Pointer[bayeux.Subject]
}

func (s *session) Subject() *bayeux.Subject     { return s.subject.Load() }
func (s *session) SetSubject(x *bayeux.Subject) { s.subject.Store(x) }

func as(x *bayeux.Subject) *session {
	s := &session{}
	s.SetSubject(x)
	return s
}

func compile(t testing.TB, rules ...Rule) *Rules {
	t.Helper()
	c, err := Compile(rules, Options{})
	require.NoError(t, err)
	return c
}

// allow and deny make rules as operators write them.
func allow(op bayeux.Operation, who string, on ...string) Rule {
	return Rule{Operations: []bayeux.Operation{op}, Who: []string{who}, Channels: on}
}

func deny(op bayeux.Operation, who string, on ...string) Rule {
	r := allow(op, who, on...)
	r.Deny = true
	return r
}

func mustParse(t testing.TB, text string) channels.Name {
	t.Helper()
	n, err := channels.Parse(text)
	require.NoError(t, err)
	return n
}
