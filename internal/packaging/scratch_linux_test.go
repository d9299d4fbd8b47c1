//go:build interop

package packaging

import (
	"bufio"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nobody is the user of the image.
const nobody = 65532

// patience bounds what a test waits for the program.
const patience = 2 * time.Minute

// TestScratch does what the container file says where no daemon builds images:
// the program, as the image has it, in a folder that is its whole world, as the
// image's user. It serves, its health check says so, and SIGTERM ends it.
func TestScratch(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Chmod(root, 0o755))
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", filepath.Join(root, "halley"), "github.com/halleypush/halley/cmd/halley")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	program, err := elf.Open(filepath.Join(root, "halley"))
	require.NoError(t, err)
	defer program.Close()
	libraries, err := program.ImportedLibraries()
	require.NoError(t, err)
	require.Empty(t, libraries)
	require.Nil(t, program.Section(".interp"), "it is static")

	i := container(t)
	args := append(i.command[1:], "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--posture", "cometd")
	w := newWorld(t, root)
	serve := w.command(t, args...)
	log, err := serve.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, serve.Start())
	late := time.AfterFunc(patience, func() { _ = serve.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewScanner(log)
	web, admin := address(t, lines, "listening"), address(t, lines, "admin listening")

	body := strings.NewReader(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+web+"/cometd", body)
	require.NoError(t, err)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Contains(t, string(answer), `"successful":true`)

	question := append(i.health[1:], "http://"+admin+"/readyz")
	said, err := w.command(t, question...).Output()
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(said))

	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Len(t, entries, 1, "it writes nothing")
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	_, err = io.Copy(io.Discard, log)
	require.NoError(t, err)
	require.NoError(t, serve.Wait())

	var code *exec.ExitError
	require.ErrorAs(t, w.command(t, question...).Run(), &code)
	require.Equal(t, 1, code.ExitCode(), "the health check fails when nobody answers")
}

// world is a folder that holds the program alone.
type world struct {
	root string
	// open tells that the machine gives no root of its own to a plain user:
	// the program then runs in the usual one.
	open bool
}

func newWorld(t *testing.T, root string) world {
	t.Helper()
	w := world{root: root}
	err := w.command(t, "version").Run()
	if os.Getuid() != 0 && (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES)) {
		t.Logf("no root of its own: %v", err)
		w.open = true
		err = w.command(t, "version").Run()
	}
	require.NoError(t, err)
	return w
}

// command is the program with the image's environment and user.
func (w world) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), "/halley", args...)
	if w.open {
		c = exec.CommandContext(t.Context(), filepath.Join(w.root, "halley"), args...)
	}
	for name, value := range container(t).env {
		c.Env = append(c.Env, name+"="+value)
	}
	if w.open {
		return c
	}
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: w.root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if os.Getuid() != 0 {
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}}
		c.SysProcAttr.Credential.NoSetGroups = true
	}
	return c
}

// address is that of the next listener in the log.
func address(t *testing.T, lines *bufio.Scanner, message string) string {
	t.Helper()
	for lines.Scan() {
		var line struct{ Message, Address string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		if line.Message == message {
			return line.Address
		}
	}
	require.Fail(t, "the log ended without "+message)
	return ""
}
