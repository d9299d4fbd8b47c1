package hostileproxy

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBodiesThatAreTooLargeToKeep(t *testing.T) {
	p, _ := startHTTP(t, Rules{})
	require.Equal(t, maxBody, p.keep)
	p.keep = 1 << 20
	p.Set(Rules{Store: true})
	u := newUser(t, p.Addr(), alice)
	resp, body, err := u.get("/size/1048576?chunked")
	require.NoError(t, err)
	require.Len(t, body, 1<<20)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	resp, _, err = u.get("/size/1048577")
	require.NoError(t, err)
	require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	require.Equal(t, 2, p.Counts().Times(RuleStore))
	p.Set(Rules{HTTP10: true})
	req := u.request(http.MethodPost, "/echo", "")
	req.Body, req.ContentLength = io.NopCloser(io.LimitReader(endless{}, 1<<20+1)), -1
	resp, _, err = u.do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
}

// endless is a reader of zeros.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestTooManyConnections(t *testing.T) {
	p, _ := startHTTP(t, Rules{})
	u := newUser(t, p.Addr(), alice)
	p.mu.Lock()
	for range maxConns {
		p.conns[&client{}] = struct{}{}
	}
	p.mu.Unlock()
	_, _, err := u.get("/echo")
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Equal(t, 1, p.Counts().Refused)
	p.mu.Lock()
	clear(p.conns)
	p.mu.Unlock()
	u.echo(http.MethodGet, "")
}

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		began := time.Now()
		require.NoError(t, p.put([]byte("late"), time.Second))
		require.NoError(t, p.put([]byte("later?"), 0))
		p.finish(io.EOF)
		require.ErrorIs(t, p.put([]byte("x"), 0), errPipe)
		got, err := io.ReadAll(p)
		require.NoError(t, err)
		require.Equal(t, "latelater?", string(got), "nothing overtakes")
		require.Equal(t, time.Second, time.Since(began))

		p = newPipe()
		put := async(func() error { return p.put(make([]byte, pipeBytes+1), 0) })
		synctest.Wait()
		select {
		case err := <-put:
			require.Fail(t, "it took more than its bound", "%v", err)
		default:
		}
		_, err = io.ReadFull(p, make([]byte, pieceSize))
		require.NoError(t, err)
		require.NoError(t, <-put)
		put = async(func() error { return p.put(make([]byte, 2*pipeBytes), 0) })
		synctest.Wait()
		p.abort()
		require.ErrorIs(t, <-put, errPipe)
		_, err = p.Read(make([]byte, 1))
		require.ErrorIs(t, err, errPipe)
	})
}

func TestLedgerRemembersTheLatest(t *testing.T) {
	l := newLedger()
	for i := range maxExchanges + 10 {
		l.remember(Exchange{Status: i})
	}
	all := l.latest()
	require.Len(t, all, maxExchanges)
	for i, x := range all {
		require.Equal(t, i+10, x.Status)
	}
}

// FuzzFrames cuts any bytes anywhere: what comes out is what went in.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(text("a")+text(strings.Repeat("b", 300))+text(strings.Repeat("c", 70_000))), uint16(999))
	f.Add([]byte("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff no end"), uint16(1))
	f.Add([]byte("\x89\x80mask\x01\x03abc\x80\x00"), uint16(1000))
	f.Fuzz(func(t *testing.T, stream []byte, size uint16) {
		var s frames
		var got []byte
		for rest := stream; len(rest) > 0; {
			piece := rest[:min(len(rest), int(size)+1)]
			rest = rest[len(piece):]
			for len(piece) > 0 {
				part, n := s.next(piece)
				if n < 1 || part.message < 0 {
					t.Fatalf("%d bytes, a message of %d", n, part.message)
				}
				got = append(got, part.data...)
				piece = piece[n:]
			}
		}
		require.Equal(t, string(stream), string(append(got, s.rest()...)))
	})
}

func TestFramesAreFound(t *testing.T) {
	stream := text("a") + text(strings.Repeat("b", 300)) + "\x89\x00" + text(strings.Repeat("c", 70_000)) + text("")
	for _, size := range []int{1, 2, 7, 1000, len(stream)} {
		var s frames
		var messages []int64
		fresh := 0
		for rest := stream; rest != ""; {
			piece := []byte(rest[:min(len(rest), size)])
			rest = rest[len(piece):]
			for len(piece) > 0 {
				part, n := s.next(piece)
				piece = piece[n:]
				if part.fresh {
					fresh++
				}
				if part.last {
					messages = append(messages, part.message)
				}
			}
		}
		require.Equal(t, []int64{1, 300, 0, 70_000, 0}, messages)
		require.Equal(t, 5, fresh)
	}
}
