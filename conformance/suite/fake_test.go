package suite

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a small Bayeux server for long-polling, with faults to choose.
type fake struct {
	hold, life time.Duration
	twice      bool // each reply comes twice
	noID       bool // replies have no id

	mu       sync.Mutex
	made     int
	sessions map[string]*fakeSession
}

type fakeSession struct {
	seen      time.Time
	held      bool
	connected bool
	subs      map[string]bool
	queue     []M
	wake      chan struct{}
}

func newFake(t *testing.T, f *fake) string {
	t.Helper()
	f.sessions = map[string]*fakeSession{}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL + "/bayeux"
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in []M
	if r.Method != http.MethodPost || json.Unmarshal(body, &in) != nil {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	var out []M
	for _, m := range in {
		out = append(out, f.answer(r, m)...)
	}
	if f.twice {
		out = append(out, out...)
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (f *fake) answer(r *http.Request, m M) []M {
	reply := M{"channel": m["channel"], "successful": true}
	if !f.noID {
		reply["id"] = m["id"]
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if m["channel"] == "/meta/handshake" {
		id := fmt.Sprintf("session%d", f.made)
		f.made++
		f.sessions[id] = &fakeSession{seen: time.Now(), subs: map[string]bool{}, wake: make(chan struct{}, 1)}
		reply["clientId"], reply["version"] = id, "1.0"
		reply["supportedConnectionTypes"] = []string{"long-polling"}
		reply["advice"] = M{"reconnect": "retry", "interval": 0, "timeout": f.hold.Milliseconds()}
		return []M{reply}
	}
	id, _ := m["clientId"].(string)
	s := f.sessions[id]
	if s == nil || !s.held && time.Since(s.seen) > f.life {
		reply["successful"], reply["error"] = false, "402::unknown"
		return []M{reply}
	}
	s.seen = time.Now()
	switch m["channel"] {
	case "/meta/connect":
		f.wait(r, s, m)
	case "/meta/subscribe":
		name, _ := m["subscription"].(string)
		s.subs[name] = true
	case "/meta/disconnect":
		delete(f.sessions, id)
	default:
		f.publish(m)
	}
	queued := s.queue
	s.queue = nil
	return append(queued, reply)
}

func (f *fake) publish(m M) {
	name, _ := m["channel"].(string)
	for _, s := range f.sessions {
		if s.subs[name] {
			s.queue = append(s.queue, M{"channel": name, "data": m["data"]})
			select {
			case s.wake <- struct{}{}:
			default:
			}
		}
	}
}

// wait holds a connect, with the lock released.
func (f *fake) wait(r *http.Request, s *fakeSession, m M) {
	advice, _ := m["advice"].(map[string]any)
	zero := advice["timeout"] == 0.0
	first := !s.connected
	s.connected = true
	if zero || first || len(s.queue) > 0 {
		return
	}
	s.held = true
	f.mu.Unlock()
	select {
	case <-time.After(f.hold):
	case <-s.wake:
	case <-r.Context().Done():
	}
	f.mu.Lock()
	s.held, s.seen = false, time.Now()
}
