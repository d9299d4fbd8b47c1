package serve

import (
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// somebody is a session of a subject.
type somebody struct {
	bayeux.Session
	subject *bayeux.Subject
}

func (somebody) ID() string                     { return "s" }
func (s somebody) User() string                 { return s.subject.User }
func (s somebody) Subject() *bayeux.Subject     { return s.subject }
func (somebody) SetSubject(_ *bayeux.Subject)   {}
func (somebody) Attributes() *bayeux.Attributes { return nil }

// Without permissions a token that names channels is the only word on them, in
// both postures; else the posture has it.
func TestTokensWithoutPermissions(t *testing.T) {
	for posture, open := range map[server.Posture]bool{server.PostureCometD: true, server.PostureStrict: false} {
		p := newGrantedPolicy(posture, zerolog.Nop())
		may := func(s *bayeux.Subject, channel string) (publish, subscribe bool) {
			name := channels.Name(channel)
			m := &bayeux.Message{Channel: channel}
			who := somebody{subject: s}
			require.NoError(t, p.CanHandshake(t.Context(), who, m))
			publish = p.CanPublish(t.Context(), who, name, m) == nil
			require.Equal(t, publish, p.CanCreate(t.Context(), who, name, m) == nil)
			return publish, p.CanSubscribe(t.Context(), who, channels.Compile(name), m) == nil
		}
		for _, c := range []struct {
			subject            *bayeux.Subject
			channel            string
			publish, subscribe bool
		}{
			{&bayeux.Subject{User: "a"}, "/x", open, open},
			{&bayeux.Subject{User: "a", Subscribe: []string{"/x"}}, "/x", false, true},
			{&bayeux.Subject{User: "a", Subscribe: []string{"/x"}}, "/y", false, false},
			{&bayeux.Subject{User: "a", Publish: []string{"/user/{user}/**"}}, "/user/a/1", true, false},
			{&bayeux.Subject{User: "a", Publish: []string{}}, "/x", false, false},
		} {
			publish, subscribe := may(c.subject, c.channel)
			require.Equal(t, c.publish, publish, "%s %+v", posture, c)
			require.Equal(t, c.subscribe, subscribe, "%s %+v", posture, c)
		}
	}
}

// HSTS is on in strict, unless something else is said.
func TestPostureHSTS(t *testing.T) {
	for want, args := range map[string][]string{
		"0s":        {"--posture", "cometd"},
		"8760h0m0s": {"--posture", "strict"},
		"1h0m0s":    {"--posture", "strict", "--hsts", "1h"},
	} {
		s, err := parse(t, args...).Load(lookup())
		require.NoError(t, err)
		require.Equal(t, want, s.TLS.HSTS.String())
	}
	s, err := parse(t, "--posture", "strict", "--hsts", "off").Load(lookup())
	require.NoError(t, err)
	require.Zero(t, s.TLS.HSTS)
}
