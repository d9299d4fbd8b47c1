package channels

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func mustTemplate(t testing.TB, s string) Template {
	t.Helper()
	tm, err := ParseTemplate(s)
	require.NoError(t, err, s)
	return tm
}

func TestTemplate(t *testing.T) {
	for _, c := range []struct {
		template, name string
		matches        bool
		params         map[string]string
	}{
		{"/room/{id}", "/room/7", true, map[string]string{"id": "7"}},
		{"/room/{id}", "/room/{id}", true, map[string]string{"id": "{id}"}}, // literal on the wire [R-SB-11]
		{"/room/{id}", "/room/{x}", true, map[string]string{"id": "{x}"}},
		{"/room/{id}", "/room", false, nil},
		{"/room/{id}", "/room/7/x", false, nil},
		{"/room/{id}", "/rooms/7", false, nil},
		{"/room/{id}", "/room/*", false, nil},
		{"/room/{id}", "/room/**", false, nil},
		{"/room/{id}/of/{house}", "/room/7/of/green house", true, map[string]string{"id": "7", "house": "green house"}},
		{"/room/{id}/of/{house}", "/room/7/in/b", false, nil},
		{"/{a}", "/x", true, map[string]string{"a": "x"}},
		{"/{a}", "/**", false, nil},
		{"/a/*", "/a/b", true, map[string]string{Wild: "b"}},
		{"/a/*", "/a/b/c", false, nil},
		{"/a/*", "/a/*", true, map[string]string{Wild: "*"}},
		{"/a/**", "/a/b/c", true, map[string]string{Wild: "b/c"}},
		{"/**", "/a", true, map[string]string{Wild: "a"}},
		{"/a/b", "/a/b", true, nil},
		{"/a/b", "/a/c", false, nil},
		{"/a/b/ ", "/a/b", true, nil}, // normalised
	} {
		tm, n := mustTemplate(t, c.template), Name(c.name)
		require.Equal(t, c.matches, tm.Matches(n), "%s %s", c.template, c.name)
		require.Equal(t, strings.ContainsAny(c.template, "{*"), tm.Bound(), c.template)
		for _, param := range []string{"id", "house", "a", Wild, "", "{id}"} {
			want, has := c.params[param]
			got, ok := tm.Param(n, param)
			require.Equal(t, has, ok, "%s %s %s", c.template, c.name, param)
			require.Equal(t, want, got, "%s %s %s", c.template, c.name, param)
		}
	}
	require.False(t, Template{}.Matches(""))
	require.False(t, Template{}.Matches("/a"))
	require.False(t, mustTemplate(t, "/{a}").Matches(""))
	for s, want := range map[string]error{
		"a": ErrCharacters, "/a//b": ErrStructure, "/{a}/*": ErrStructure, "/{a}/b/{a}": ErrParameter,
	} {
		_, err := ParseTemplate(s)
		require.ErrorIs(t, err, want, s)
	}
}

// The order in which listeners are asked.
func TestTableOrder(t *testing.T) {
	var table Table[int]
	order := []string{
		"/**", "/a/**", "/a/b/**", "/a/b/*", "/{x}/{y}/{z}", "/{x}/b/{y}", "/{x}/b/c", "/a/{x}/c", "/a/b/{x}", "/a/b/c", "/a/b/c",
	}
	for i, at := range rand.Perm(len(order)) {
		table.Add(mustTemplate(t, order[at]), i)
	}
	for _, other := range []string{"/a/b", "/a/b/c/d", "/a/*", "/a/b/c/*", "/x/{y}/c", "/{x}"} {
		table.Add(mustTemplate(t, other), -1)
	}
	require.Equal(t, len(order)+6, table.Len())
	var got []string
	last := -1
	for _, e := range table.Match("/a/b/c") {
		got = append(got, string(e.Name()))
		if e.Name() == "/a/b/c" { // those of one name: in the order of coming
			require.Greater(t, e.Value, last)
			last = e.Value
		}
	}
	require.Equal(t, order, got)
	require.Nil(t, table.Add(Template{}, 1))
	require.Nil(t, table.Match(""))
	require.False(t, table.Remove(nil))
}

// rank says where an entry stands among those that match n; less is earlier.
func rank(e *Entry[int], n Name) []int {
	if at := slices.Index(n.Wilds(), e.Name()); at >= 0 {
		return []int{0, at}
	}
	if e.params == 0 {
		return []int{2}
	}
	places := []int{1, -e.params}
	for segment := range strings.SplitSeq(string(e.Name()[1:]), "/") {
		places = append(places, map[bool]int{true: 0, false: 1}[template(segment)])
	}
	return places
}

// TestTableAgainstModel plays random changes on a table and on a plain list.
func TestTableAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	segments := []string{"a", "b", "{x}", "{y}", "a{x}"}
	random := func(wilds bool) Template {
		for {
			var s strings.Builder
			for range 1 + r.IntN(4) {
				s.WriteString("/" + segments[r.IntN(len(segments))])
			}
			if wilds {
				s.WriteString([]string{"", "", "/*", "/**"}[r.IntN(4)])
			}
			if tm, err := ParseTemplate(s.String()); err == nil {
				return tm
			}
		}
	}
	for range 200 {
		var table Table[int]
		var model []*Entry[int]
		for i := range 60 {
			if len(model) > 0 && r.IntN(3) == 0 {
				at := r.IntN(len(model))
				require.True(t, table.Remove(model[at]))
				require.False(t, table.Remove(model[at]))
				model = slices.Delete(model, at, at+1)
			} else {
				model = append(model, table.Add(random(true), i))
			}
			n := random(r.IntN(4) == 0).Name()
			var want []*Entry[int]
			for _, e := range model {
				if e.Matches(n) {
					want = append(want, e)
				}
			}
			slices.SortStableFunc(want, func(a, b *Entry[int]) int {
				return cmp.Or(slices.Compare(rank(a, n), rank(b, n)), cmp.Compare(a.Value, b.Value))
			})
			got := table.Match(n)
			require.True(t, slices.Equal(want, got), "%s: want %v, got %v", n, want, got)
			require.Equal(t, len(model), table.Len())
			require.ElementsMatch(t, model, table.All())
		}
		for _, e := range model {
			require.True(t, table.Remove(e))
		}
		require.True(t, table.root.empty(), "nothing is left of what was removed")
		require.Zero(t, table.bound)
	}
}

// A match that is being walked stays as it was.
func TestTableMatchIsOwn(t *testing.T) {
	var table Table[int]
	first := table.Add(mustTemplate(t, "/a"), 1)
	table.Add(mustTemplate(t, "/a"), 2)
	got := table.Match("/a")
	table.Remove(first)
	table.Add(mustTemplate(t, "/a"), 3)
	require.Equal(t, 1, got[0].Value)
	require.Equal(t, 2, got[1].Value)
	require.Len(t, got, 2)
}
