package certs

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/testkit"
)

// bubble is a keeper on a listener in memory, for virtual time.
type bubble struct {
	t     *testing.T
	k     *Keeper
	log   *logs
	ca    *authority
	inner *testkit.Listener
	outer net.Listener
}

func newBubble(t *testing.T, limit int) *bubble {
	t.Helper()
	b := &bubble{t: t, ca: newAuthority(t, "ca"), inner: testkit.Listen()}
	b.k, b.log = openFor(t, Config{Pairs: []Pair{b.ca.issue("x.test", nil).write(t, t.TempDir())}})
	b.k.room.max = limit
	b.outer = b.k.Listen(t.Context(), b.inner)
	return b
}

func (b *bubble) dial() net.Conn {
	b.t.Helper()
	c, err := b.inner.Dial(b.t.Context())
	require.NoError(b.t, err)
	return c
}

// served takes a connection as a client does and tells whether it was served.
func (b *bubble) served(c net.Conn) error {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		if got, err := b.outer.Accept(); err == nil {
			_, _ = io.WriteString(got, "hello")
			_ = got.Close()
		}
	})
	secure := tls.Client(c, &tls.Config{RootCAs: b.ca.pool(), ServerName: "x.test"})
	text, err := io.ReadAll(secure)
	_ = c.Close()
	if err != nil {
		return err
	}
	require.Equal(b.t, "hello", string(text))
	return nil
}

// gone waits until the server has closed a connection.
func gone(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// TestSlowHandshakes cuts peers that send nothing, and those that send a byte
// now and then, while others are served.
func TestSlowHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 10)
		begin := time.Now()
		silent, slow := b.dial(), b.dial()
		var group sync.WaitGroup
		group.Go(func() {
			// A record that says 200 bytes follow.
			for _, one := range append([]byte{0x16, 3, 1, 0, 200}, make([]byte, 200)...) {
				if _, err := slow.Write([]byte{one}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		require.NoError(t, b.served(b.dial()), "slow ones keep nobody waiting")
		require.Less(t, time.Since(begin), time.Second)
		synctest.Wait()
		require.Equal(t, 2, b.k.Stats().InProgress)
		gone(silent)
		require.Equal(t, HandshakeTimeout, time.Since(begin))
		group.Wait()
		synctest.Wait()
		s := b.k.Stats()
		require.Zero(t, s.InProgress)
		require.Equal(t, map[string]uint64{"timeout": 2}, s.HandshakesFailed)
		require.Equal(t, uint64(1), s.Handshakes)
		require.NoError(t, b.outer.Close())
	})
}

// hello makes a peer that says what it wants and then no more.
func (b *bubble) hello() net.Conn {
	b.t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		_ = tls.Client(theirs, &tls.Config{ServerName: "x.test", InsecureSkipVerify: true}).HandshakeContext(b.t.Context())
	}()
	record := make([]byte, 5)
	_, err := io.ReadFull(ours, record)
	require.NoError(b.t, err)
	rest := make([]byte, int(record[3])<<8|int(record[4]))
	_, err = io.ReadFull(ours, rest)
	require.NoError(b.t, err)
	_ = ours.Close()
	c := b.dial()
	_, err = c.Write(append(record, rest...))
	require.NoError(b.t, err)
	return c
}

// TestCrowdedHandshakes fills all seats: the oldest that says nothing goes once
// its time is over, and not before, even if one that spoke is older.
func TestCrowdedHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 3)
		begin := time.Now()
		spoke := b.hello()
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		first := b.dial()
		synctest.Wait()
		time.Sleep(time.Second)
		second := b.dial()
		synctest.Wait()
		require.NoError(t, b.served(b.dial()))
		require.Equal(t, QuietPatience+100*time.Millisecond, time.Since(begin))
		gone(first)
		require.Equal(t, QuietPatience+100*time.Millisecond, time.Since(begin), "it is the first that went")
		synctest.Wait()
		require.Equal(t, map[string]uint64{"crowded": 1}, b.k.Stats().HandshakesFailed)

		// A seat that is given back is taken at once.
		third, fourth := b.dial(), make(chan error, 1)
		synctest.Wait()
		go func() { fourth <- b.served(b.dial()) }()
		synctest.Wait()
		_ = third.Close()
		require.NoError(t, <-fourth)
		require.Equal(t, QuietPatience+100*time.Millisecond, time.Since(begin))
		_ = second.Close()
		_ = spoke.Close()
		require.NoError(t, b.outer.Close())
	})
}

// TestPatienceWithThoseThatSpoke ends too.
func TestPatienceWithThoseThatSpoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 1)
		begin := time.Now()
		spoke := b.hello()
		require.NoError(t, b.served(b.dial()))
		require.Equal(t, Patience, time.Since(begin))
		gone(spoke)
		require.NoError(t, b.outer.Close())
	})
}

// TestCloseEndsHandshakes leaves nothing behind, those that wait for a seat and
// those that nobody accepts included.
func TestCloseEndsHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 2)
		silent := b.dial()
		done := tls.Client(b.dial(), &tls.Config{RootCAs: b.ca.pool(), ServerName: "x.test"})
		require.NoError(t, done.HandshakeContext(t.Context()))
		waits := b.dial()
		synctest.Wait()
		go gone(done)
		require.NoError(t, b.outer.Close())
		gone(silent)
		gone(waits)
		_, err := b.outer.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		require.Empty(t, b.log.String(), "our own end is no failure of theirs")
		_ = done.NetConn().Close()
	})
}

// failing is a listener that fails once before it serves.
type failing struct {
	*testkit.Listener
	failed bool
}

func (f *failing) Accept() (net.Conn, error) {
	if !f.failed {
		f.failed = true
		return nil, errors.New("too many files")
	}
	return f.Listener.Accept()
}

// TestAcceptErrors reach the server, which decides whether to go on.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, 2)
		require.NoError(t, b.outer.Close())
		b.inner = testkit.Listen()
		b.outer = b.k.Listen(t.Context(), &failing{Listener: b.inner})
		_, err := b.outer.Accept()
		require.EqualError(t, err, "too many files")
		require.NoError(t, b.served(b.dial()))
		require.NoError(t, b.outer.Close())
	})
}

// TestPlainHTTP is told what is wrong; other garbage is not answered in clear.
func TestPlainHTTP(t *testing.T) {
	a := newAuthority(t, "ca")
	k, log := openFor(t, Config{Pairs: []Pair{a.issue("x.test", nil).write(t, t.TempDir())}})
	address := listen(t, k)
	for text, want := range map[string]string{"GET /cometd HTTP/1.1\r\n\r\n": "This port speaks HTTPS.\n", "SSH-2.0-<script>\r\n": ""} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		_, err = io.WriteString(c, text)
		require.NoError(t, err)
		if want == "" {
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
			continue
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		require.Equal(t, 400, res.StatusCode)
		body := make([]byte, len(want))
		_, err = io.ReadFull(res.Body, body)
		require.NoError(t, err)
		require.Equal(t, want, string(body))
		_ = c.Close()
	}
	log.wait("not_tls")
	require.NotContains(t, log.String(), "script")
}

// TestFailuresAreToldSparsely writes a line a minute for each reason, with the
// number of those that were not told.
func TestFailuresAreToldSparsely(t *testing.T) {
	begin := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	tally := newTally(zerolog.Nop())
	lines := map[time.Duration]uint64{}
	for second := range 150 {
		for range 10 {
			if n, tell := tally.add(ReasonNotTLS, begin.Add(time.Duration(second)*time.Second)); tell {
				lines[time.Duration(second)*time.Second] = n
			}
		}
	}
	require.Equal(t, map[time.Duration]uint64{0: 1, time.Minute: 600, 2 * time.Minute: 600}, lines)
	_, tell := tally.add(ReasonAlert, begin)
	require.True(t, tell, "each reason has its own")
	require.Equal(t, map[string]uint64{"not_tls": 1500, "client_alert": 1}, tally.failures())
}

func TestReasons(t *testing.T) {
	for want, err := range map[Reason]error{
		ReasonTimeout: context.DeadlineExceeded,
		ReasonClosed:  io.EOF,
		ReasonAlert:   &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")},
		ReasonOther:   errors.New("tls: something new"),
		ReasonVersion: errors.New("tls: no cipher suite supported by both client and server"),
	} {
		require.Equal(t, want, reason(err, false))
		require.Equal(t, ReasonCrowded, reason(err, true))
	}
	require.Equal(t, ReasonClosed, reason(&net.OpError{Op: "read", Err: net.ErrClosed}, false))
}
