//go:build interop

package interop

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/halleypush/halley/internal/testkit"
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

func TestMain(m *testing.M) { testkit.Main(m, "halley-interop", cellsAtOnce, prepare) }

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
	shared.binary, err = testkit.Build(dir)
	return err
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
