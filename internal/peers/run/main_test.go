package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args    []string
		options map[string]string
		err     string
	}{
		{[]string{"faye"}, map[string]string{}, ""},
		{[]string{"faye", "8081"}, map[string]string{"port": "8081"}, ""},
		{[]string{"faye", "8081", "a=b", "c=d=e", "f="}, map[string]string{"port": "8081", "a": "b", "c": "d=e", "f": ""}, ""},
		{[]string{"faye", "a=b"}, map[string]string{"a": "b"}, ""},
		{[]string{"faye", "a=b", "8081"}, nil, `"8081" is not option=value`},
		{[]string{"faye", "8081", "=b"}, nil, `"=b" is not option=value`},
		{nil, nil, "usage: run NAME [PORT] [option=value …]; the names: halley, cometd8"},
	} {
		name, options, err := parse(c.args)
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, "faye", name)
		require.Equal(t, c.options, options)
	}
}

func TestRunFails(t *testing.T) {
	require.ErrorContains(t, run(t.Context(), []string{"nobody"}, io.Discard), `peer "nobody" is unknown`)
	require.ErrorContains(t, run(t.Context(), []string{"faye", "no port"}, io.Discard), "port=")
}
