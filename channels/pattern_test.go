package channels_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/channels"
)

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern channels.Name
		yes, no []channels.Name
	}{
		{"/foo", []channels.Name{"/foo"}, []channels.Name{"", "/foo/bar", "/foobar", "/*", "/**"}},
		// [R-SB-10]: exactly one more segment.
		{
			"/foo/*",
			[]channels.Name{"/foo/bar", "/foo/*", "/foo/b*", "/foo/{v}"},
			[]channels.Name{"", "/foo", "/foo/bar/boo", "/foobar", "/fo", "/foo/**", "/**", "/*"},
		},
		// [R-SB-10]: one or more; [R-PB-8]: wildcard channels below, too.
		{
			"/foo/**",
			[]channels.Name{"/foo/bar", "/foo/bar/boo", "/foo/*", "/foo/**", "/foo/bar/**", "/foo/{v}/x"},
			[]channels.Name{"", "/foo", "/foobar", "/foobar/x", "/**", "/bar/foo/x"},
		},
		{"/*", []channels.Name{"/foo", "/*"}, []channels.Name{"", "/foo/bar", "/**"}},
		{"/**", []channels.Name{"/foo", "/foo/bar", "/*", "/**", "/a/**", "/service/x"}, []channels.Name{""}},
		// [R-SB-11]: a template is itself and nothing else.
		{"/a/{v}", []channels.Name{"/a/{v}"}, []channels.Name{"", "/a/b", "/a/{w}"}},
		{"", nil, []channels.Name{"", "/a"}},
	} {
		p := channels.Compile(c.pattern)
		require.Equal(t, c.pattern, p.Name())
		for _, n := range c.yes {
			require.True(t, p.Matches(n), "%q matches %q", c.pattern, n)
		}
		for _, n := range c.no {
			require.False(t, p.Matches(n), "%q does not match %q", c.pattern, n)
		}
	}
	require.False(t, channels.Pattern{}.Matches("/a"))
}

// naiveMatch compares segment by segment, from the rules alone.
func naiveMatch(pattern, name channels.Name) bool {
	p, n := strings.Split(string(pattern), "/")[1:], strings.Split(string(name), "/")[1:]
	if slices.Equal(p, n) {
		return true
	}
	head := p[:len(p)-1]
	if len(n) <= len(head) || !slices.Equal(head, n[:len(head)]) {
		return false
	}
	switch p[len(head)] {
	case "**": // [R-SB-10], [R-PB-8]
		return true
	case "*":
		return len(n) == len(p) && n[len(head)] != "**"
	default:
		return false
	}
}

func FuzzPattern(f *testing.F) {
	for _, pair := range [][2]string{
		{"/foo/*", "/foo/bar"},
		{"/foo/**", "/foo/bar/boo"},
		{"/**", "/*"},
		{"/*", "/**"},
		{"/a", "/a"},
		{"/a/*", "/a/**"},
		{"/a/**", "/a/*"},
		{"/a/{v}", "/a/{v}"},
		{"/a/**", "/a/{v}/b"},
		{"/foo/*", "/foobar/x"},
	} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		pattern, err := channels.Parse(a)
		if err != nil {
			return
		}
		name, err := channels.Parse(b)
		if err != nil {
			return
		}
		got := channels.Compile(pattern).Matches(name)
		require.Equal(t, pattern == name || slices.Contains(name.Wilds(), pattern), got, "wilds: %q %q", pattern, name)
		require.Equal(t, naiveMatch(pattern, name), got, "naive: %q %q", pattern, name)
		for _, w := range name.Wilds() {
			require.True(t, channels.Compile(w).Matches(name), "%q %q", w, name)
		}
	})
}

func ExamplePattern() {
	p := channels.Compile("/chat/*")
	fmt.Println(p.Matches("/chat/demo"), p.Matches("/chat"), p.Matches("/chat/demo/typing"))
	// Output: true false false
}

func BenchmarkMatches(b *testing.B) {
	for _, p := range []channels.Name{"/chat/room/12345", "/chat/room/*", "/chat/**"} {
		b.Run(string(p), func(b *testing.B) {
			b.ReportAllocs()
			pattern := channels.Compile(p)
			for b.Loop() {
				if !pattern.Matches("/chat/room/12345") {
					b.Fatal("no match")
				}
			}
		})
	}
}
