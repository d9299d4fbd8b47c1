package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	tests := []struct {
		name, in, want string
		ok             bool
	}{
		{"nothing", "", "FAIL: 0 of 0 packages\n0 passed, 0 failed\n", false},
		{
			"all well",
			`{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Test":"T","Output":"=== RUN T\n"}
{"Action":"pass","Package":"a","Test":"T/x"}
{"Action":"pass","Package":"a","Test":"T"}
{"Action":"skip","Package":"a","Test":"S"}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a"}
`, "ok  \ta\t0.1s\n2 passed, 0 failed, 1 skipped\n", true,
		},
		{
			"a test fails",
			`{"Action":"output","Package":"a","Test":"T","Output":"--- FAIL: T\n"}
{"Action":"fail","Package":"a","Test":"T"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t0.1s\n"}
{"Action":"fail","Package":"a"}
`, "--- FAIL: T\nFAIL\ta\t0.1s\nFAIL: 1 of 1 packages\n0 passed, 1 failed\n", false,
		},
		{
			"a test does not end",
			`{"Action":"output","Package":"a","Test":"T","Output":"panic: oh\n"}
{"Action":"fail","Package":"a"}
`, "panic: oh\nFAIL: 1 of 1 packages\n0 passed, 1 failed\n", false,
		},
		{
			"a build fails",
			`# a
{"ImportPath":"a","Action":"build-output","Output":"a.go:1: oh\n"}
{"ImportPath":"a","Action":"build-fail"}
{"Action":"output","Package":"a","Output":"FAIL\ta [build failed]\n"}
{"Action":"fail","Package":"a","FailedBuild":"a"}
no newline`, "# a\na.go:1: oh\nFAIL\ta [build failed]\nno newlineFAIL: 1 of 1 packages\n0 passed, 0 failed\n", false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			s := newSummary(&out)
			require.NoError(t, s.read(strings.NewReader(tt.in)))
			require.Equal(t, tt.ok, s.finish())
			require.Equal(t, tt.want, out.String())
		})
	}
}
