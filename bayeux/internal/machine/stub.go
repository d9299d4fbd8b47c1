package machine

import (
	"strings"

	"github.com/halleypush/halley/bayeux"
)

// stub is the reply to a held connect, as small as it can be: nearly always
// nothing is in it yet but the id.
type stub struct {
	id   string
	full *bayeux.Message // not nil: there is more
	has  bool            // there is an id
}

func pack(reply *bayeux.Message) stub {
	if !reply.Bare() || reply.Channel != metaConnect {
		return stub{full: reply}
	}
	// What it was read from is not to be kept for the id.
	return stub{id: strings.Clone(reply.ID), has: reply.HasID}
}

func (s stub) unpack() *bayeux.Message {
	if s.full != nil {
		return s.full
	}
	return &bayeux.Message{Channel: metaConnect, HasChannel: true, ID: s.id, HasID: s.has}
}
