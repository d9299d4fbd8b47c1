//go:build interop

package proxies

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stranger is the address that a smuggled request claims to come from. Every request that the proxy has seen for what it
// is has lost the claim.
const stranger = "203.0.113.66"

// answers are what came over a connection until it ended.
type answers struct {
	statuses   []int
	handshakes int // that went well
}

// attack sends bytes, and reads answers until the proxy ends the connection.
func attack(t *testing.T, g *rig, raw string) answers {
	t.Helper()
	c := dial(t, "127.0.0.1", g.address, "http/1.1")
	tell(t, c, []byte(raw))
	var got answers
	r := bufio.NewReader(c)
	method := http.MethodPost
	if strings.HasPrefix(raw, "HEAD") {
		method = http.MethodHead
	}
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			// What is no HTTP, an answer of HTTP/0.9 for one, is looked at as well.
			rest, _ := io.ReadAll(r)
			got.count(rest)
			return got
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusContinue {
			continue
		}
		got.statuses = append(got.statuses, res.StatusCode)
		got.count(body)
	}
}

func (a *answers) count(body []byte) {
	var replies []struct {
		ClientID   string `json:"clientId"`
		Successful bool   `json:"successful"`
	}
	from, to := strings.IndexByte(string(body), '['), strings.LastIndexByte(string(body), ']')
	if from < 0 || to < from || json.Unmarshal(body[from:to+1], &replies) != nil {
		return
	}
	for _, r := range replies {
		if r.Successful && r.ClientID != "" {
			a.handshakes++
		}
	}
}

// TestSmuggling tries to get requests past each proxy that it does not see: none that claims another address arrives, no
// backend begins more sessions than the client is told of, and who comes next over the same connection to the backend gets
// the answer to what they asked.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	through(t, httpKinds(), func(t *testing.T, k kind) {
		g := newRig(t, k, hold, impatient()[k.name]...)
		for i, v := range append(vectors(g.address), framed(g.address)...) {
			if !everything() && i%8 != 0 {
				continue
			}
			t.Run(v.name, func(t *testing.T) {
				before := g.handshakes(t)
				var got answers
				if v.frames != nil {
					got = attackH2(t, g, v)
				} else {
					got = attack(t, g, v.raw)
				}
				t.Logf("answers %v, %d handshakes", got.statuses, got.handshakes)
				for i, status := range got.statuses {
					require.NotEqual(t, http.StatusSwitchingProtocols, status, "answer %d", i)
				}
				if v.refused {
					require.Zero(t, got.handshakes)
					for _, status := range got.statuses {
						require.GreaterOrEqual(t, status, 400)
					}
				}
				victims(t, g)
				require.Equal(t, got.handshakes+victimsEach, g.handshakes(t)-before, "sessions that nobody was told of")
				noStranger(t, g)
			})
		}
		g.a.stop(t)
		g.b.stop(t)
		noStranger(t, g) // in all that the logs have
	})
}

func (g *rig) handshakes(t *testing.T) int {
	t.Helper()
	return g.a.count(t, "halley_handshakes_total") + g.b.count(t, "halley_handshakes_total")
}

func noStranger(t *testing.T, g *rig) {
	t.Helper()
	for _, b := range append(g.a.begun(t), g.b.begun(t)...) {
		require.NotEqual(t, stranger, b.Address, "a request went past the proxy")
	}
}

// victimsEach is the number of sessions of victims.
const victimsEach = 4

// victims come after an attack, to both backends, and get their own answers.
func victims(t *testing.T, g *rig) {
	t.Helper()
	// A connection of its own for each: an impatient proxy may close an idle one just when it is used again.
	c := withCookies(t, from(t, "127.0.0.1", false))
	for i := range victimsEach {
		id := fmt.Sprintf("victim%d", i)
		header := http.Header{"Cookie": {"HALLEY_ROUTE=" + map[bool]string{true: "a", false: "b"}[i%2 == 0]}}
		if g.name == "apache" {
			header.Set("Cookie", strings.Replace(header.Get("Cookie"), "=", "=.", 1))
		}
		reply := post(t, c, g.url(), header, strings.Replace(handshake, `{`, `{"id":"`+id+`",`, 1))
		require.Equal(t, id, reply["id"], "%v", reply)
		idOf(t, reply)
	}
}

// TestSmugglingIsSeen lets a proxy believe the client, which is what TestSmuggling looks for.
func TestSmugglingIsSeen(t *testing.T) {
	t.Parallel()
	g := newRig(t, kinds()[0], hold, change{"X-Forwarded-For   $remote_addr", "X-Forwarded-For $http_x_forwarded_for"})
	got := attack(t, g, strings.Replace(inner(g.address), "Host:", "Connection: close\r\nHost:", 1))
	require.Equal(t, 1, got.handshakes)
	require.Equal(t, 1, g.handshakes(t))
	eventually(t, func() bool {
		for _, b := range append(g.a.begun(t), g.b.begun(t)...) {
			if b.Address == stranger {
				return true
			}
		}
		return false
	}, func() string { return "a session of " + stranger })
}

// The document tells how many there are.
func TestVectors(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../../docs/RECIPES.md")
	require.NoError(t, err)
	all := append(vectors("h"), framed("h")...)
	number := regexp.MustCompile(`try (\d+) disagreements`).FindSubmatch(document)
	require.NotNil(t, number)
	require.Equal(t, strconv.Itoa(len(all)), string(number[1]))
	names := map[string]bool{}
	for _, v := range all {
		require.False(t, names[v.name], v.name)
		names[v.name] = true
	}
}
