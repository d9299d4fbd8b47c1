package hostileproxy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/conformtest"
	"github.com/halleypush/halley/extensions/ack"
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

// TestTheSuiteSeesNoProxy runs the conformance suite through a proxy without rules, some sections of it if it shall be short.
func TestTheSuiteSeesNoProxy(t *testing.T) {
	p, err := NewHTTP(halley(t, "1000", ack.New()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	o := conformance.Options{Profile: "cometd"}
	if testing.Short() {
		o.Only = []string{"BX-PB-*", "BX-SB-*", "BX-HT-*", "BX-DL-*"}
	}
	rep := conformtest.Test(t, "http://"+p.Addr()+"/cometd", o)
	require.Zero(t, rep.Summary.Fail+rep.Summary.Error)
	require.Greater(t, rep.Summary.Pass, 100)
	require.Positive(t, p.Counts().Tunnels)
	require.Zero(t, p.Counts().Cuts())
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
