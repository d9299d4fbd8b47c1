package router_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/internal/router"
)

// Members are those of the channel itself, whoever has come and gone.
func TestMembers(t *testing.T) {
	r := router.New[int]()
	all := make([]int, 100)
	for i := range all {
		r.Add("/a", &all[i])
	}
	r.Add("/a/*", &all[0])
	var want []*int
	for i := range all {
		if i%2 == 0 {
			r.Remove("/a", &all[i])
		} else {
			want = append(want, &all[i])
		}
	}
	require.ElementsMatch(t, want, r.Members("/a"))
	require.Equal(t, []*int{&all[0]}, r.Members("/a/*"))
	require.Empty(t, r.Members("/a/b"))
	require.Empty(t, r.Members("/b"))
}
