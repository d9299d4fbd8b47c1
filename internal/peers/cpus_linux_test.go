package peers

import (
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// allowed lists the processors of this process.
func allowed(t *testing.T) (cpus []int) {
	t.Helper()
	var set unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &set))
	for n := range maxCPU {
		if set.IsSet(n) {
			cpus = append(cpus, n)
		}
	}
	return cpus
}

// A peer sees the processors that it was given, and this process keeps its own.
func TestCPUs(t *testing.T) {
	all := allowed(t)
	t.Setenv(fakePeer, "counts")
	last := all[len(all)-1]
	p, err := fakeProgram().start(t.Context(), map[string]string{"cpus": strconv.Itoa(last)}, nil)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	require.Contains(t, p.Log(), "processors 1 1\n")
	var bound unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(p.PID(), &bound))
	require.Equal(t, 1, bound.Count())
	require.True(t, bound.IsSet(last))
	require.Equal(t, all, allowed(t))
	require.Len(t, all, runtime.NumCPU())
}

func TestNoSuchCPU(t *testing.T) {
	for list, want := range map[string]string{"x": `cpus="x"`, "1024": `cpus="1024"`, "0,": `cpus="0,"`, "-1": "cpus"} {
		_, err := fakeProgram().start(t.Context(), map[string]string{"cpus": list}, nil)
		require.ErrorContains(t, err, want)
	}
	all := allowed(t)
	missing := 0
	for slices.Contains(all, missing) {
		missing++
	}
	err := StartOn(exec.Command("/no/such/program"), []int{missing})
	require.ErrorContains(t, err, "is not there")
	require.Equal(t, all, allowed(t))
	cpus, err := parseCPUs("")
	require.NoError(t, err)
	require.Nil(t, cpus)
}
