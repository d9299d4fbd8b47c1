package doctor

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/doctor"
	"github.com/halleypush/halley/internal/hostileproxy"
)

// span is a time as a path has it, in the scale of a test.
type span func(time.Duration) time.Duration

// way is what lies between, and what must be found: the limit in seconds or
// bytes, 0 where there is no figure.
type way struct {
	name  string
	rules func(span) hostileproxy.Rules
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
	rules := func(r hostileproxy.Rules) func(span) hostileproxy.Rules {
		return func(span) hostileproxy.Rules { return r }
	}
	return []way{
		{"clean", rules(hostileproxy.Rules{}), map[string]float64{}, map[string]float64{}},
		{
			"max duration 5 s", func(s span) hostileproxy.Rules {
				return hostileproxy.Rules{MaxDuration: s(5 * time.Second), DurationEnd: hostileproxy.ByAnswer}
			},
			map[string]float64{doctor.MaxDuration: 5},
			map[string]float64{doctor.IdleCut: 5},
		},
		{
			"max duration 20 s", func(s span) hostileproxy.Rules { return hostileproxy.Rules{MaxDuration: s(20 * time.Second)} },
			map[string]float64{doctor.MaxDuration: 20},
			map[string]float64{doctor.IdleCut: 20},
		},
		{
			"max duration 20 s, without a word", func(s span) hostileproxy.Rules {
				return hostileproxy.Rules{MaxDuration: s(20 * time.Second), DurationEnd: hostileproxy.BySilence}
			},
			map[string]float64{doctor.MaxDuration: 20},
			nil,
		},
		{
			"idle cut 10 s", func(s span) hostileproxy.Rules {
				return hostileproxy.Rules{IdleCut: s(10 * time.Second), IdleEnd: hostileproxy.ByAnswer}
			},
			map[string]float64{doctor.IdleCut: 10, doctor.WebSocketIdleCut: 10},
			map[string]float64{doctor.IdleCut: 10, doctor.WebSocketIdleCut: 10},
		},
		{
			"idle cut 20 s", func(s span) hostileproxy.Rules { return hostileproxy.Rules{IdleCut: s(20 * time.Second)} },
			map[string]float64{doctor.IdleCut: 20, doctor.WebSocketIdleCut: 20},
			nil,
		},
		{
			"idle cut 10 s, without a word", func(s span) hostileproxy.Rules {
				return hostileproxy.Rules{IdleCut: s(10 * time.Second), IdleEnd: hostileproxy.BySilence}
			},
			map[string]float64{doctor.IdleCut: 10, doctor.WebSocketIdleCut: 10},
			nil,
		},
		{
			"tunnels live 15 s", func(s span) hostileproxy.Rules { return hostileproxy.Rules{MaxTunnel: s(15 * time.Second)} },
			map[string]float64{doctor.WebSocketLifetime: 15},
			nil,
		},
		{
			"cap 64 KiB truncated", rules(hostileproxy.Rules{MaxResponse: kib64}),
			map[string]float64{doctor.ResponseCap: kib64},
			map[string]float64{doctor.ResponseCap: kib64},
		},
		{
			"cap 64 KiB by reset", rules(hostileproxy.Rules{MaxResponse: kib64, ResponseEnd: hostileproxy.ByReset}),
			map[string]float64{doctor.ResponseCap: kib64},
			nil,
		},
		{
			"cap 64 KiB by 502", rules(hostileproxy.Rules{MaxResponse: kib64, ResponseEnd: hostileproxy.ByAnswer}),
			map[string]float64{doctor.ResponseCap: kib64, doctor.StoreAndForward: 0},
			map[string]float64{doctor.ResponseCap: kib64},
		},
		{"store and forward", rules(hostileproxy.Rules{Store: true}), map[string]float64{doctor.StoreAndForward: 0}, map[string]float64{}},
		// A WebSocket's first frames are held as well.
		{"first 256 bytes held", rules(hostileproxy.Rules{HoldFirst: 256}), map[string]float64{doctor.FirstBytesHeld: 256, doctor.UpgradeBlackHole: 0}, nil},
		{"first 16 KiB held", rules(hostileproxy.Rules{HoldFirst: 16 << 10, Upgrades: hostileproxy.UpgradesRefused}), map[string]float64{doctor.FirstBytesHeld: 16 << 10, doctor.UpgradeRefused: 0}, nil},
		{"upgrade stripped", rules(hostileproxy.Rules{Upgrades: hostileproxy.UpgradesStripped}), map[string]float64{doctor.UpgradeStripped: 0}, map[string]float64{doctor.UpgradeRefused: 0}},
		{"upgrade refused", rules(hostileproxy.Rules{Upgrades: hostileproxy.UpgradesRefused}), map[string]float64{doctor.UpgradeRefused: 0}, nil},
		{"upgrade black hole", rules(hostileproxy.Rules{BlackHole: true}), map[string]float64{doctor.UpgradeBlackHole: 0}, map[string]float64{doctor.UpgradeBlackHole: 0}},
		{"black hole after 3 frames", rules(hostileproxy.Rules{BlackHole: true, HoleFrames: 3}), map[string]float64{doctor.UpgradeBlackHole: 0}, nil},
		{"messages of 16 KiB", rules(hostileproxy.Rules{MaxMessage: 16 << 10}), map[string]float64{doctor.WebSocketFrameCap: 0}, nil},
		{"cookies stripped", rules(hostileproxy.Rules{StripCookies: true}), map[string]float64{doctor.CookieStripped: 0}, map[string]float64{doctor.CookieStripped: 0}},
		{"set-cookies stripped", rules(hostileproxy.Rules{StripSetCookies: true}), map[string]float64{doctor.CookieStripped: 0}, map[string]float64{doctor.CookieStripped: 0}},
		{"HTTP/1.0", rules(hostileproxy.Rules{HTTP10: true}), map[string]float64{doctor.HTTP10: 0, doctor.UpgradeStripped: 0}, nil},
		{"gzip", rules(hostileproxy.Rules{Gzip: true}), map[string]float64{doctor.Compression: 0}, nil},
		{"latency and loss", rules(hostileproxy.Rules{Latency: 40 * time.Millisecond, Loss: 0.01}), map[string]float64{}, nil},
	}
}

// TestNamesLimits sends the doctor through the hostile proxy on ways that harm
// whatever the time is, in a fifth of the time that it takes. A machine that stalls
// is a path with limits of its own, so that more may be found: make networks does
// all ways, in full, and the tests of internal/doctor do them in virtual time.
func TestNamesLimits(t *testing.T) {
	kinds := []string{
		"cap 64 KiB truncated", "cap 64 KiB by 502", "upgrade stripped", "upgrade refused", "cookies stripped", "set-cookies stripped", "HTTP/1.0", "gzip",
	}
	ways := slices.DeleteFunc(limits(), func(w way) bool { return !slices.Contains(kinds, w.name) })
	require.Len(t, ways, len(kinds))
	for i := range ways {
		if ways[i].want[doctor.ResponseCap] == 0 {
			ways[i].plain = nil
		}
	}
	namesEach(t, ways, 0.2, 0)
}

// namesEach examines all ways at the same time, and then looks for what must be
// found, and for nothing else: times within the share of them, sizes within a fifth.
// With a share of 0 times are not looked at, and more may be found.
func namesEach(t *testing.T, ways []way, scale, share float64) {
	t.Helper()
	var group sync.WaitGroup
	probed, plain := make([]examined, len(ways)), make([]examined, len(ways))
	for i, w := range ways {
		proxy, err := hostileproxy.NewHTTP(halley(t, "--doctor-token", token))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, proxy.Close()) })
		proxy.Set(w.rules(func(d time.Duration) time.Duration { return time.Duration(float64(d) * scale) }))
		url := "http://" + proxy.Addr() + "/cometd"
		group.Go(func() { probed[i] = examine(t, scale, url, "--token", token) })
		if w.plain != nil {
			group.Go(func() { plain[i] = examine(t, scale, url) })
		}
	}
	group.Wait()
	for i, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			compare(t, w.want, probed[i], scale, share)
			if w.plain != nil {
				compare(t, w.plain, plain[i], scale, share)
			}
		})
	}
}

// examine runs the command.
func examine(t *testing.T, scale float64, args ...string) examined {
	t.Helper()
	var e examined
	out, err := run(t, Env{Scale: scale}, append(args, "--json", "-")...)
	if e.err = err; err == nil || errors.Is(err, ErrFound) {
		e.err = json.Unmarshal([]byte(out), &e.r)
	}
	return e
}

func compare(t *testing.T, want map[string]float64, e examined, scale, share float64) {
	t.Helper()
	require.NoError(t, e.err)
	found := map[string]doctor.Finding{}
	for _, f := range e.r.Findings {
		found[f.ID] = f
	}
	for id, value := range want {
		f, ok := found[id]
		require.True(t, ok, "%s is not among what was found: %+v %+v", id, e.r.Observations, e.r.Observations.Socket)
		switch {
		case value == 0:
		case f.Unit != "s":
			require.InEpsilon(t, value, f.Value, 0.2, id)
		case share == 0:
			require.Positive(t, f.Value, id)
		default:
			require.InEpsilon(t, value*scale, f.Value, share, id)
		}
		delete(found, id)
	}
	if share > 0 {
		require.Empty(t, found, "%+v", e.r.Observations)
	}
}
