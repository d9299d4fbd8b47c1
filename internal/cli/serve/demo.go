package serve

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/internal/demo"
)

// demoSessions are the polls of one browser that the demo holds: enough for
// three windows, below the six connections that browsers open to a host.
const (
	demoSessions       = "3"
	demoSessionsOption = "maxSessionsPerBrowser"
)

// prepareDemo sets the option that the demo wants unless the operator has.
func (s *Settings) prepareDemo() {
	if _, set := s.Options[demoSessionsOption]; !s.Demo || set {
		return
	}
	s.Options[demoSessionsOption] = demoSessions
	for i := range s.shown {
		if s.shown[i].Name == "options."+demoSessionsOption {
			s.shown[i].Value, s.shown[i].Source = demoSessions, "demo"
		}
	}
}

func (s *Settings) validateDemo() error {
	if s.Demo && (s.Path == "/" || s.Path == "/demo" || strings.HasPrefix(s.Path, "/demo/")) {
		return usagef("", "path %q is where the demo page has its files; choose another, such as /cometd", s.Path)
	}
	if s.Demo && s.permitted != nil {
		return usagef("", "the demo has rules of its own, /demo/** and nothing else, so permissions have no place beside it: leave one of them out")
	}
	return nil
}

// policy is nil for the server's own.
func (s *Settings) policy(log zerolog.Logger) bayeux.Policy {
	switch {
	case s.Demo:
		return demo.Policy{}
	case s.permitted != nil:
		return s.permitted.open(log)
	case s.Auth.on():
		return newGrantedPolicy(s.Posture, log)
	}
	return nil
}

// openDemo returns the handler of what is not Bayeux, and opens the rooms of
// the demo where it is on.
func (s *Settings) openDemo(ctx context.Context, e Engine) (page http.Handler, stop func(), err error) {
	if !s.Demo {
		return http.NotFoundHandler(), func() {}, nil
	}
	rooms, ok := e.(demo.Server)
	if !ok {
		return nil, nil, errors.New("this engine has no room for the demo")
	}
	if page, err = demo.Handler(s.Path); err != nil {
		return nil, nil, err
	}
	stop, err = demo.Start(ctx, rooms)
	return page, stop, err
}

// tellDemo tells a newcomer what the demo wants; who asked for it is warned.
func (s *Settings) tellDemo(log zerolog.Logger, complete bool) {
	if complete {
		return
	}
	level := zerolog.InfoLevel
	if s.Demo {
		level = zerolog.WarnLevel
	}
	log.WithLevel(level).Msg("the demo page (--demo) is not in this program: build it with make, which needs npm")
}
