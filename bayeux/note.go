package bayeux

// note is one of the notes on a message.
type note struct {
	key, value any
	next       *note
}

// SetNote leaves a note on the message for whoever handles it later in this
// process; it never leaves on the wire. What Incoming notes on m.Reply() is
// there when the reply comes to Outgoing, after a hold too. Keys are of a type
// of their own, as those of context.WithValue. A note lives as long as its
// message, so it should be small and not refer to the request.
func (m *Message) SetNote(key, value any) {
	m.notes = &note{key, value, m.notes}
}

// Note returns the last note with that key, nil if there is none.
func (m *Message) Note(key any) any {
	for n := m.notes; n != nil; n = n.next {
		if n.key == key {
			return n.value
		}
	}
	return nil
}
