package bayeuxclient_test

import (
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

// states collects what OnState tells.
type states struct {
	mu   sync.Mutex
	list []bayeuxclient.State
	errs []error
}

func (s *states) on(st bayeuxclient.State, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, st)
	s.errs = append(s.errs, err)
}

func (s *states) all() []bayeuxclient.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]bayeuxclient.State(nil), s.list...)
}

func (s *states) err(i int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errs[i]
}

// inbox collects the data of messages.
type inbox struct {
	mu   sync.Mutex
	list []string
}

func (b *inbox) on(m *bayeux.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, string(m.Data))
}

func (b *inbox) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.list...)
}

// bubble runs f with a server in virtual time.
func bubble(t *testing.T, f func(t *testing.T, s *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newFake(t)
		defer func() {
			s.stop()
			synctest.Wait()
		}()
		f(t, s)
	})
}

// both runs f once for each transport.
func both(t *testing.T, f func(t *testing.T, s *fake, transport string)) {
	t.Helper()
	for _, transport := range []string{bayeuxclient.WebSocket, bayeuxclient.LongPolling} {
		t.Run(transport, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *fake) { f(t, s, transport) })
		})
	}
}

func field(t *testing.T, m *bayeux.Message, name string) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(m.Field(name), &v))
	return v
}
