package channels_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/channels"
)

func TestCheckAlphabet(t *testing.T) { // [R-MSG-8]
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + " !#$()*+-./@_{~}"
	for c := range 256 {
		s := "/a" + string([]byte{byte(c)}) + "b"
		if c < 128 && strings.IndexByte(alphabet, byte(c)) >= 0 {
			require.NoError(t, channels.Check(s), "%q", s)
		} else {
			require.ErrorIs(t, channels.Check(s), channels.ErrCharacters, "%q", s)
		}
	}
	for _, s := range []string{"", "/", "a", "foo", " /a", "/é", "/a?", "/a\x00"} {
		require.ErrorIs(t, channels.Check(s), channels.ErrCharacters, "%q", s)
	}
	require.NoError(t, channels.Check("//"), "structure is Parse's business")
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want channels.Name
		err  error
	}{
		// Plain names.
		{in: "/a", want: "/a"},
		{in: "/chat/demo", want: "/chat/demo"},
		{in: "/a b/c", want: "/a b/c"},
		{in: "/a /b", want: "/a /b"},
		{in: "/meta/connect", want: "/meta/connect"},
		{in: "/!#$()+-.@_{~}", want: "/!#$()+-.@_{~}"},
		// [R-MSG-8]: characters.
		{in: "", err: channels.ErrCharacters},
		{in: "/", err: channels.ErrCharacters},
		{in: "a/b", err: channels.ErrCharacters},
		{in: " /a", err: channels.ErrCharacters},
		{in: "/a?", err: channels.ErrCharacters},
		{in: "/a\n", err: channels.ErrCharacters},
		{in: "/a//b,", err: channels.ErrCharacters},
		// [R-MSG-12]: normalisation.
		{in: "/a/", want: "/a"},
		{in: "/a ", want: "/a"},
		{in: "/a   ", want: "/a"},
		{in: "/a/ ", want: "/a"},
		{in: "/a /", want: "/a"},
		{in: "/a / ", want: "/a"},
		{in: "/a/*/", want: "/a/*"},
		{in: "/a/** ", want: "/a/**"},
		// [R-MSG-10]: structure.
		{in: "//", err: channels.ErrStructure},
		{in: "/ ", err: channels.ErrStructure},
		{in: "/ /", err: channels.ErrStructure},
		{in: "//a", err: channels.ErrStructure},
		{in: "/a//", err: channels.ErrStructure},
		{in: "/a//b", err: channels.ErrStructure},
		{in: "/a/ /", err: channels.ErrStructure},
		{in: "/a/ /b", err: channels.ErrStructure},
		{in: "/ /*", err: channels.ErrStructure},
		{in: "/*/a", err: channels.ErrStructure},
		{in: "/*/*", err: channels.ErrStructure},
		{in: "/a/**/b", err: channels.ErrStructure},
		{in: "/{v}/*", err: channels.ErrStructure},
		{in: "/a/{v_1}/b/**", err: channels.ErrStructure},
		// Not wildcards, only stars.
		{in: "/***", want: "/***"},
		{in: "/a*/b", want: "/a*/b"},
		{in: "/a**", want: "/a**"},
		// [R-SB-11]: templates are literal, and only words in braces are templates.
		{in: "/a/{v}", want: "/a/{v}"},
		{in: "/a/{v}/b", want: "/a/{v}/b"},
		{in: "/{}/*", want: "/{}/*"},
		{in: "/{a-b}/*", want: "/{a-b}/*"},
		{in: "/x{v}/*", want: "/x{v}/*"},
		{in: "/{v}x/**", want: "/{v}x/**"},
	} {
		t.Run(fmt.Sprintf("%q", c.in), func(t *testing.T) {
			got, err := channels.Parse(c.in)
			require.Equal(t, c.want, got)
			require.ErrorIs(t, err, c.err)
		})
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	for _, s := range []string{"/chat/demo", "/a/b/c/d/**", "/a/{v}/", "/a?"} {
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = channels.Parse(s) }), "%q", s)
	}
}

func TestSpaces(t *testing.T) { // [R-MSG-13]
	for _, c := range []struct {
		name                     channels.Name
		meta, service, broadcast bool
	}{
		{"", false, false, false},
		{"/meta/connect", true, false, false},
		{"/meta/*", true, false, false},
		{"/service/echo", false, true, false},
		{"/service/**", false, true, false},
		{"/meta", false, false, true},
		{"/service", false, false, true},
		{"/META/connect", false, false, true},
		{"/Service/echo", false, false, true},
		{"/metadata/x", false, false, true},
		{"/a/meta/x", false, false, true},
		{"/**", false, false, true},
	} {
		require.Equal(t, c.meta, c.name.IsMeta(), "%q", c.name)
		require.Equal(t, c.service, c.name.IsService(), "%q", c.name)
		require.Equal(t, c.broadcast, c.name.IsBroadcast(), "%q", c.name)
	}
}

func TestWilds(t *testing.T) {
	for _, c := range []struct {
		name     channels.Name
		segments int
		wild     bool
		deep     bool
		wilds    []channels.Name
	}{
		{name: ""},
		// [R-PB-10]: from /** inwards.
		{name: "/a", segments: 1, wilds: []channels.Name{"/**", "/*"}},
		{name: "/a/b", segments: 2, wilds: []channels.Name{"/**", "/a/**", "/a/*"}},
		{name: "/a/b/c", segments: 3, wilds: []channels.Name{"/**", "/a/**", "/a/b/**", "/a/b/*"}},
		{name: "/a*", segments: 1, wilds: []channels.Name{"/**", "/*"}},
		{name: "/service/echo", segments: 2, wilds: []channels.Name{"/**", "/service/**", "/service/*"}},
		// [R-PB-8]: publishing to wildcard channels.
		{name: "/*", segments: 1, wild: true, wilds: []channels.Name{"/**"}},
		{name: "/**", segments: 1, wild: true, deep: true, wilds: []channels.Name{}},
		{name: "/f/*", segments: 2, wild: true, wilds: []channels.Name{"/**", "/f/**"}},
		{name: "/f/**", segments: 2, wild: true, deep: true, wilds: []channels.Name{"/**"}},
		// [R-SB-11]: nothing below a template can be a wildcard.
		{name: "/a/{v}", segments: 2, wilds: []channels.Name{"/**", "/a/**", "/a/*"}},
		{name: "/a/{v}/b/c", segments: 4, wilds: []channels.Name{"/**", "/a/**"}},
		{name: "/{v}/b", segments: 2, wilds: []channels.Name{"/**"}},
	} {
		t.Run(string(c.name), func(t *testing.T) {
			require.Equal(t, c.segments, c.name.Segments())
			require.Equal(t, c.wild, c.name.IsWild())
			require.Equal(t, c.deep, c.name.IsDeepWild())
			require.Equal(t, c.wilds, c.name.Wilds())
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "/", "//", "/a", "/a/", "/a /", " /a", "/a/ /", "/a//b", "/*", "/**", "/*/a", "/a/**/b",
		"/{v}/*", "/a/{v}", "/{}/**", "/meta/connect", "/a?b", "/\x80", "/a b/c d",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := channels.Parse(s)
		if err != nil {
			require.Empty(t, n)
			require.Equal(t, errors.Is(err, channels.ErrCharacters), channels.Check(s) != nil)
			return
		}
		again, err := channels.Parse(string(n))
		require.NoError(t, err)
		require.Equal(t, n, again)
		require.Equal(t, string(n), strings.TrimRight(string(n), " /"))
		segments := strings.Split(string(n), "/")[1:]
		require.Len(t, segments, n.Segments())
		for i, segment := range segments {
			require.NotEmpty(t, strings.TrimSpace(segment))
			if segment == "*" || segment == "**" { // [R-MSG-10]
				require.Equal(t, len(segments)-1, i)
				require.True(t, n.IsWild())
			}
		}
		wilds := n.Wilds()
		require.False(t, slices.Contains(wilds, n))
		for _, w := range wilds {
			again, err := channels.Parse(string(w))
			require.NoError(t, err, "%q of %q", w, n)
			require.Equal(t, w, again)
			require.True(t, w.IsWild())
		}
	})
}

func ExampleParse() {
	for _, s := range []string{"/chat/demo/", "/chat/*", "/*/demo", "chat"} {
		name, err := channels.Parse(s)
		fmt.Printf("%q %v\n", name, err)
	}
	// Output:
	// "/chat/demo" <nil>
	// "/chat/*" <nil>
	// "" channel name has an empty segment, a wildcard before its last segment or one with a template
	// "" channel name has an invalid character, no leading slash or no segment
}

func ExampleName_Wilds() {
	fmt.Println(channels.Name("/chat/demo").Wilds())
	// Output: [/** /chat/** /chat/*]
}

func BenchmarkParse(b *testing.B) {
	for _, s := range []string{"/a", "/chat/room/12345", "/some/rather/long/channel/name/of/seven/**"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := channels.Parse(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWilds(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = channels.Name("/chat/room/12345").Wilds()
	}
}
