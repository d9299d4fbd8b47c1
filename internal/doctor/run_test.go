package doctor

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/probe"
)

// within20 checks a limit against what it was found to be.
func within20(t *testing.T, want, got float64, what string) {
	t.Helper()
	require.InEpsilon(t, want, got, 0.2, what)
}

func ids(all []Finding) []string {
	names := make([]string, 0, len(all))
	for _, f := range all {
		names = append(names, f.ID)
	}
	return names
}

// TestNamesEachLimit is the table of what the doctor must find, at the times at
// which paths do it: the clock of a bubble makes minutes pass at once.
func TestNamesEachLimit(t *testing.T) {
	type wire = func(net.Conn) net.Conn
	type through = func(http.Handler) http.Handler
	off := func(names ...string) func(*http.Request) {
		return func(r *http.Request) {
			for _, n := range names {
				r.Header.Del(n)
			}
		}
	}
	noSet := func(w http.ResponseWriter, r *http.Request) (http.ResponseWriter, func()) {
		return noCookies{w}, func() {}
	}
	for _, tt := range []struct {
		name    string
		wire    wire
		through through
		want    map[string]float64 // 0: no figure
		plan    func() Plan
	}{
		{name: "clean", want: map[string]float64{}},
		{name: "clean thorough", plan: Thorough, want: map[string]float64{}},
		{name: "max duration 5 s", wire: cutAfter(5 * time.Second), want: map[string]float64{MaxDuration: 5, WebSocketLifetime: 5}},
		{name: "max duration 20 s", wire: cutAfter(20 * time.Second), want: map[string]float64{MaxDuration: 20, WebSocketLifetime: 20}},
		{name: "max duration 100 s", plan: Thorough, wire: cutAfter(100 * time.Second), want: map[string]float64{MaxDuration: 100, WebSocketLifetime: 100}},
		{name: "idle cut 10 s", wire: cutIdle(10 * time.Second), want: map[string]float64{IdleCut: 10, WebSocketIdleCut: 10}},
		{name: "idle cut 1 s and a half", wire: cutIdle(1500 * time.Millisecond), want: map[string]float64{IdleCut: 1.5, WebSocketIdleCut: 1.5}},
		{name: "idle cut 47 s", wire: cutIdle(47 * time.Second), want: map[string]float64{IdleCut: 47, WebSocketIdleCut: 47}},
		{name: "forgotten after 10 s", wire: forgetIdle(10 * time.Second), want: map[string]float64{IdleCut: 10, WebSocketIdleCut: 10}},
		{name: "forgotten after 30 s", wire: forgetIdle(30 * time.Second), want: map[string]float64{IdleCut: 30, WebSocketIdleCut: 30}},
		{name: "lost after 20 s", wire: forgetAfter(20 * time.Second), want: map[string]float64{MaxDuration: 20, WebSocketLifetime: 20}},
		{name: "cap 64 KiB truncated", wire: truncate(64 << 10), want: map[string]float64{ResponseCap: 64 << 10}},
		{name: "cap 64 KiB by 502", through: middle(nil, capped(64<<10)), want: map[string]float64{ResponseCap: 64 << 10, StoreAndForward: 0}},
		{name: "store and forward", through: middle(nil, capped(1<<30)), want: map[string]float64{StoreAndForward: 0}},
		{name: "first 200 bytes held", through: middle(nil, holdFirst(200)), want: map[string]float64{FirstBytesHeld: 200}},
		{name: "first 16 KiB held", through: middle(nil, holdFirst(16<<10)), want: map[string]float64{FirstBytesHeld: 16 << 10}},
		{name: "pieces held", through: middle(nil, holdPieces), want: map[string]float64{PiecesHeld: 0}},
		{name: "blocks of 4 KiB", through: middle(nil, holdBlocks(4<<10)), want: map[string]float64{PiecesHeld: 4 << 10}},
		{name: "upgrade stripped", through: middle(off("Upgrade", "Connection"), nil), want: map[string]float64{UpgradeStripped: 0}},
		{name: "upgrade black hole", wire: swallow(0), want: map[string]float64{UpgradeBlackHole: 0}},
		{name: "black hole after frames", wire: swallow(3), want: map[string]float64{UpgradeBlackHole: 0}},
		{name: "cookies of requests", through: middle(off("Cookie"), nil), want: map[string]float64{CookieStripped: 0}},
		{name: "cookies of answers", through: middle(nil, noSet), want: map[string]float64{CookieStripped: 0}},
		{name: "HTTP/1.0", through: middle(func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }, nil), want: map[string]float64{HTTP10: 0, UpgradeStripped: 0}},
		{name: "gzip", through: middle(nil, compress), want: map[string]float64{Compression: 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{wire: tt.wire, through: tt.through}
				n.probed(t)
				plan := Quick()
				if tt.plan != nil {
					plan = tt.plan()
				}
				if tt.want[ResponseCap] == 0 {
					plan.Body = 128 << 10 // it takes no time there, and the race detector's here
				}
				report := n.examine(t, plan)
				require.LessOrEqual(t, float64(report.Took), plan.Limit.Seconds())
				found := map[string]Finding{}
				for _, f := range report.Findings {
					found[f.ID] = f
				}
				for id, value := range tt.want {
					require.Contains(t, found, id, "of %v", ids(report.Findings))
					if value != 0 {
						within20(t, value, found[id].Value, id)
					}
					require.NotEmpty(t, found[id].Remedies)
					delete(found, id)
				}
				require.Empty(t, found)
			})
		})
	}
}

// TestCleanTwenty finds nothing where nothing is.
func TestCleanTwenty(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			n := &network{}
			n.probed(t)
			plan := Quick()
			plan.Body = 128 << 10
			require.Empty(t, n.examine(t, plan).Findings)
		})
	}
}

// TestBusyEndpoint is no finding: its own bounds are not the path's.
func TestBusyEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{through: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, probe.PathEcho) {
					h.ServeHTTP(w, r)
					return
				}
				w.WriteHeader(http.StatusTooManyRequests)
				_, _ = w.Write([]byte("doctor: too many probes begun"))
			})
		}}
		n.probed(t)
		r := n.examine(t, Quick())
		require.Empty(t, r.Findings)
		require.Contains(t, strings.Join(r.Untested, "\n"), "that could not be made: doctor: too many probes begun")
	})
}

// TestOwnCookies go beside ours, and a first request that fails is no end.
func TestOwnCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		n := &network{through: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c, err := r.Cookie("login"); err != nil || c.Value != "x" {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				if strings.HasSuffix(r.URL.Path, probe.PathEcho) {
					if asked++; asked == 1 {
						panic(http.ErrAbortHandler)
					}
				}
				h.ServeHTTP(w, r)
			})
		}}
		n.probed(t)
		r, err := Run(t.Context(), Config{
			URL: "http://push.example/cometd/", Token: token, Plan: Quick(), Transport: n.transport, Header: http.Header{"Cookie": {"login=x"}},
		})
		require.NoError(t, err)
		require.Equal(t, ModeProbe, r.Mode)
		require.Empty(t, r.Findings)
		require.Equal(t, []string{cookieSent, "login"}, r.Observations.Echo.Cookies)
	})
}

// noCookies takes Set-Cookie away.
type noCookies struct{ http.ResponseWriter }

func (n noCookies) WriteHeader(status int) {
	n.Header().Del("Set-Cookie")
	n.ResponseWriter.WriteHeader(status)
}

func (n noCookies) Write(p []byte) (int, error) {
	n.Header().Del("Set-Cookie")
	return n.ResponseWriter.Write(p)
}

func (n noCookies) Unwrap() http.ResponseWriter { return n.ResponseWriter }
