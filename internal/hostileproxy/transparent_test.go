package hostileproxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// halley starts a server of ours that holds polls for so many milliseconds, and returns its address.
func halley(t *testing.T, hold string, extensions ...bayeux.Extension) string {
	t.Helper()
	srv, err := server.New(server.Config{
		Options:    map[string]string{"timeout": hold, "maxInterval": "10000", "sweepPeriod": "500"},
		Extensions: extensions,
	})
	require.NoError(t, err)
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		web.Close()
	})
	return web.Listener.Addr().String()
}

// TestDialoguesAreTheSame has two users say the same to one server each, directly and through a proxy.
func TestDialoguesAreTheSame(t *testing.T) {
	names := regexp.MustCompile(`"clientId":"([^"]+)"|BAYEUX_BROWSER=[^;]+`)
	steps := []string{
		`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket","long-polling"],"id":"1"}]`,
		`[{"channel":"/meta/connect","clientId":"ID","connectionType":"long-polling","id":"2","advice":{"timeout":0}}]`,
		`[{"channel":"/meta/subscribe","clientId":"ID","subscription":"/a/b","id":"3"},{"channel":"/a/b","clientId":"ID","data":"é😀","id":"4"}]`,
		`[{"channel":"/meta/connect","clientId":"ID","connectionType":"long-polling","id":"5"}]`,
		`[{"channel":"/meta/connect","clientId":"ID","connectionType":"long-polling","id":"6"}]`,
		`no JSON`,
		`[{"channel":"/meta/disconnect","clientId":"ID","id":"7"}]`,
		`[{"channel":"/meta/connect","clientId":"ID","connectionType":"long-polling","id":"8"}]`,
	}
	play := func(base string) (log []string) {
		u := newUser(t, base, alice)
		id, cookie := "", ""
		for _, step := range steps {
			req := u.request(http.MethodPost, "/cometd", strings.ReplaceAll(step, "ID", id), "Content-Type", "application/json", "Cookie", cookie)
			resp, body, err := u.do(req)
			require.NoError(t, err)
			if set := resp.Cookies(); len(set) > 0 {
				cookie = set[0].String()
			}
			if found := names.FindStringSubmatch(body); found != nil && id == "" {
				id = found[1]
			}
			resp.Header.Del("Date")
			resp.Header.Del("Via")
			log = append(log, resp.Status, names.ReplaceAllString(fmt.Sprint(resp.Header, resp.ContentLength), "X"), names.ReplaceAllString(body, "X"))
		}
		return log
	}
	target := halley(t, "200")
	p, err := NewHTTP(target)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	direct := play(target)
	require.Contains(t, strings.Join(direct, ""), "é😀")
	require.Equal(t, direct, play(p.Addr()))
	require.Equal(t, len(steps), p.Counts().Requests)
}

func TestTransparentRequests(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	u := newUser(t, p.Addr(), alice)
	direct := newUser(t, o.addr(), alice)
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		header := []string{"Cookie", "x=1; y=2", "X-Own", "a", "X-Own", "b", "Via", "1.1 other", "X-Forwarded-For", "10.0.0.1"}
		want, wantResp := direct.echo(method, "body of "+method, header...)
		got, resp := u.echo(method, "body of "+method, header...)
		require.Equal(t, "1.1 other, 1.1 hostileproxy", got.Header.Get("Via"))
		require.Equal(t, "10.0.0.1, 127.0.0.1", got.Header.Get("X-Forwarded-For"))
		require.Equal(t, u.base, got.Host, "the client's Host is kept")
		require.Equal(t, "1.1 hostileproxy", resp.Header.Get("Via"))
		got.Host = want.Host
		for _, name := range []string{"Via", "X-Forwarded-For"} {
			got.Header.Del(name)
			want.Header.Del(name)
		}
		require.Equal(t, want, got)
		resp.Header.Del("Via")
		resp.Header.Set("Date", wantResp.Header.Get("Date"))
		resp.Header.Set("Content-Length", wantResp.Header.Get("Content-Length")) // as long as the ports in the bodies.
		require.Equal(t, wantResp.Header, resp.Header)
	}
	require.Equal(t, 4, p.Counts().Requests)
	require.Equal(t, 1, p.Counts().Conns, "connections are used again")
	require.Empty(t, p.Counts().Done)
	x := exchanges(t, p)
	require.Len(t, x, 4)
	require.Equal(t, http.MethodPost, x[1].Method)
	require.Equal(t, "/echo?q=%20", x[1].Path)
	require.EqualValues(t, len("body of POST"), x[1].Sent)
	require.Positive(t, x[1].Received)
	require.True(t, x[1].Whole)
	require.Equal(t, http.StatusOK, x[1].Status)
}

func TestTransparentBodies(t *testing.T) {
	p, _ := startHTTP(t, Rules{})
	u := newUser(t, p.Addr(), alice)
	for _, path := range []string{"/size/0", "/size/1", "/size/3000000", "/size/3000000?chunked"} {
		_, body, err := u.get(path)
		require.NoError(t, err, path)
		require.Equal(t, strings.Repeat("x", len(body)), body)
		require.Equal(t, fmt.Sprintf("/size/%d", len(body)), strings.TrimSuffix(path, "?chunked"))
	}
	req := u.request(http.MethodPost, "/echo", "")
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("y", 200_000))), -1
	_, body, err := u.do(req)
	require.NoError(t, err)
	require.Contains(t, body, strings.Repeat("y", 200_000))

	resp, body, err := u.do(u.request(http.MethodHead, "/size/10", ""))
	require.NoError(t, err)
	require.Empty(t, body)
	require.EqualValues(t, 10, resp.ContentLength)
	require.Equal(t, 1, p.Counts().Conns)

	req = u.request(http.MethodPost, "/echo", "expected", "Expect", "100-continue")
	_, body, err = u.do(req)
	require.NoError(t, err)
	require.Contains(t, body, `"Body":"expected"`)
}

func TestTransparentStreams(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	resp := newUser(t, p.Addr(), alice).open("/drip") // The head comes ahead of the body.
	for _, piece := range []string{"one", "two", "three"} {
		o.drip(piece)
		reads(t, resp.Body, piece)
	}
	close(o.pieces)
	rest, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Empty(t, rest)
}

func TestTransparentTunnel(t *testing.T) {
	p, o := startHTTP(t, Rules{})
	client, br, server := newUser(t, p.Addr(), alice).socket(o)
	down := "\x00\xff no frames at all" + text("frame") + "\x82\x7f\x00\x00" // ends within a header.
	write(t, server, down)
	up := strings.Repeat("up", 100_000)
	sent := async(func() error { _, err := io.WriteString(client, up); return err })
	reads(t, server, up)
	require.NoError(t, <-sent)
	require.NoError(t, client.CloseWrite())
	_, err := server.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "half an end is passed on as such")
	write(t, server, "late")
	require.NoError(t, server.Close())
	got, err := io.ReadAll(br)
	require.NoError(t, err)
	require.Equal(t, down+"late", string(got))
	waitCounts(t, p, func(c Counts) bool { return c.Tunnels == 1 && c.Running == 0 })
	x := exchanges(t, p)[0]
	require.True(t, x.Whole)
	require.EqualValues(t, len(up), x.Sent)
	require.EqualValues(t, len(down)+len("late"), x.Received)
	require.Equal(t, http.StatusSwitchingProtocols, x.Status)
}
