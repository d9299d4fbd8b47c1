package hostileproxy

import (
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
)

func TestBlackHoleAtOnce(t *testing.T) {
	p, o := startHTTP(t, Rules{BlackHole: true})
	client, br, server := newUser(t, p.Addr(), alice).socket(o)
	waitCounts(t, p, func(c Counts) bool { return c.Times(RuleBlackHole) == 1 })
	write(t, client, "to the server")
	write(t, server, "to the client")
	quiet(t, server, server)
	quiet(t, client, br)
	require.NoError(t, client.Close())
	quiet(t, server, server)
	require.EqualValues(t, 0, p.Counts().Done[RuleBlackHole].MaxBytes)
	require.Equal(t, RuleBlackHole, exchanges(t, p)[0].Cut)
}

func TestBlackHoleThatPassesEnds(t *testing.T) {
	p, o := startHTTP(t, Rules{BlackHole: true, HoleEnds: true})
	u := newUser(t, p.Addr(), alice)
	client, _, server := u.socket(o)
	require.NoError(t, client.Close())
	_, err := server.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	_, br, server := u.socket(o)
	require.NoError(t, server.Close())
	_, err = br.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	waitCounts(t, p, func(c Counts) bool { return c.Open == 0 })
}

func TestBlackHoleAfterSome(t *testing.T) {
	large := text(strings.Repeat("x", 70_000))
	for _, test := range []struct {
		name  string
		rules Rules
		sent  []string
		got   string
	}{
		{"frames", Rules{BlackHole: true, HoleFrames: 2}, []string{text("a"), text("b") + text("c")}, text("a") + text("b")},
		{"a large frame", Rules{BlackHole: true, HoleFrames: 1}, []string{large, text("c")}, large},
		{"bytes", Rules{BlackHole: true, HoleBytes: 5}, []string{text("a"), text("bcd")}, (text("a") + text("bcd"))[:5]},
		{"frames before bytes", Rules{BlackHole: true, HoleFrames: 1, HoleBytes: 500}, []string{text("a"), text("b")}, text("a")},
		{"with the last frame held", Rules{BlackHole: true, HoleFrames: 2, HoldLast: true}, []string{text("a"), text("b"), text("c")}, text("a") + text("b")},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := startHTTP(t, test.rules)
			client, br, server := newUser(t, p.Addr(), alice).socket(o)
			write(t, client, "before")
			reads(t, server, "before")
			for _, frame := range test.sent {
				write(t, server, frame)
			}
			reads(t, br, test.got)
			waitCounts(t, p, func(c Counts) bool { return c.Times(RuleBlackHole) == 1 })
			write(t, client, "after")
			quiet(t, client, br)
			quiet(t, server, server)
			require.EqualValues(t, len(test.got), p.Counts().Done[RuleBlackHole].MaxBytes)
		})
	}
}

func TestBlackHoleInTheMiddle(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	client, br, server := newUser(t, p.Addr(), alice).socket(o)
	write(t, server, text("before"))
	reads(t, br, text("before"))
	p.Set(Rules{BlackHole: true})
	waitCounts(t, p, func(c Counts) bool { return c.Times(RuleBlackHole) == 1 })
	write(t, client, "lost")
	quiet(t, server, server)
	p.Set(Rules{})
	write(t, client, "lost too: nothing comes out of a black hole")
	quiet(t, server, server)
}

func TestMaxMessage(t *testing.T) {
	start := func(s string) string {
		return string(ws.MustCompileFrame(ws.NewFrame(ws.OpText, false, []byte(s))))
	}
	more := func(s string, fin bool) string {
		return string(ws.MustCompileFrame(ws.NewFrame(ws.OpContinuation, fin, []byte(s))))
	}
	ping := string(ws.MustCompileFrame(ws.NewPingFrame([]byte("1234567890"))))
	for _, test := range []struct {
		name, sent, got string
		how             End
	}{
		{"one frame", text("12345") + text("123456"), text("12345"), ByFIN},
		{"fragments", start("123") + more("45", true) + start("123") + ping + more("456", false), start("123") + more("45", true) + start("123") + ping, ByFIN},
		{"a close frame", text("ok") + text(strings.Repeat("x", 1<<20)), text("ok") + "\x88\x02\x03\xf1", ByAnswer},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := startHTTP(t, Rules{MaxMessage: 5, MessageEnd: test.how})
			_, br, server := newUser(t, p.Addr(), alice).socket(o)
			sent := async(func() bool { _, err := io.WriteString(server, test.sent); return err == nil })
			got, err := io.ReadAll(br)
			require.NoError(t, err)
			require.Equal(t, test.got, string(got))
			<-sent // Or not, if the proxy was faster to close.
			require.Equal(t, 1, p.Counts().Times(RuleMessage))
			require.Greater(t, p.Counts().Done[RuleMessage].MinBytes, int64(5))
		})
	}
}

func TestMaxTunnelBytes(t *testing.T) {
	p, o := startHTTP(t, Rules{MaxTunnelBytes: 10})
	_, br, server := newUser(t, p.Addr(), alice).socket(o)
	write(t, server, text("1234")) // 6 bytes.
	reads(t, br, text("1234"))
	write(t, server, text("5678"))
	got, err := io.ReadAll(br)
	require.NoError(t, err)
	require.Equal(t, text("5678")[:4], string(got))
	require.Equal(t, 1, p.Counts().Times(RuleTunnelBytes))
}

func TestMaxTunnel(t *testing.T) {
	p, o := startHTTP(t, Rules{MaxTunnel: brief, TunnelEnd: ByReset, MaxDuration: brief / 2})
	client, br, server := newUser(t, p.Addr(), alice).socket(o)
	_, err := br.ReadByte()
	require.Error(t, err)
	_, err = server.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, client.Close())
	c := p.Counts()
	require.Equal(t, 1, c.Times(RuleTunnelLife))
	require.GreaterOrEqual(t, c.Done[RuleTunnelLife].MinTime, brief)
	require.Zero(t, c.Times(RuleDuration), "a tunnel is no request")
}

func TestAbortsPassThroughTunnels(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	u := newUser(t, p.Addr(), alice)
	client, _, server := u.socket(o)
	require.NoError(t, client.SetLinger(0))
	require.NoError(t, client.Close())
	_, err := server.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
	_, br, server := u.socket(o)
	require.NoError(t, server.(interface{ SetLinger(int) error }).SetLinger(0))
	require.NoError(t, server.Close())
	_, err = br.ReadByte()
	require.Error(t, err)
	require.NotErrorIs(t, err, io.EOF)
	waitCounts(t, p, func(c Counts) bool { return c.Open == 0 })
}

func TestHalfCloseServer(t *testing.T) {
	p, o := startHTTP(t, Rules{HalfCloseServer: true})
	u := newUser(t, p.Addr(), alice)
	status := u.status("/hold")
	await(t, o.gone, "net/http takes half an end for the client's")
	<-status // Whatever a server answers whose client is gone.
	require.Equal(t, 1, p.Counts().Times(RuleHalfServer))

	client, br, server := u.socket(o)
	_, err := server.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	write(t, server, text("still"))
	reads(t, br, text("still"))
	require.NoError(t, client.Close())
}

func TestHalfCloseClient(t *testing.T) {
	p, o := startHTTP(t, Rules{HalfCloseClient: true})
	u := newUser(t, p.Addr(), alice)
	c := u.raw()
	write(t, c, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	await(t, o.came, "the server is asked")
	require.Empty(t, o.gone)
	o.free <- struct{}{}
	waitCounts(t, p, func(c Counts) bool { return c.Running == 0 })
	x := exchanges(t, p)[0]
	require.Zero(t, x.Status)
	require.Zero(t, x.Received)
	require.False(t, x.Whole)

	client, br, server := u.socket(o)
	_, err = br.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	write(t, server, text("nobody hears"))
	write(t, client, "up")
	reads(t, server, "up")
	require.Equal(t, 2, p.Counts().Times(RuleHalfClient))
}
