package bayeux

// ParseSubscription reads the field subscription of a subscribe or unsubscribe:
// one channel name or an array of them, as the client spelt them; array tells
// which. The names are still to be checked by channels.Parse.
//
// A missing or null field gives ErrSubscriptionMissing. Anything that is
// neither a string nor an array of strings gives ErrSubscriptionInvalid
// ([R-SB-2]), and so does an empty array ([R-SB-4]).
func ParseSubscription(raw Raw) (names []string, array bool, err *Error) {
	s := scanner{src: raw, max: -1}
	c, start := s.peek(), s.pos
	switch {
	case present(raw[start:]) == nil:
		return nil, false, ErrSubscriptionMissing
	case c == '"':
		if s.quoted() != nil {
			return nil, false, ErrSubscriptionInvalid
		}
		name := unquote(raw[start:s.pos])
		if s.end() != nil {
			return nil, false, ErrSubscriptionInvalid
		}
		return []string{string(name)}, false, nil
	case c != '[':
		return nil, false, ErrSubscriptionInvalid
	}
	names, ok := s.names()
	if !ok || len(names) == 0 || s.end() != nil {
		return nil, true, ErrSubscriptionInvalid
	}
	return names, true, nil
}

// names reads the array of strings at the position; ok is false if it is
// anything else.
func (s *scanner) names() (names []string, ok bool) {
	_ = s.open(false) // No limit, no error.
	for s.peek() == '"' {
		start := s.pos
		if s.quoted() != nil {
			return nil, false
		}
		names = append(names, string(unquote(s.src[start:s.pos])))
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.close()
			return names, true
		default:
			return nil, false
		}
	}
	return nil, false
}
