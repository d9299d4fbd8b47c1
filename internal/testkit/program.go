package testkit

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package that start programs: prepare gets a folder,
// which is there until they have ended, and its error ends all. atOnce stands in
// for the default of -parallel, the number of processors, for tests that wait
// most of their time; 0 leaves that. Goroutines that are left fail the package.
// It does not return.
func Main(m *testing.M, name string, atOnce int, prepare func(dir string) error) {
	flag.Parse()
	parallel := atOnce == 0
	flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
	dir, err := os.MkdirTemp("", name)
	if err == nil && !parallel {
		err = flag.Set("test.parallel", strconv.Itoa(atOnce))
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

// Build builds the program of this module into a folder and returns its path.
func Build(dir string) (binary string, err error) {
	binary = filepath.Join(dir, "halley")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", "build", "-o", binary, "github.com/halleypush/halley/cmd/halley")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the server: %w\n%s", err, out)
	}
	return binary, nil
}
