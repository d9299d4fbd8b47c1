package channels_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/channels"
)

func TestTree(t *testing.T) {
	var tree channels.Tree[string]
	require.Empty(t, slices.Collect(tree.Match("/a")))
	require.False(t, tree.Add("", "x"))
	require.False(t, tree.Remove("", "x"))

	require.True(t, tree.Add("/a/b", "exact"))
	require.False(t, tree.Add("/a/b", "exact"))
	require.True(t, tree.Add("/a/*", "shallow"))
	require.True(t, tree.Add("/a/**", "deep"))
	require.True(t, tree.Add("/**", "all"))
	require.True(t, tree.Add("/a", "parent"))
	require.Equal(t, 5, tree.Len())

	// [R-PB-10]: order from /** down to the exact channel.
	for _, c := range []struct {
		name channels.Name
		want []string
	}{
		{"/a/b", []string{"all", "deep", "shallow", "exact"}},
		{"/a/c", []string{"all", "deep", "shallow"}},
		{"/a/b/c", []string{"all", "deep"}},
		{"/a", []string{"all", "parent"}},
		{"/b", []string{"all"}},
		{"/a/*", []string{"all", "deep", "shallow"}}, // [R-PB-8]
		{"/a/**", []string{"all", "deep"}},
		{"/a/b/*", []string{"all", "deep"}},
		{"/**", []string{"all"}},
		{"", nil},
	} {
		require.Equal(t, c.want, slices.Collect(tree.Match(c.name)), "%q", c.name)
	}

	for range tree.Match("/a/b") { // stopping early is allowed
		break
	}

	// [R-PB-9]: one copy, at the outermost match.
	for _, n := range []channels.Name{"/a/b", "/a/*", "/**"} {
		require.True(t, tree.Add(n, "twice"))
	}
	require.ElementsMatch(t, []string{"all", "deep", "shallow", "exact", "twice"}, slices.Collect(tree.Match("/a/b")))

	require.False(t, tree.Remove("/a/b", "all"))
	require.False(t, tree.Remove("/a/b/c", "exact"))
	require.False(t, tree.Remove("/z", "exact"))
	require.True(t, tree.Remove("/a/b", "exact"))
	require.False(t, tree.Remove("/a/b", "exact"))
	require.Equal(t, 7, tree.Len())
}

func TestTreePrunes(t *testing.T) {
	var tree channels.Tree[int]
	names := []channels.Name{"/a/b/c", "/a/b", "/a/**", "/x/y/z/*"}
	for i, n := range names {
		require.True(t, tree.Add(n, i))
	}
	for i, n := range names {
		require.True(t, tree.Remove(n, i))
		for j, other := range names[i+1:] {
			require.Contains(t, slices.Collect(tree.Match(other)), i+1+j, "%q lost with %q", other, n)
		}
	}
	require.Zero(t, tree.Len())
	require.Zero(t, tree.Branches())
}

// FuzzTree runs a program of two bytes an instruction against a plain list.
func FuzzTree(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 2, 0, 1, 0, 2, 1})
	f.Add([]byte("add some, remove some, look at all of them"))
	names := []channels.Name{
		"/a", "/b", "/a/b", "/a/c", "/a/b/c", "/*", "/**", "/a/*", "/a/**", "/a/b/*", "/a/b/**", "/a/{v}", "/a/{v}/b",
	}
	type entry struct {
		name  channels.Name
		value byte
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		var tree channels.Tree[byte]
		var list []entry
		program = program[:min(len(program), 400)]
		for ; len(program) >= 2; program = program[2:] {
			e := entry{names[int(program[0]>>2)%len(names)], program[1] % 5}
			known := slices.Index(list, e)
			switch program[0] & 3 {
			case 0, 1:
				require.Equal(t, known < 0, tree.Add(e.name, e.value))
				if known < 0 {
					list = append(list, e)
				}
			case 2:
				require.Equal(t, known >= 0, tree.Remove(e.name, e.value))
				if known >= 0 {
					list = slices.Delete(list, known, known+1)
				}
			case 3:
				var want []byte
				for _, l := range list {
					if naiveMatch(l.name, e.name) && !slices.Contains(want, l.value) {
						want = append(want, l.value)
					}
				}
				require.ElementsMatch(t, want, slices.Collect(tree.Match(e.name)), "%q in %v", e.name, list)
			}
			require.Len(t, list, tree.Len())
		}
		for _, e := range list {
			require.True(t, tree.Remove(e.name, e.value))
		}
		require.Zero(t, tree.Branches())
	})
}

func ExampleTree() {
	var tree channels.Tree[string]
	tree.Add("/chat/demo", "alice")
	tree.Add("/chat/**", "bob")
	tree.Add("/**", "alice")
	for who := range tree.Match("/chat/demo") {
		fmt.Println(who)
	}
	// Output:
	// alice
	// bob
}

func BenchmarkTreeMatch(b *testing.B) {
	for _, size := range []int{100, 10_000, 1_000_000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			var tree channels.Tree[int]
			names := make([]channels.Name, size)
			for i := range names {
				names[i] = channels.Name(fmt.Sprintf("/chat/%d/room/%d", i%97, i))
				tree.Add(names[i], i)
			}
			tree.Add("/chat/**", -1)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for range tree.Match(names[i*7919%size]) {
					continue
				}
			}
		})
	}
}
