package bayeux

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type noteKey int

// The last note of a key counts, replies have notes of their own, and none is
// on the wire.
func TestNotes(t *testing.T) {
	m := &Message{Channel: "/a"}
	require.Nil(t, m.Note(noteKey(1)))
	m.SetNote(noteKey(1), "one")
	m.SetNote(noteKey(2), 2)
	m.SetNote(noteKey(1), "uno")
	require.Equal(t, "uno", m.Note(noteKey(1)))
	require.Equal(t, 2, m.Note(noteKey(2)))
	require.Nil(t, m.Note(1), "the type is part of the key")
	require.Nil(t, m.Reply().Note(noteKey(1)))
	require.Nil(t, m.Broadcast(false).Note(noteKey(1)))
	require.JSONEq(t, `{"channel":"/a"}`, string(AppendMessage(nil, m)))

	shared := m.Share()
	shared.Edit().SetNote(noteKey(1), "own")
	require.Equal(t, "uno", shared.Note(noteKey(1)))
	require.Equal(t, "own", shared.Edited().Note(noteKey(1)))
}
