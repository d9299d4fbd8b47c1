package hostileproxy

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end early when all is well.
const patience = time.Minute

// echo starts a server that sends back what it gets, and a proxy in front of it.
func echo(t *testing.T) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	p, err := New(ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		require.NoError(t, ln.Close())
		wg.Wait()
	})
	return p
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	tcp, ok := c.(*net.TCPConn)
	require.True(t, ok)
	return tcp
}

func exchange(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(c, text)
	require.NoError(t, err)
	got := make([]byte, len(text))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestForwardsAndPassesOnAnOrderlyEnd(t *testing.T) {
	p := echo(t)
	c := dial(t, p)
	want := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	go func() {
		_, _ = c.Write(want)
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.NoError(t, p.Wait(within(t), func(s Stats) bool { return s.Open == 0 }))
	s := p.Stats()
	require.Equal(t, [2]int64{int64(len(want)), int64(len(want))}, s.Forwarded)
	require.Equal(t, 1, s.Accepted)
	require.Zero(t, s.Cuts)
}

func TestCutsBehindTheByte(t *testing.T) {
	for _, test := range []struct {
		name string
		cut  Cut
		want string
	}{
		{"first byte to the client", Cut{Dir: ToClient, After: 1}, "a"},
		{"below one counts as one", Cut{Dir: ToClient, After: -5}, "a"},
		{"middle to the client", Cut{Dir: ToClient, After: 5}, "abcde"},
		{"last byte to the client", Cut{Dir: ToClient, After: 10}, "abcdefghij"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := echo(t)
			p.Plan(test.cut)
			c := dial(t, p)
			_, err := io.WriteString(c, "abcdefghij")
			require.NoError(t, err)
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, test.want, string(got))
			require.NoError(t, p.Wait(within(t), func(s Stats) bool { return s.Planned == 1 && s.Open == 0 }))
		})
	}
}

func TestCutTowardsTheServerForwardsNoMore(t *testing.T) {
	p := echo(t)
	p.Plan(Cut{Dir: ToServer, After: 7})
	c := dial(t, p)
	_, err := io.WriteString(c, "0123456789")
	require.NoError(t, err)
	got, _ := io.ReadAll(c)
	require.LessOrEqual(t, len(got), 7)
	require.NoError(t, p.Wait(within(t), func(s Stats) bool { return s.Planned == 1 }))
	require.EqualValues(t, 7, p.Stats().Forwarded[ToServer])
}

func TestPlannedCutsComeOneAfterTheOther(t *testing.T) {
	p := echo(t)
	p.Plan(Cut{Dir: ToClient, After: 3}, Cut{Dir: ToClient, After: 4, Reset: true})
	first := dial(t, p)
	_, err := io.WriteString(first, "abcdef")
	require.NoError(t, err)
	got, err := io.ReadAll(first)
	require.NoError(t, err)
	require.Equal(t, "abc", string(got))

	second := dial(t, p)
	exchange(t, second, "xyz") // three of the four bytes of the second cut.
	_, err = io.WriteString(second, "more")
	require.NoError(t, err)
	_, err = io.ReadAll(second)
	require.Error(t, err, "a reset is an error at the client")
	require.NoError(t, p.Wait(within(t), func(s Stats) bool { return s.Planned == 2 }))

	exchange(t, dial(t, p), "unharmed")
	require.Zero(t, p.Unplan())
}

func TestCutAllLeavesTheDoorOpen(t *testing.T) {
	p := echo(t)
	a, b := dial(t, p), dial(t, p)
	exchange(t, a, "a")
	exchange(t, b, "b")
	require.Equal(t, 2, p.CutAll(true))
	for _, c := range []net.Conn{a, b} {
		_, err := io.ReadAll(c)
		require.Error(t, err)
	}
	exchange(t, dial(t, p), "again")
	require.Equal(t, 2, p.Stats().Cuts)
	require.Zero(t, p.Stats().Planned)
}

func TestStallKeepsBytesUntilResume(t *testing.T) {
	p := echo(t)
	c := dial(t, p)
	exchange(t, c, "before")
	p.Stall()
	_, err := io.WriteString(c, "held")
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())
	require.EqualValues(t, len("before"), p.Stats().Forwarded[ToServer])
	require.Equal(t, 1, p.Stats().Open)

	p.Resume()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	got := make([]byte, 4)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "held", string(got))
}

func TestAStalledConnectionCanBeCut(t *testing.T) {
	p := echo(t)
	c := dial(t, p)
	exchange(t, c, "before")
	p.Stall()
	_, err := io.WriteString(c, "held")
	require.NoError(t, err)
	require.Equal(t, 1, p.CutAll(false))
	got, _ := io.ReadAll(c)
	require.Empty(t, got)
	p.Resume()
	exchange(t, dial(t, p), "after")
}

func TestRefuseTurnsNewOnesAway(t *testing.T) {
	p := echo(t)
	old := dial(t, p)
	exchange(t, old, "old")
	p.Refuse()
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err == nil {
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = io.ReadAll(c)
		require.NoError(t, c.Close())
	}
	require.Error(t, err)
	require.NoError(t, p.Wait(within(t), func(s Stats) bool { return s.Refused == 1 }))
	exchange(t, old, "still")
	p.Resume()
	exchange(t, dial(t, p), "new")
}

func TestADeadTargetResetsTheClient(t *testing.T) {
	p, err := New(testkit.FreeAddress(t))
	require.NoError(t, err)
	defer p.Close()
	// The reset may be as fast as the dialling, and is seen by either.
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err == nil {
		defer func() { _ = c.Close() }()
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = io.ReadAll(c)
	}
	require.Error(t, err)
	require.NoError(t, p.Wait(within(t), func(s Stats) bool { return s.Open == 0 }))
}

func TestCloseEndsAStallAndMayBeCalledTwice(t *testing.T) {
	p := echo(t)
	c := dial(t, p)
	exchange(t, c, "x")
	p.Stall()
	_, err := io.WriteString(c, "y")
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	_, err = net.DialTimeout("tcp", p.Addr(), patience)
	require.Error(t, err)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	p := echo(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Wait(ctx, func(Stats) bool { return false })
	require.ErrorIs(t, err, context.Canceled)
}

func TestRandomCutsDependOnTheSeedOnly(t *testing.T) {
	draw := func(seed uint64) []Cut { return RandomCuts(rand.New(rand.NewPCG(seed, 0)), 50, 200) }
	first := draw(1)
	require.Equal(t, first, draw(1))
	require.NotEqual(t, first, draw(2))
	seen := map[string]bool{}
	for _, c := range draw(3) {
		require.GreaterOrEqual(t, c.After, int64(1))
		require.LessOrEqual(t, c.After, int64(200))
		seen[c.Dir.String()] = true
		seen[strings.Fields(c.String())[0]] = true
	}
	require.Equal(t, map[string]bool{"client to server": true, "server to client": true, "FIN": true, "RST": true}, seen)
	require.Empty(t, RandomCuts(rand.New(rand.NewPCG(1, 0)), -1, 0))
}

// TestRandomCutsUnderTraffic checks against a plain model that an echo seen through cuts is always a prefix.
func TestRandomCutsUnderTraffic(t *testing.T) {
	const seed, cuts = 7, 40
	p := echo(t)
	p.Plan(RandomCuts(rand.New(rand.NewPCG(seed, 0)), cuts, 3000)...)
	text := strings.Repeat("the same words again ", 100)
	for p.Stats().Planned < cuts {
		c, err := net.DialTimeout("tcp", p.Addr(), patience)
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		go func() { _, _ = io.WriteString(c, text) }()
		got := make([]byte, len(text))
		n, _ := io.ReadFull(c, got)
		require.Equal(t, text[:n], string(got[:n]), "seed %d", seed)
		require.NoError(t, c.Close())
	}
	exchange(t, dial(t, p), text)
}

func TestFrom(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	p, err := New(ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		require.NoError(t, ln.Close())
	})
	seen := func() string {
		t.Helper()
		dial(t, p)
		c, err := ln.Accept()
		require.NoError(t, err)
		defer c.Close()
		host, _, err := net.SplitHostPort(c.RemoteAddr().String())
		require.NoError(t, err)
		return host
	}
	require.Equal(t, "127.0.0.1", seen())
	p.From(netip.MustParseAddr(bob))
	require.Equal(t, bob, seen())
	p.From(netip.Addr{})
	require.Equal(t, "127.0.0.1", seen())
}
