package hostileproxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Two users on networks of their own.
const (
	bob   = "127.0.1.1"
	carol = "127.0.1.2"
)

func TestRulesOfOneAddress(t *testing.T) {
	p, o := startHTTP(t, Rules{StripSetCookies: true})
	b, c := newUser(t, p.Addr(), bob), newUser(t, p.Addr(), carol)
	p.SetFor(netip.MustParseAddr(bob), Rules{MaxDuration: brief, DurationEnd: ByAnswer})
	held := c.status("/hold")
	await(t, o.came, "no request")
	resp, _, err := b.get("/hold")
	require.NoError(t, err)
	require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
	waitCounts(t, p, func(c Counts) bool { return c.Running == 1 })
	o.free <- struct{}{}
	require.Equal(t, http.StatusOK, <-held)
	s, resp := b.echo(http.MethodGet, "")
	require.NotEmpty(t, resp.Header["Set-Cookie"], "own rules replace those of all")
	require.Equal(t, bob, s.Remote, "the server sees where the client is")
	require.Equal(t, bob, s.Header.Get("X-Forwarded-For"))
	s, resp = c.echo(http.MethodGet, "")
	require.Empty(t, resp.Header["Set-Cookie"])
	require.Equal(t, carol, s.Remote)

	require.Equal(t, 1, p.CountsFor(netip.MustParseAddr(bob)).Times(RuleDuration))
	require.Zero(t, p.CountsFor(netip.MustParseAddr(carol)).Times(RuleDuration))
	require.Equal(t, 1, p.Counts().Times(RuleDuration))
	require.Zero(t, p.CountsFor(netip.MustParseAddr("127.0.1.3")).Times(RuleDuration))
	require.Equal(t, netip.MustParseAddr(bob), exchanges(t, p)[0].Client)

	p.ClearFor(netip.MustParseAddr(bob))
	_, resp = b.echo(http.MethodGet, "")
	require.Empty(t, resp.Header["Set-Cookie"])
}

func TestRulesThatChange(t *testing.T) {
	p, o := startHTTP(t, Rules{MaxDuration: time.Hour, DurationEnd: ByAnswer})
	u := newUser(t, p.Addr(), alice)
	held := u.status("/hold")
	await(t, o.came, "no request")
	p.Set(Rules{MaxDuration: brief, DurationEnd: ByAnswer})
	require.Equal(t, http.StatusGatewayTimeout, <-held, "a running request is cut by the new limit")

	_, br, _ := u.socket(o)
	p.Set(Rules{IdleCut: brief})
	_, err := br.ReadByte()
	require.ErrorIs(t, err, io.EOF, "and so is a tunnel")

	p.Set(Rules{})
	held = u.status("/hold")
	await(t, o.came, "no request")
	o.free <- struct{}{}
	require.Equal(t, http.StatusOK, <-held)

	client, br, server := u.socket(o)
	p.Set(Rules{MaxMessage: 3})
	write(t, server, text("123")+text("1234"))
	got, err := io.ReadAll(br)
	require.NoError(t, err)
	require.Equal(t, text("123"), string(got))
	require.NoError(t, client.Close())
	p.Set(Rules{MaxDuration: -1, MaxConns: -1, HoldFirst: -1, Loss: -1, MaxResponse: -1})
	u.echo(http.MethodGet, "")
}

func TestMaxConns(t *testing.T) {
	for _, test := range []struct {
		name  string
		how   End
		check func(t *testing.T, c io.Reader)
	}{
		{"FIN", ByFIN, func(t *testing.T, c io.Reader) {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
		}},
		{"503", ByAnswer, func(t *testing.T, c io.Reader) {
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			require.True(t, resp.Close)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := startHTTP(t, Rules{MaxConns: 1, ConnsEnd: test.how})
			b := newUser(t, p.Addr(), bob)
			held := b.status("/hold")
			await(t, o.came, "no request")
			c := b.raw()
			if test.how == ByAnswer {
				write(t, c, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			test.check(t, c)
			require.Equal(t, 1, p.Counts().Times(RuleConns))
			newUser(t, p.Addr(), carol).echo(http.MethodGet, "") // Another address has its own.
			o.free <- struct{}{}
			require.Equal(t, http.StatusOK, <-held)
		})
	}
}

func TestMaxConnsReset(t *testing.T) {
	p, o := startHTTP(t, Rules{MaxConns: 1, ConnsEnd: ByReset})
	u := newUser(t, p.Addr(), alice)
	held := u.status("/hold")
	await(t, o.came, "no request")
	c, err := u.dial(within(t)) // The reset may be as fast as the dialling.
	if err == nil {
		defer func() { _ = c.Close() }()
		require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
		_, err = c.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Equal(t, 1, p.Counts().Times(RuleConns))
	o.free <- struct{}{}
	require.Equal(t, http.StatusOK, <-held)
}

func TestMaxConnsInLine(t *testing.T) {
	p, o := startHTTP(t, Rules{MaxConns: 2, ConnsWait: true})
	u := newUser(t, p.Addr(), alice)
	u.http.Transport.(*http.Transport).DisableKeepAlives = true
	var all []<-chan int
	for range 5 {
		all = append(all, u.status("/hold"))
	}
	waitCounts(t, p, func(c Counts) bool { return c.Conns == 5 && c.Running == 2 })
	for range 5 {
		await(t, o.came, "no request")
		require.LessOrEqual(t, p.Counts().Running, 2)
		o.free <- struct{}{}
	}
	for _, status := range all {
		require.Equal(t, http.StatusOK, <-status)
	}
	// One that comes to the queue when a place has become free has not waited.
	require.LessOrEqual(t, p.Counts().Times(RuleConnsWait), 3)
	require.Zero(t, p.Counts().Cuts())
}

func TestLatency(t *testing.T) {
	p, o := startHTTP(t, Rules{Latency: brief})
	u := newUser(t, p.Addr(), alice)
	began := time.Now()
	u.echo(http.MethodGet, "")
	require.GreaterOrEqual(t, time.Since(began), 2*brief)
	client, br, server := u.socket(o)
	began = time.Now()
	write(t, client, "ping")
	reads(t, server, "ping")
	require.GreaterOrEqual(t, time.Since(began), brief)
	for i := range 100 { // They travel together.
		write(t, server, fmt.Sprintf("%02d", i))
	}
	for i := range 100 {
		reads(t, br, fmt.Sprintf("%02d", i))
	}
	write(t, server, "the last words are not lost")
	require.NoError(t, server.Close())
	reads(t, br, "the last words are not lost")
}

func TestLoss(t *testing.T) {
	p, _ := startHTTP(t, Rules{Loss: 1, LossDelay: time.Millisecond})
	u := newUser(t, p.Addr(), alice)
	began := time.Now()
	_, body, err := u.get("/size/100000")
	require.NoError(t, err)
	require.Len(t, body, 100_000)
	const stall = (1 + 2 + 4 + 8 + 16) * time.Millisecond
	require.GreaterOrEqual(t, time.Since(began), 2*stall)
	loss := p.Counts().Done[RuleLoss]
	require.GreaterOrEqual(t, loss.Times, 100_000/segmentSize)
	require.Equal(t, [2]time.Duration{stall, stall}, [2]time.Duration{loss.MinTime, loss.MaxTime})

	p.Set(Rules{Loss: 0.1, LossDelay: time.Microsecond})
	before := loss.Times
	_, body, err = u.get("/size/3000000")
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("x", 3_000_000), body, "nothing is lost, or overtakes")
	lost := p.Counts().Times(RuleLoss) - before
	require.Greater(t, lost, 50) // Of some 2,000 segments a tenth; fewer than 50 has no chance.
	require.Less(t, lost, 600)
}

func TestRotation(t *testing.T) {
	a, b := newOrigin(t), newOrigin(t)
	p, err := NewHTTP(a.addr(), b.addr())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	u := newUser(t, p.Addr(), alice)
	targets := func(n int, fresh bool) (all []string) {
		for range n {
			if fresh {
				u.http.CloseIdleConnections()
			}
			s, _ := u.echo(http.MethodGet, "")
			all = append(all, s.Host)
		}
		return all
	}
	p.Set(Rules{RewriteHost: true})
	require.Equal(t, []string{a.addr(), a.addr()}, targets(2, true))
	p.Set(Rules{RewriteHost: true, Rotation: RotateRequests})
	require.Equal(t, []string{a.addr(), b.addr(), a.addr(), b.addr()}, targets(4, false))
	require.Equal(t, 3, p.Counts().Times(RuleRotation))
	p.Set(Rules{RewriteHost: true, Rotation: RotateConns})
	u.http.CloseIdleConnections()
	require.Equal(t, []string{a.addr(), a.addr(), a.addr()}, targets(3, false))
	require.Equal(t, []string{b.addr(), a.addr()}, targets(2, true))
	p.SetTargets(b.addr())
	p.SetTargets()
	require.Equal(t, []string{b.addr(), b.addr()}, targets(2, true))
}

func TestSourceAndUnannounced(t *testing.T) {
	p, _ := startHTTP(t, Rules{Source: netip.MustParseAddr(carol), Unannounced: true})
	s, resp := newUser(t, p.Addr(), bob).echo(http.MethodGet, "")
	require.Equal(t, carol, s.Remote)
	require.Empty(t, s.Header["Via"])
	require.Empty(t, s.Header["X-Forwarded-For"])
	require.Empty(t, resp.Header["Via"])
}

// TestCombinations has two or more rules at a time.
func TestCombinations(t *testing.T) {
	t.Run("cut while it is stored", func(t *testing.T) {
		p, o := startHTTP(t, Rules{Store: true, MaxDuration: 2 * brief, DurationEnd: ByAnswer})
		status := newUser(t, p.Addr(), alice).status("/drip")
		o.drip("one")
		require.Equal(t, http.StatusGatewayTimeout, <-status, "nothing has left, so there can be an answer")
		require.Equal(t, 1, p.Counts().Times(RuleDuration))
		require.Zero(t, p.Counts().Times(RuleStore))
	})
	t.Run("stored, compressed, bounded", func(t *testing.T) {
		p, _ := startHTTP(t, Rules{Store: true, Gzip: true, MaxResponse: 2000, ResponseEnd: ByAnswer})
		u := newUser(t, p.Addr(), alice)
		resp, body, err := u.get("/size/2000?chunked", "Accept-Encoding", "gzip")
		require.NoError(t, err)
		require.EqualValues(t, len(body), resp.ContentLength)
		require.Less(t, len(body), 1000)
		resp, _, err = u.get("/size/2001?chunked", "Accept-Encoding", "gzip")
		require.NoError(t, err)
		require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	})
	t.Run("the first bytes held, then bounded", func(t *testing.T) {
		p, _ := startHTTP(t, Rules{HoldFirst: 5000, MaxResponse: 100})
		_, body, err := newUser(t, p.Addr(), alice).get("/size/200")
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Len(t, body, 100)
		require.Equal(t, 1, p.Counts().Times(RuleResponse))
	})
	t.Run("first and last held", func(t *testing.T) {
		p, o := startHTTP(t, Rules{HoldFirst: 4, HoldLast: true})
		c := newUser(t, p.Addr(), alice).raw()
		write(t, c, "GET /drip HTTP/1.1\r\nHost: x\r\n\r\n")
		o.drip("123", "4")
		quiet(t, c, c)
		o.drip("5")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		reads(t, resp.Body, "1234")
		close(o.pieces)
		reads(t, resp.Body, "5")
		require.Equal(t, 1, p.Counts().Times(RuleHoldFirst))
	})
	t.Run("late and silent", func(t *testing.T) {
		p, o := startHTTP(t, Rules{Latency: brief, BlackHole: true, HoleFrames: 1})
		client, br, server := newUser(t, p.Addr(), alice).socket(o)
		write(t, server, text("a")+text("b"))
		reads(t, br, text("a"))
		quiet(t, client, br)
		require.Equal(t, 1, p.Counts().Times(RuleBlackHole))
	})
	t.Run("old and without cookies", func(t *testing.T) {
		p, _ := startHTTP(t, Rules{HTTP10: true, StripCookies: true, Gzip: true})
		u := newUser(t, p.Addr(), alice)
		s, resp := u.echo(http.MethodPost, "body", "Cookie", "a=1")
		require.Equal(t, "HTTP/1.0", s.Proto)
		require.Empty(t, s.Header["Cookie"])
		require.True(t, resp.Close)
	})
	t.Run("rotated and cut", func(t *testing.T) {
		p, o := startHTTP(t, Rules{MaxDuration: brief, DurationEnd: ByReset, Rotation: RotateRequests})
		other := newOrigin(t)
		p.SetTargets(o.addr(), other.addr())
		u := newUser(t, p.Addr(), alice)
		for range 8 {
			_, _, err := u.do(u.request(http.MethodPost, "/hold", ""))
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}
		require.Equal(t, 8, p.Counts().Times(RuleDuration))
		require.Len(t, o.came, 4)
		require.Len(t, other.came, 4)
	})
}

// TestManyAtOnce has many clients while rules change, and only looks that all comes to an end.
func TestManyAtOnce(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	all := []Rules{
		{},
		{MaxDuration: time.Millisecond, DurationEnd: ByAnswer},
		{MaxDuration: time.Millisecond, DurationEnd: ByReset},
		{IdleCut: time.Millisecond},
		{Latency: time.Millisecond, Loss: 0.5, LossDelay: time.Microsecond},
		{Store: true, Gzip: true, MaxResponse: 50_000, ResponseEnd: ByAnswer},
		{HoldLast: true, HoldTime: time.Millisecond, HTTP10: true},
		{MaxConns: 2, ConnsWait: true},
		{HalfCloseServer: true},
		{IdleCut: time.Millisecond, IdleEnd: BySilence},
	}
	var over atomic.Bool
	var clients sync.WaitGroup
	for i := range 8 {
		u := newUser(t, p.Addr(), fmt.Sprintf("127.0.1.%d", i+1))
		u.http.Timeout = 200 * time.Millisecond
		clients.Go(func() {
			for !over.Load() {
				resp, body, err := u.get("/size/100000?chunked")
				if err == nil && resp.StatusCode == http.StatusOK {
					if len(body) != 100_000 || strings.Trim(body, "x") != "" {
						t.Errorf("%d bytes", len(body))
					}
				}
			}
		})
	}
	for i := range 100 {
		p.Set(all[i%len(all)])
		p.SetFor(netip.MustParseAddr(fmt.Sprintf("127.0.1.%d", i%8+1)), all[i*7%len(all)])
		<-time.After(5 * time.Millisecond)
		if i%10 == 9 {
			p.CutAll(End(i / 10 % 4))
		}
	}
	over.Store(true)
	clients.Wait()
	require.NoError(t, p.Close())
	require.Zero(t, p.Counts().Open)
	require.Zero(t, p.Counts().Running)
	o.CloseClientConnections()
}
