//go:build interop

package interop

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// peerCommand starts another server than ours: a shell command with {port} and {options} ("a=1 b=2").
const peerCommand = "HALLEY_PEER_CMD"

// cellsAtOnce bounds the cells that run together: each is a server and a client, and most of its time it waits. It
// stands in for the default of -parallel, the number of processors.
const cellsAtOnce = 8

var seedFlag = flag.Uint64("seed", 0, "seed of the random cuts; 0 takes HALLEY_INTEROP_SEED, else the clock")

// rig is what all tests share; TestMain fills it before they start.
type rig struct {
	binary string // the server built from this module, unless peer is set.
	peer   string
	seed   uint64
}

var shared rig

func TestMain(m *testing.M) {
	flag.Parse()
	parallel := false
	flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
	dir, err := os.MkdirTemp("", "halley-interop")
	if err == nil && !parallel {
		err = flag.Set("test.parallel", strconv.Itoa(cellsAtOnce))
	}
	if err == nil {
		err = prepare(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

func prepare(dir string) error {
	for _, p := range publishedClients() {
		if err := p.driver.installed(); err != nil {
			return err
		}
	}
	var err error
	if shared.seed, err = chooseSeed(); err != nil {
		return err
	}
	if shared.peer = os.Getenv(peerCommand); shared.peer != "" {
		return nil
	}
	shared.binary = filepath.Join(dir, "halley")
	if runtime.GOOS == "windows" {
		shared.binary += ".exe"
	}
	build := exec.Command("go", "build", "-o", shared.binary, "github.com/halleypush/halley/cmd/halley")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return nil
}

func chooseSeed() (uint64, error) {
	if *seedFlag != 0 {
		return *seedFlag, nil
	}
	if s := strings.TrimSpace(os.Getenv("HALLEY_INTEROP_SEED")); s != "" {
		return strconv.ParseUint(s, 10, 64)
	}
	return uint64(time.Now().UnixNano()), nil
}
