//go:build unix

package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// activated makes this test binary serve with the real surroundings.
const activated = "HALLEY_TEST_ACTIVATED"

// serveActivated is the process that TestActivation starts.
func serveActivated() int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM)
	c := Command{Listen: []string{"fd:http"}, AdminListen: []string{"fd:admin"}, Posture: []string{"cometd"}}
	if err := c.Run(context.Background(), Env{Lookup: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals}); err != nil {
		_, _ = os.Stderr.WriteString(err.Error())
		return 1
	}
	return 0
}

// descriptor listens and returns the socket as a file to pass on.
func descriptor(t *testing.T) (address string, file *os.File) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	file, err = l.(*net.TCPListener).File()
	require.NoError(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return l.Addr().String(), file
}

// TestActivation passes two descriptors as systemd does, and hears what the
// process tells the service manager.
func TestActivation(t *testing.T) {
	web, first := descriptor(t)
	admin, second := descriptor(t)
	path := shortDir(t) + "/notify"
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer notify.Close()

	// LISTEN_PID is known only in the process itself.
	proc := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	proc.ExtraFiles = []*os.File{second, first}
	proc.Env = append(os.Environ(), activated+"=1", "LISTEN_FDS=2", "LISTEN_FDNAMES=admin:http", "NOTIFY_SOCKET="+path, "GOMEMLIMIT=1GiB")
	logs, err := proc.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, proc.Start())

	require.Equal(t, "READY=1", datagram(t, notify))
	c := client(t, &http.Transport{DisableKeepAlives: true})
	status, _ := get(t, c, "http://"+web+"/cometd")
	require.Equal(t, 400, status, "the Bayeux endpoint, asked without a message")
	status, _ = get(t, c, "http://"+admin+"/readyz")
	require.Equal(t, 200, status)
	require.NoError(t, proc.Process.Signal(syscall.SIGTERM))
	require.Equal(t, "STOPPING=1", datagram(t, notify))
	var messages []string
	for scan := bufio.NewScanner(logs); scan.Scan(); {
		var line struct{ Message string }
		require.NoError(t, json.Unmarshal(scan.Bytes(), &line), scan.Text())
		if !strings.Contains(line.Message, "demo") { // It depends on the build.
			messages = append(messages, line.Message)
		}
	}
	require.NoError(t, proc.Wait())
	require.Equal(t, "listening, admin listening, stopping, stopped", strings.Join(messages, ", "))
	// The socket is the manager's: it still takes connections.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", web)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

func datagram(t *testing.T, from *net.UnixConn) string {
	t.Helper()
	text := make([]byte, 256)
	n, err := from.Read(text)
	require.NoError(t, err)
	return string(text[:n])
}
