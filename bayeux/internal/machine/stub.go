package machine

import "github.com/halleypush/halley/bayeux"

// stub is the reply to a held connect, as small as it can be: nearly always
// nothing is in it yet but a short id.
type stub struct {
	full *bayeux.Message // not nil: there is more
	size uint8           // of the id, plus one; 0: there is none
	id   [15]byte
}

func pack(reply *bayeux.Message) stub {
	s := stub{}
	if !reply.Bare() || reply.Channel != metaConnect || len(reply.ID) > len(s.id) {
		return stub{full: reply.Detached()}
	}
	if reply.HasID || reply.ID != "" {
		s.size = uint8(copy(s.id[:], reply.ID)) + 1 //nolint:gosec // at most 16
	}
	return s
}

// unpack returns the reply, successful.
func (s *stub) unpack() *bayeux.Message {
	if s.full != nil {
		return s.full.Succeed(true)
	}
	if s.size == 0 {
		return bayeux.LateReply(metaConnect, "", false)
	}
	return bayeux.LateReply(metaConnect, string(s.id[:s.size-1]), true)
}
