//go:build networks

package doctor

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/doctor"
	"github.com/halleypush/halley/internal/hostileproxy"
)

// way is what lies between, and what must be found: the limit in seconds or
// bytes, 0 where there is no figure.
type way struct {
	name  string
	rules hostileproxy.Rules
	want  map[string]float64
	// plain: what must be found without the probe endpoint; nil: not tried.
	plain map[string]float64
}

// examined is what was found on a way.
type examined struct {
	r   doctor.Report
	err error
}

// limits are the ways that the doctor must name.
func limits() []way {
	const kib64 = 64 << 10
	return []way{
		{"clean", hostileproxy.Rules{}, map[string]float64{}, map[string]float64{}},
		{
			"max duration 5 s",
			hostileproxy.Rules{MaxDuration: 5 * time.Second, DurationEnd: hostileproxy.ByAnswer},
			map[string]float64{doctor.MaxDuration: 5},
			map[string]float64{doctor.IdleCut: 5},
		},
		{
			"max duration 20 s",
			hostileproxy.Rules{MaxDuration: 20 * time.Second},
			map[string]float64{doctor.MaxDuration: 20},
			map[string]float64{doctor.IdleCut: 20},
		},
		{
			"max duration 20 s, without a word",
			hostileproxy.Rules{MaxDuration: 20 * time.Second, DurationEnd: hostileproxy.BySilence},
			map[string]float64{doctor.MaxDuration: 20},
			nil,
		},
		{
			"idle cut 10 s",
			hostileproxy.Rules{IdleCut: 10 * time.Second, IdleEnd: hostileproxy.ByAnswer},
			map[string]float64{doctor.IdleCut: 10, doctor.WebSocketIdleCut: 10},
			map[string]float64{doctor.IdleCut: 10, doctor.WebSocketIdleCut: 10},
		},
		{
			"idle cut 20 s",
			hostileproxy.Rules{IdleCut: 20 * time.Second},
			map[string]float64{doctor.IdleCut: 20, doctor.WebSocketIdleCut: 20},
			nil,
		},
		{
			"idle cut 10 s, without a word",
			hostileproxy.Rules{IdleCut: 10 * time.Second, IdleEnd: hostileproxy.BySilence},
			map[string]float64{doctor.IdleCut: 10, doctor.WebSocketIdleCut: 10},
			nil,
		},
		{
			"tunnels live 15 s",
			hostileproxy.Rules{MaxTunnel: 15 * time.Second},
			map[string]float64{doctor.WebSocketLifetime: 15},
			nil,
		},
		{
			"cap 64 KiB truncated",
			hostileproxy.Rules{MaxResponse: kib64},
			map[string]float64{doctor.ResponseCap: kib64},
			map[string]float64{doctor.ResponseCap: kib64},
		},
		{
			"cap 64 KiB by reset",
			hostileproxy.Rules{MaxResponse: kib64, ResponseEnd: hostileproxy.ByReset},
			map[string]float64{doctor.ResponseCap: kib64},
			nil,
		},
		{
			"cap 64 KiB by 502",
			hostileproxy.Rules{MaxResponse: kib64, ResponseEnd: hostileproxy.ByAnswer},
			map[string]float64{doctor.ResponseCap: kib64, doctor.StoreAndForward: 0},
			map[string]float64{doctor.ResponseCap: kib64},
		},
		{"store and forward", hostileproxy.Rules{Store: true}, map[string]float64{doctor.StoreAndForward: 0}, map[string]float64{}},
		// A WebSocket's first frames are held as well.
		{"first 256 bytes held", hostileproxy.Rules{HoldFirst: 256}, map[string]float64{doctor.FirstBytesHeld: 256, doctor.UpgradeBlackHole: 0}, nil},
		{"first 16 KiB held", hostileproxy.Rules{HoldFirst: 16 << 10, Upgrades: hostileproxy.UpgradesRefused}, map[string]float64{doctor.FirstBytesHeld: 16 << 10, doctor.UpgradeRefused: 0}, nil},
		{"upgrade stripped", hostileproxy.Rules{Upgrades: hostileproxy.UpgradesStripped}, map[string]float64{doctor.UpgradeStripped: 0}, map[string]float64{doctor.UpgradeRefused: 0}},
		{"upgrade refused", hostileproxy.Rules{Upgrades: hostileproxy.UpgradesRefused}, map[string]float64{doctor.UpgradeRefused: 0}, nil},
		{"upgrade black hole", hostileproxy.Rules{BlackHole: true}, map[string]float64{doctor.UpgradeBlackHole: 0}, map[string]float64{doctor.UpgradeBlackHole: 0}},
		{"black hole after 3 frames", hostileproxy.Rules{BlackHole: true, HoleFrames: 3}, map[string]float64{doctor.UpgradeBlackHole: 0}, nil},
		{"messages of 16 KiB", hostileproxy.Rules{MaxMessage: 16 << 10}, map[string]float64{doctor.WebSocketFrameCap: 0}, nil},
		{"cookies stripped", hostileproxy.Rules{StripCookies: true}, map[string]float64{doctor.CookieStripped: 0}, map[string]float64{doctor.CookieStripped: 0}},
		{"set-cookies stripped", hostileproxy.Rules{StripSetCookies: true}, map[string]float64{doctor.CookieStripped: 0}, map[string]float64{doctor.CookieStripped: 0}},
		{"HTTP/1.0", hostileproxy.Rules{HTTP10: true}, map[string]float64{doctor.HTTP10: 0, doctor.UpgradeStripped: 0}, nil},
		{"gzip", hostileproxy.Rules{Gzip: true}, map[string]float64{doctor.Compression: 0}, nil},
		{"latency and loss", hostileproxy.Rules{Latency: 40 * time.Millisecond, Loss: 0.01}, map[string]float64{}, nil},
	}
}

// namesEach examines all ways at the same time, and then looks for what must be
// found, and for nothing else: times and sizes within a fifth. It is for a quiet
// machine: one that stalls is a path with limits of its own.
func namesEach(t *testing.T, ways []way) {
	t.Helper()
	var group sync.WaitGroup
	probed, plain := make([]examined, len(ways)), make([]examined, len(ways))
	for i, w := range ways {
		proxy, err := hostileproxy.NewHTTP(halley(t, "--doctor-token", token))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, proxy.Close()) })
		proxy.Set(w.rules)
		url := "http://" + proxy.Addr() + "/cometd"
		group.Go(func() { probed[i] = examine(t, url, "--token", token) })
		if w.plain != nil {
			group.Go(func() { plain[i] = examine(t, url) })
		}
	}
	group.Wait()
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			compare(t, w.want, probed[i])
			if w.plain != nil {
				compare(t, w.plain, plain[i])
			}
		})
	}
}

// examine runs the command.
func examine(t *testing.T, args ...string) examined {
	t.Helper()
	var e examined
	out, err := run(t, Env{}, append(args, "--json", "-")...)
	if e.err = err; err == nil || errors.Is(err, ErrFound) {
		e.err = json.Unmarshal([]byte(out), &e.r)
	}
	return e
}

func compare(t *testing.T, want map[string]float64, e examined) {
	t.Helper()
	require.NoError(t, e.err)
	found := map[string]doctor.Finding{}
	for _, f := range e.r.Findings {
		found[f.ID] = f
	}
	for id, value := range want {
		f, ok := found[id]
		require.True(t, ok, "%s is not among what was found: %+v %+v", id, e.r.Observations, e.r.Observations.Socket)
		if value != 0 {
			require.InEpsilon(t, value, f.Value, 0.2, id)
		}
		delete(found, id)
	}
	require.Empty(t, found, "%+v", e.r.Observations)
}
