package attacks

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/stretchr/testify/require"
)

// floodGroup is what is tried to exhaust the server.
func floodGroup() group {
	return group{name: "flood", attacks: []attack{
		{
			"huge-body", "CometD 8.0.10 reads 20 MiB", "a handshake of 20 MiB",
			fails("413"), fails("413"), func(t *testing.T, g *target) end {
				t.Helper()
				body := strings.Replace(handshake, `}]`, `,"ext":{"x":"`+strings.Repeat("x", 20<<20)+`"}}]`, 1)
				return posted(g.pipeline(t, postOf(body))())
			},
		},
		{
			"endless-batch", "no limit in CometD", "one request of 50,000 messages",
			fails("400"), fails("400"), func(t *testing.T, g *target) end {
				t.Helper()
				v := g.victim(t, "")
				const one = `{"channel":"/a"},`
				a := v.send(t, "["+strings.Repeat(one, 200_000/len(one))+`{"channel":"/a"}]`)
				return fails(strconv.Itoa(a.status))
			},
		},
		{
			"deep-json", "stack exhaustion", "arrays in arrays, 50,000 deep",
			fails("400"), fails("400"), func(t *testing.T, g *target) end {
				t.Helper()
				return posted(g.post(t, `[{"channel":"/meta/handshake","ext":`+strings.Repeat("[", 50_000)+strings.Repeat("]", 50_000)+`}]`))
			},
		},
		{
			"hash-flooding", "tables with guessable hashes", "a message of 20,000 fields, and ids and channels chosen to collide",
			fails("answered"), fails("answered"), func(t *testing.T, g *target) end {
				t.Helper()
				var b strings.Builder
				for i := range 12_000 {
					fmt.Fprintf(&b, `,"Aa%dBB":0`, i)
				}
				a := g.post(t, strings.Replace(handshake, `}]`, b.String()+`}]`, 1))
				require.True(t, a.gave(), a.body)
				return fails("answered")
			},
		},
		{
			"handshake-flood", "CometD #322, #323; a session for each POST", "200 handshakes at once from one address",
			succeeds("200 sessions"), fails("429, Retry-After"), func(t *testing.T, g *target) end { t.Helper(); return handshakes(t, g, 200) },
		},
		{
			"forged-addresses", "limits by address", "the same with another X-Forwarded-For each time",
			succeeds("200 sessions"), fails("429, Retry-After"), func(t *testing.T, g *target) end {
				t.Helper()
				return handshakes(t, g, 200, "X-Forwarded-For", "Forwarded", "X-Real-IP")
			},
		},
		{
			"decompression-bomb", "CometD #1001; zip bombs", "a compressed WebSocket message of 32 KiB that is 32 MiB",
			fails("1009"), fails("1009"), bomb,
		},
		{
			"extension-header", "CVE-2020-7662, CVE-2020-7663", "Sec-WebSocket-Extensions with thousands of unclosed quotes and parameters",
			fails("answered"), fails("answered"), func(t *testing.T, g *target) end {
				t.Helper()
				_, err := g.dial(t, "Sec-WebSocket-Extensions", `permessage-deflate; a="`+strings.Repeat(`\",; a="`, 900))
				status, refused := errors.AsType[ws.StatusError](err)
				require.True(t, err == nil || refused && int(status) < 500, "%v", err)
				return fails("answered")
			},
		},
	}}
}

// handshakes makes n handshakes, which come faster than a limit of so many a second lets them in, however slow the
// machine is: they are sent in one go. Headers are sent with an address that changes.
func handshakes(t *testing.T, g *target, n int, headers ...string) end {
	t.Helper()
	var all strings.Builder
	for i := range n {
		var lines string
		for _, h := range headers {
			address := "198.51.100." + strconv.Itoa(i)
			if h == "Forwarded" {
				address = "for=" + address
			}
			lines += h + ": " + address + "\r\n"
		}
		all.WriteString(postOf(handshake, lines))
	}
	next := g.pipeline(t, all.String())
	for range n {
		a := next()
		require.NoError(t, a.err)
		if a.status == http.StatusTooManyRequests {
			require.NotEmpty(t, a.header.Get("Retry-After"))
			return fails("429, Retry-After")
		}
		require.True(t, a.gave(), "%+v", a)
	}
	return succeeds(strconv.Itoa(n) + " sessions")
}

func bomb(t *testing.T, g *target) end {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	require.NoError(t, err)
	_, err = io.Copy(w, io.LimitReader(blanks{}, 32<<20))
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	d := ws.Dialer{Extensions: []httphead.Option{httphead.NewOption("permessage-deflate", nil)}, Timeout: patience}
	conn, _, accepted, err := d.Dial(t.Context(), "ws://"+g.address+"/cometd")
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	require.Len(t, accepted.Extensions, 1)
	f := ws.NewTextFrame(bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff}))
	f.Header.Rsv = ws.Rsv(true, false, false)
	// The server may close before it has read the whole.
	_ = ws.WriteFrame(conn, ws.MaskFrameInPlace(f))
	_, _, err = wsutil.ReadServerData(conn)
	closed, ok := errors.AsType[wsutil.ClosedError](err)
	require.True(t, ok, "%v", err)
	return fails(strconv.Itoa(int(closed.Code)))
}

// blanks is an endless text of blanks.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// slowGroup holds connections open by sending next to nothing.
func slowGroup() group {
	slow := func(name, how, head string) attack {
		return attack{name, "slow-loris", how, fails("cut"), fails("cut"), func(t *testing.T, g *target) end { t.Helper(); return drip(t, g, head) }}
	}
	return group{name: "slow", patient: true, attacks: []attack{
		slow("slow-headers", "a request whose headers never end", "POST /cometd HTTP/1.1\r\nHost: x\r\nX-A: "),
		slow("slow-callback", "a callback-polling request whose line never ends", "GET /cometd?jsonp=cb&message="),
		slow("slow-body", "a request whose body comes a byte a second", "POST /cometd HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n["),
		{"slow-websocket", "slow-loris", "a WebSocket frame that never ends", fails("cut"), fails("cut"), func(t *testing.T, g *target) end {
			t.Helper()
			conn, err := g.dial(t)
			require.NoError(t, err)
			require.NoError(t, conn.SetDeadline(time.Now().Add(longPatience)))
			// The header of a masked text frame of 60,000 bytes, and one of them.
			_, err = conn.Write([]byte{0x81, 0x80 | 126, 0xea, 0x60, 0, 0, 0, 0, '['})
			require.NoError(t, err)
			return untilCut(t, conn)
		}},
	}}
}

// drip sends the head and then a byte now and then, until it is cut.
func drip(t *testing.T, g *target, head string) end {
	t.Helper()
	conn := g.raw(t)
	require.NoError(t, conn.SetDeadline(time.Now().Add(longPatience)))
	_, err := conn.Write([]byte(head))
	require.NoError(t, err)
	return untilCut(t, conn)
}

// untilCut sends a byte now and then.
func untilCut(t *testing.T, conn io.ReadWriter) end {
	t.Helper()
	cut := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, conn)
		cut <- err
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-cut:
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() {
				return succeeds("still open")
			}
			return fails("cut")
		case <-tick.C:
			_, _ = conn.Write([]byte(" "))
		}
	}
}
