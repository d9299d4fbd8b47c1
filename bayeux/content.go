package bayeux

// Content is what server code sends that is more than data: Deliver, Publish
// and their like, given one, let it fill in the message. See
// extensions/binary, which marks its data in ext.
type Content interface {
	// Fill sets the data, and whatever else belongs to it, of a message that
	// has a channel only.
	Fill(m *Message) error
}
