//go:build interop

package proxies

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd are clients on each transport, with acknowledgements and without, all subscribed to /news.
func crowd(t *testing.T, g *rig) []*jsClient {
	t.Helper()
	var all []*jsClient
	for _, transport := range transports() {
		for _, ack := range []bool{true, false} {
			c := newClient(t, g.url(), transport, ack)
			all = append(all, c)
		}
	}
	for _, c := range all {
		c.join(t, "/news")
	}
	return all
}

// news publishes to all that has sessions, and waits until each client has it.
func news(t *testing.T, g *rig, clients []*jsClient, text string) {
	t.Helper()
	for _, b := range []*backend{g.a, g.b} {
		if b.status("/readyz") == http.StatusOK {
			b.publish(t, "/news", text)
		}
	}
	for _, c := range clients {
		c.receives(t, 0, "/news", `"`+text+`"`)
	}
}

// goOn waits until n connects of each client were answered.
func goOn(t *testing.T, clients []*jsClient, n int) {
	t.Helper()
	marks := map[*jsClient]int{}
	for _, c := range clients {
		marks[c] = c.mark()
	}
	for _, c := range clients {
		c.connects(t, marks[c], n)
	}
}

// stuck is how long a client may be without a session, as docs/RECIPES.md promises; it takes a second or two.
const stuck = 20 * time.Second

// settled waits until each client has a session at that backend and a connect of it was answered, and tells how long that
// took since a moment.
func settled(t *testing.T, at *backend, clients []*jsClient, since time.Time) time.Duration {
	t.Helper()
	last := since
	for _, c := range clients {
		within(t, stuck, func() bool { return at.has(t, c.session()) }, func() string {
			return "a client to come to " + at.name + ":\n" + c.tell(0)
		})
		again := c.await(t, 0, 1, "subscription of its session", func(e event) bool {
			return e.is("/meta/subscribe", true) && c.handshakesBefore(e) == c.sessions()
		})
		if again.at.After(last) {
			last = again.at
		}
	}
	return last.Sub(since)
}

// TestRestart restarts one backend after the other while clients of all transports are there, as a new release does: those
// that are at the backend that ends have a new session at the other, by themselves, and get what is published from then on.
// What was published before is delivered before the backend ends.
func TestRestart(t *testing.T) {
	t.Parallel()
	through(t, kinds(), func(t *testing.T, k kind) {
		g := newRig(t, k, hold)
		clients := crowd(t, g)
		news(t, g, clients, "both")
		for i, ends := range []*backend{g.a, g.b} {
			stays := g.other(ends)
			ends.publish(t, "/news", fmt.Sprint("last words ", i))
			var there []*jsClient
			for _, c := range clients {
				if ends.has(t, c.session()) {
					there = append(there, c)
				}
			}
			t0 := time.Now()
			ends.stop(t)
			t.Logf("%s ended after %s", ends.name, time.Since(t0).Round(time.Millisecond))
			for _, c := range there {
				c.receives(t, 0, "/news", fmt.Sprintf(`"last words %d"`, i))
			}
			t.Logf("%d clients came over within %s", len(there), settled(t, stays, clients, t0).Round(time.Millisecond))
			news(t, g, clients, fmt.Sprint("meanwhile ", i))
			ends.start(t)
			marks := map[*jsClient]int{}
			for _, c := range clients {
				marks[c] = c.sessions()
			}
			news(t, g, clients, fmt.Sprint("after ", i))
			if !k.tcp { // By its address a client goes back.
				goOn(t, clients, 2)
				for _, c := range clients {
					require.Equal(t, marks[c], c.sessions(), "the return of %s moves nobody", ends.name)
				}
			}
		}
	})
}

// TestDrain takes a backend out of the balance by the means of the proxy: sessions that are there go on, new ones go to the
// other backend.
func TestDrain(t *testing.T) {
	t.Parallel()
	through(t, httpKinds(), func(t *testing.T, k kind) {
		g := newRig(t, k, hold)
		clients := crowd(t, g)
		drain(t, g)
		begun := g.a.count(t, "halley_handshakes_total")
		for range 8 {
			idOf(t, post(t, from(t, "127.0.0.1", false), g.url(), nil, handshake))
		}
		require.Equal(t, begun, g.a.count(t, "halley_handshakes_total"), "new sessions go to the other backend")
		goOn(t, clients, 2)
		news(t, g, clients, "drained")
		for _, c := range clients {
			require.Equal(t, 1, c.sessions(), "sessions go on")
		}
		g.a.stop(t)
		settled(t, g.b, clients, time.Now())
		news(t, g, clients, "moved")
	})
}

// drain takes backend a out of the balance as docs/RECIPES.md says.
func drain(t *testing.T, g *rig) {
	t.Helper()
	switch g.name {
	case "nginx":
		text, err := os.ReadFile(g.config())
		require.NoError(t, err)
		drained := strings.Replace(string(text), "least_conn;\n        server "+g.a.plain, "least_conn;\n        server "+g.a.plain+" down", 1)
		require.NotEqual(t, string(text), drained)
		require.NoError(t, os.WriteFile(g.config(), []byte(drained), 0o644))
		reload(t, g)
	case "haproxy":
		c, err := net.Dial("unix", filepath.Join(g.dir, "admin.sock"))
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "set server halley/a state drain\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Empty(t, strings.TrimSpace(string(answer)))
	case "apache":
		page := "http://" + g.second + "/balancer-manager"
		res, err := direct.Get(page)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		nonce := regexp.MustCompile(`nonce=([0-9a-f-]+)`).FindSubmatch(body)
		require.NotNil(t, nonce, "%s", body)
		form := url.Values{"b": {"halley"}, "w": {"http://" + g.a.plain}, "w_status_N": {"1"}, "nonce": {string(nonce[1])}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Referer", page)
		done, err := direct.Do(req)
		require.NoError(t, err)
		require.NoError(t, done.Body.Close())
		require.Equal(t, http.StatusOK, done.StatusCode)
	}
}
