//go:build interop

package interop

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

const (
	tokenSecret = "0123456789abcdef0123456789abcdef"
	// tokenLife is that of the first token, tokenLeeway what it lives longer. The warning comes after half of both, which
	// leaves a client on a busy machine as long again.
	tokenLife   = 12 * time.Second
	tokenLeeway = 8 * time.Second
	// promptly is how soon a client has to know of a revocation: much sooner than its connect would have been answered. On
	// a machine with nothing else to do it takes milliseconds, which the log tells.
	promptly = 40 * time.Second
	longHold = 2 * time.Minute
)

// signedToken is a token of Alice's that lives that long.
func signedToken(t *testing.T, life time.Duration) string {
	t.Helper()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	now := time.Now()
	signed := part(map[string]any{"alg": "HS256", "typ": "JWT"}) + "." + part(map[string]any{"sub": "alice", "iat": now.Unix(), "exp": now.Add(life).Unix()})
	mac := hmac.New(sha256.New, []byte(tokenSecret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// revokeUser asks the admin listener.
func revokeUser(t *testing.T, admin, user string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+admin+"/auth/revoke", strings.NewReader(`{"user":"`+user+`"}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"ended":1,"full":false}`, string(body))
	http.DefaultClient.CloseIdleConnections()
}

// TestAuthentication has stock clients bring a token with their handshake, hear that it expires, refresh it by a
// publish, and see 401:: at once when their user is revoked.
func TestAuthentication(t *testing.T) {
	if shared.peer != "" {
		return // A peer has other ways.
	}
	touchSources(t)
	b := newChromium(t)
	start := map[string]func(*testing.T, driverOptions) client{
		"page cometd 9": func(t *testing.T, o driverOptions) client { return b.open(t, "cometd9.html", false, o) },
	}
	for _, major := range []int{3, 8, 9} {
		start[fmt.Sprint("cometd ", major)] = func(t *testing.T, o driverOptions) client {
			o.Major = major
			return newNodeClient(t, o)
		}
	}
	for name, open := range start {
		for _, transport := range []string{"websocket", "long-polling", "callback-polling"} {
			if transport == "callback-polling" && name != "page cometd 9" {
				continue // It needs a page.
			}
			t.Run(name+" "+transport, func(t *testing.T) {
				t.Parallel()
				liveByToken(t, transport, open)
			})
		}
	}
}

func liveByToken(t *testing.T, transport string, open func(*testing.T, driverOptions) client) {
	t.Helper()
	secret, admin := filepath.Join(t.TempDir(), "secret"), testkit.FreeAddress(t)
	require.NoError(t, os.WriteFile(secret, []byte(tokenSecret), 0o600))
	s := startServer(t, longHold, "--admin-listen", admin, "--auth", "jwt.secretFile="+secret, "--auth", "warning=1h", "--auth", "jwt.leeway="+tokenLeeway.String())
	c := open(t, driverOptions{URL: s.url(), Transport: transport})
	introduction(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	with := func(token string) command {
		return command{Cmd: "handshake", Props: map[string]any{"ext": map[string]any{"auth": map[string]any{"token": token}}}}
	}
	refresh := func(token string) command { return publish("/service/auth", map[string]any{"token": token}) }

	do(t, c, command{Cmd: "listen", Channel: "/service/auth"})
	do(t, c, with(signedToken(t, tokenLife)))
	do(t, c, subscribe("/news"))
	await(t, c, 0, "the warning", func(events []event) bool {
		return slices.ContainsFunc(events, func(e event) bool {
			return e.Kind == "message" && e.Channel == "/service/auth" && strings.Contains(string(e.Data), `"type":"expiring"`)
		})
	})
	token := signedToken(t, time.Hour)
	do(t, c, refresh(token))
	require.ErrorContains(t, c.Do(ctx, refresh("not.a.token")), "401::token_invalid")
	do(t, c, publish("/news", 1))
	awaitMessage(t, c, 0, "/news 1")
	require.Equal(t, 1, count(c.Inbox().since(0), "/meta/handshake"), "no new handshake")

	mark, before := c.Inbox().mark(), time.Now()
	revokeUser(t, admin, "alice")
	var end event
	await(t, c, mark, "the end", func(events []event) bool {
		i := slices.IndexFunc(events, func(e event) bool { return e.Kind == "meta" && e.Channel == "/meta/connect" && !e.OK })
		if i >= 0 {
			end = events[i]
		}
		return i >= 0
	})
	took := time.Since(before)
	t.Logf("told after %s", took.Round(time.Millisecond))
	require.Equal(t, "401::session_revoked", end.Error)
	require.JSONEq(t, `{"reconnect":"none"}`, string(end.Advice))
	require.Less(t, took, promptly)
	require.ErrorContains(t, c.Do(ctx, with(token)), "401::token_invalid")
}
