package serve

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// passed makes what a service manager passes.
func passed(t *testing.T, names ...string) map[string][]net.Listener {
	t.Helper()
	all := map[string][]net.Listener{}
	for _, name := range names {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		all[name] = append(all[name], l)
	}
	return all
}

// TestPassedSockets serves on what was passed, by name: two sockets of one
// name, the admin listener, and an address of our own beside them. A socket
// that no setting names is closed.
func TestPassedSockets(t *testing.T) {
	all := passed(t, "http", "http", "admin", "other")
	web, other := []string{all["http"][0].Addr().String(), all["http"][1].Addr().String()}, all["other"][0].Addr().String()
	admin := all["admin"][0].Addr().String()
	var states []string
	env := Env{
		Sockets: func() (map[string][]net.Listener, error) { return all, nil },
		Notify:  func(state string) error { states = append(states, state); return nil },
	}
	r := startIn(t, env, newFake(), "--listen", "fd:http", "--admin-listen", "fd:admin", "--posture", "cometd")
	require.Equal(t, "other", r.wait("a passed socket is in no setting; it is closed")["socket"])
	own := r.address("listening")
	require.Equal(t, web[0], r.address("listening"))
	require.Equal(t, web[1], r.address("listening"))
	require.Equal(t, admin, r.address("admin listening"))
	c := client(t, &http.Transport{})
	for _, address := range append(web, own) {
		status, _ := get(t, c, "http://"+address+"/cometd")
		require.Equal(t, 200, status)
	}
	status, _ := get(t, c, "http://"+admin+"/readyz")
	require.Equal(t, 200, status)
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", other)
	require.Error(t, err)
	require.NoError(t, r.stop())
	require.Equal(t, []string{"READY=1", "STOPPING=1"}, states)
}

// TestPassedSocketWithProxy reads PROXY headers on a passed socket too.
func TestPassedSocketWithProxy(t *testing.T) {
	all := passed(t, "http")
	env := Env{Sockets: func() (map[string][]net.Listener, error) { return all, nil }}
	r := startIn(t, env, newFake(), "--listen", "fd:http?proxy=v1", "--posture", "cometd", "--trusted-proxies", "127.0.0.1")
	r.wait("listening")
	require.Equal(t, "v1", r.wait("listening")["proxy"])
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", all["http"][0].Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\nGET /cometd HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	text, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Contains(t, string(text), "192.0.2.7:4711")
	require.NoError(t, r.stop())
}

func TestWrongSockets(t *testing.T) {
	local, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", shortDir(t)+"/s")
	require.NoError(t, err)
	defer local.Close()
	for _, tt := range []struct {
		listen, admin string
		passed        map[string][]net.Listener
		err           error
		want          string
	}{
		{"fd:http", "off", nil, nil, `listen fd:http: the service manager has passed no socket; start the socket unit with the name "http" first`},
		{"fd:http", "fd:admin", passed(t, "http", "metrics"), nil, `admin-listen fd:admin: the service manager has passed no socket "admin"; the names (FileDescriptorName= of a socket unit) are http, metrics`},
		{"fd:http", "off", map[string][]net.Listener{"http": {local}}, nil, "listen fd:http: want a TCP socket, this one is unix"},
		{"fd:http", "off", nil, errors.New("broken"), "sockets of the service manager: broken"},
	} {
		c := parse(t, "--listen", tt.listen, "--admin-listen", tt.admin, "--posture", "cometd")
		err := c.Run(t.Context(), Env{
			Lookup: lookup("GOMEMLIMIT", "1GiB"), Stdout: io.Discard, Stderr: io.Discard, Build: newFake().build,
			Sockets: func() (map[string][]net.Listener, error) { return tt.passed, tt.err },
		})
		require.ErrorContains(t, err, tt.want)
	}
	_, err = parse(t, "--listen", "fd:http").Load(lookup())
	require.ErrorContains(t, err, `listen "fd:http" may be open to other machines, and no posture says`)
	_, err = parse(t, "--listen", "fd:http", "--admin-listen", "fd:http", "--posture", "cometd").Load(lookup())
	require.ErrorContains(t, err, `"fd:http" is named twice`)
	_, err = parse(t, "--admin-listen", "fd:http?tls=off").Load(lookup())
	require.ErrorContains(t, err, "the admin listener is plain HTTP")
}

// TestManagerIsDeaf goes on serving when the service manager cannot be told.
func TestManagerIsDeaf(t *testing.T) {
	r := startIn(t, Env{Notify: func(string) error { return errors.New("deaf") }}, newFake())
	require.Equal(t, "READY=1", r.wait("the service manager was not told")["state"])
	require.NoError(t, r.stop())
}

// shortDir is a folder with a name that fits into the address of a local socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs") //nolint:usetesting // that of the test is too long for a socket's address
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
