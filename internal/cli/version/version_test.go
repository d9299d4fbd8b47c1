package version

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLine(t *testing.T) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	require.Equal(t, "halley (devel) "+runtime.Version()+" "+platform, from(nil).line())
	info := &debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	require.Equal(t, "halley v1.2.3 commit 0123456789ab+changes 2026-01-02T03:04:05Z go1.26.0 "+platform, from(info).line())
}

func TestRun(t *testing.T) {
	var out strings.Builder
	require.NoError(t, Command{}.Run(&out))
	require.True(t, strings.HasPrefix(out.String(), "halley "))
}
