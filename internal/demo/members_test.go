package demo

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestComesBack has a page join in a new session before its old one is known to
// be gone: it stays who it was, and nobody meets himself.
func TestComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeServer) {
		old := f.add("s1")
		was := f.join(t, old, "Ann")
		require.NotEmpty(t, was.Key)
		back := f.add("s2")
		_, err := f.send(t, back, "/service/demo/join", fmt.Sprintf(`{"name":"Ann","key":%q}`, was.Key))
		require.NoError(t, err)
		is := back.got["/service/demo/join"][0].(welcome)
		require.Equal(t, was.You, is.You)
		require.Equal(t, was.Key, is.Key)
		f.end(old, "disconnect")
		other := f.add("s3")
		_, err = f.send(t, other, "/service/demo/join", `{"name":"Ann","key":"guessed"}`)
		require.NoError(t, err)
		var told []string
		for _, p := range f.on(membersChannel) {
			c := p.data.(change)
			told = append(told, fmt.Sprintf("%s %s %d", c.Kind, c.Who.Name, c.Count))
			text, err := json.Marshal(c)
			require.NoError(t, err)
			require.NotContains(t, string(text), was.Key, "the key is for its page alone")
		}
		require.Equal(t, []string{"join Ann 1", "stay Ann 1", "join Ann 2 2"}, told)
	})
}

// TestJoinOfTheDead has a session end before its join is carried out: nobody
// must stay who never leaves.
func TestJoinOfTheDead(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeServer) {
		dead := f.add("s1")
		delete(f.sessions, "s1")
		f.end(dead, "disconnect")
		_, err := f.send(t, dead, "/service/demo/join", `{"name":"x"}`)
		require.NoError(t, err)
		require.Empty(t, dead.got)
		require.Equal(t, 1, len(f.join(t, f.add("s2"), "y").Feed)/4)
		require.Equal(t, 1, f.on(membersChannel)[0].data.(change).Count)
	})
}

func TestManyMembers(t *testing.T) {
	ms := newMembers()
	var last change
	for i := range maxShown + 5 {
		_, last = ms.join(fmt.Sprint(i), "x", "")
	}
	require.Equal(t, maxShown+5, last.Count)
	require.Len(t, last.Members, maxShown)
	require.Equal(t, "x", last.Members[0].Name, "in the order of coming")
}
