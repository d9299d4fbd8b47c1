package auth_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/extensions/auth"
)

// lifeTTL is how long a token lives in TestTokenLife.
const lifeTTL = 30 * time.Second

// life is a client that goes on and on: it connects with acknowledgements, and
// refreshes its token when it is warned.
type life struct {
	*client
	user      string
	stop      chan struct{}
	got       []float64
	refreshed int
}

func (l *life) token() string {
	return mint(l.r.t, claims{"sub": l.user, "exp": time.Now().Add(lifeTTL).Unix(), "jti": fmt.Sprint(l.user, "-", l.refreshed)})
}

func (l *life) begin() {
	m := l.good(meta+"handshake", fmt.Sprintf(`"version":"1.0","ext":{"ack":true,"auth":{"token":%q}}`, l.token()))
	l.id, _ = m["clientId"].(string)
	l.subscribe("/life")
}

// connects goes on until the session is closed.
func (l *life) connects() {
	ack := 0.0
	for {
		m, ok := <-l.start(meta+"connect", fmt.Sprintf(`"ext":{"ack":%v}`, ack))
		select {
		case <-l.stop:
			return
		default:
		}
		if !assert.True(l.r.t, ok && m["successful"] == true, "%s: %v", l.transport, m) {
			return
		}
		ext, _ := m["ext"].(map[string]any)
		ack, _ = ext["ack"].(float64)
	}
}

// receives takes what comes.
func (l *life) receives() {
	for {
		select {
		case <-l.stop:
			return
		case m := <-l.inbox:
			if m["channel"] == "/life" {
				n, _ := m["data"].(float64)
				l.got = append(l.got, n)
				continue
			}
			data, _ := m["data"].(map[string]any)
			assert.Equal(l.r.t, "expiring", data["type"])
			l.refreshed++
			reply := <-l.start(channel, refresh(l.token()))
			assert.Equal(l.r.t, true, reply["successful"], "%v", reply)
		}
	}
}

// Tokens of half a minute, refreshed for an hour on all transports: no session
// has to begin anew, and no message is lost.
func TestTokenLife(t *testing.T) {
	sessions, hour := 100, time.Hour
	if testing.Short() {
		sessions, hour = 12, 5*time.Minute
	}
	bubble(t, auth.Config{}, nil, func(t *testing.T, r *rig) {
		lives := make([]*life, sessions)
		var all sync.WaitGroup
		for i := range lives {
			l := &life{client: r.client(transports()[i%3], nil), user: fmt.Sprint("u", i), stop: make(chan struct{})}
			l.begin()
			all.Go(l.connects)
			all.Go(l.receives)
			lives[i] = l
		}
		published := 0
		for start := time.Now(); time.Since(start) < hour; published++ {
			require.NoError(t, r.srv.Publish(t.Context(), "/life", published))
			time.Sleep(7 * time.Second)
		}
		synctest.Wait()
		require.Len(t, r.srv.Sessions(), sessions)
		require.EqualValues(t, sessions, r.srv.Stats().Handshakes)
		want := make([]float64, published)
		for i := range want {
			want[i] = float64(i)
		}
		refreshes := 0
		for _, l := range lives {
			close(l.stop)
			l.good(meta+"disconnect", "")
			refreshes += l.refreshed
		}
		all.Wait()
		for _, l := range lives {
			require.Equal(t, want, l.got, l.transport)
			require.GreaterOrEqual(t, l.refreshed, int(hour/lifeTTL), l.transport)
		}
		stats := r.guard.Stats()
		require.EqualValues(t, refreshes, stats.Refreshes["accepted"])
		require.Len(t, stats.Refreshes, 1)
		require.Empty(t, stats.Ended)
		t.Logf("%d sessions, %d refreshes, %d messages each", sessions, refreshes, published)
	})
}
