package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

// bayeux serves a Bayeux server without a probe endpoint.
func (n *network) bayeux(t *testing.T, c server.Config) {
	t.Helper()
	s, err := server.New(c)
	require.NoError(t, err)
	n.serve(t, s)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		require.NoError(t, s.Shutdown(ctx))
	})
}

// TestPlainBayeux examines a server that has no endpoint.
func TestPlainBayeux(t *testing.T) {
	noCookie := middle(func(r *http.Request) { r.Header.Del("Cookie") }, nil)
	noSetCookie := middle(nil, func(w http.ResponseWriter, _ *http.Request) (http.ResponseWriter, func()) {
		return noCookies{w}, func() {}
	})
	noUpgrade := middle(func(r *http.Request) { r.Header.Del("Upgrade"); r.Header.Del("Connection") }, nil)
	for _, tt := range []struct {
		name     string
		wire     func(net.Conn) net.Conn
		through  func(http.Handler) http.Handler
		options  server.Options
		want     map[string]float64
		untested string
	}{
		{name: "clean", want: map[string]float64{}, untested: "cuts after more than 50 s"},
		{name: "short hold", options: server.Options{"allowedTransports": "long-polling"}, want: map[string]float64{}, untested: "WebSockets: the server does not offer them"},
		{name: "cut at 5 s", wire: cutIdle(5 * time.Second), want: map[string]float64{IdleCut: 5, WebSocketIdleCut: 5}, untested: "silence or the whole time"},
		{name: "cut at 20 s", wire: cutIdle(20 * time.Second), want: map[string]float64{IdleCut: 20, WebSocketIdleCut: 20}},
		{name: "cap truncated", wire: truncate(64 << 10), want: map[string]float64{ResponseCap: 64 << 10}},
		{name: "cap by 502", through: middle(nil, capped(64<<10)), want: map[string]float64{ResponseCap: 64 << 10}},
		{name: "black hole", wire: swallow(0), want: map[string]float64{UpgradeBlackHole: 0}},
		{name: "upgrade stripped", through: noUpgrade, want: map[string]float64{UpgradeRefused: 0}},
		{name: "cookies of requests", through: noCookie, want: map[string]float64{CookieStripped: 0}, untested: "without cookies"},
		{name: "cookies of answers", through: noSetCookie, want: map[string]float64{CookieStripped: 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{wire: tt.wire, through: tt.through}
				n.bayeux(t, server.Config{Options: tt.options})
				report := n.examine(t, Quick())
				require.Equal(t, ModeBayeux, report.Mode)
				require.LessOrEqual(t, float64(report.Took), Quick().Limit.Seconds())
				require.Contains(t, strings.Join(report.Untested, "\n"), tt.untested)
				found := map[string]Finding{}
				for _, f := range report.Findings {
					found[f.ID] = f
				}
				for id, value := range tt.want {
					require.Contains(t, found, id, "of %v", ids(report.Findings))
					if value != 0 {
						within20(t, value, found[id].Value, id)
					}
					delete(found, id)
				}
				require.Empty(t, found)
			})
		})
	}
}

// TestNothingToExamine ends with a reason.
func TestNothingToExamine(t *testing.T) {
	say := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	for _, tt := range []struct {
		name, err string
		is        error
		answer    http.HandlerFunc
	}{
		{"another token", "refuses the token", ErrToken, say(http.StatusForbidden, "doctor: want the token")},
		{"no Bayeux", "handshake: HTTP status 404", ErrUnreachable, say(http.StatusNotFound, "nothing")},
		{"a page", "no Bayeux", ErrUnreachable, say(http.StatusOK, "<html>")},
		{"busy", "429", ErrUnreachable, say(http.StatusTooManyRequests, "doctor: too many")},
		{"refused", "403::no", ErrUnreachable, say(http.StatusOK, `[{"channel":"/meta/handshake","id":"1","successful":false,"error":"403::no"}]`)},
		{"silent", "nothing came", ErrUnreachable, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				n.serve(t, tt.answer)
				_, err := Run(t.Context(), Config{URL: "http://push.example/cometd", Token: token, Plan: Quick(), Transport: n.transport})
				require.ErrorIs(t, err, tt.is)
				require.ErrorContains(t, err, tt.err)
			})
		})
	}
	for _, url := range []string{"", "ftp://x/", "http://", "://"} {
		_, err := Run(t.Context(), Config{URL: url, Plan: Quick()})
		require.ErrorIs(t, err, ErrUnreachable, url)
	}
}

// TestEndsWithItsContext leaves nothing behind and says nothing false.
func TestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{}
		n.probed(t)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, errors.New("enough"))
		defer cancel()
		_, err := Run(ctx, Config{URL: "http://push.example/cometd", Token: token, Plan: Quick(), Transport: n.transport})
		require.ErrorContains(t, err, "enough")
	})
}
