package envelope

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNext(t *testing.T) {
	input := `[{"channel":"/a","data":{"b":[1,"}\"",{"id":2}]},"id":"7","clientId":"x"}, {"advice" : {"timeout":0},"channel":"/meta/connect"},{"subscription":"/s","n":12,"channel":"/meta/subscribe"}]`
	first, rest, ok := Next([]byte(input))
	require.True(t, ok)
	require.Equal(t, `"/a"`, string(first.Channel))
	require.Equal(t, `{"b":[1,"}\"",{"id":2}]}`, string(first.Data))
	require.Equal(t, `"7"`, string(first.ID))
	require.Equal(t, `"x"`, string(first.ClientID))
	require.Equal(t, Publish, first.Kind())

	second, rest, ok := Next(rest)
	require.True(t, ok)
	require.Equal(t, Connect, second.Kind())
	require.True(t, second.AtOnce())
	require.Nil(t, second.ID)

	third, rest, ok := Next(rest)
	require.True(t, ok)
	require.Equal(t, Subscribe, third.Kind())
	require.Equal(t, `"/s"`, string(third.Subscription))
	_, _, ok = Next(rest)
	require.False(t, ok)
}

// Input that is cut off or no JSON ends the scan.
func TestNextNonsense(t *testing.T) {
	const whole = `[{"channel":"/a\\","data":{"b":[1,"x"]},"id":7}]`
	for n := range len(whole) - 2 {
		_, _, ok := Next([]byte(whole[:n]))
		require.False(t, ok, whole[:n])
	}
	for _, text := range []string{"", "]", "{", `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":"\`, `{]}`, `{"a":}`, "\x00\xff"} {
		require.NotPanics(t, func() { Next([]byte(text)) }, text)
	}
}
