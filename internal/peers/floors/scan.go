package floors

// message is what a floor reads of a message: parts of the input, strings with
// their quotes; nil for what is not there.
type message struct {
	channel, clientID, id, subscription, data, advice []byte
}

// scan returns the first object of b and what follows it. It is not a parser:
// input that is not JSON gives nonsense or ok false.
func scan(b []byte) (m message, rest []byte, ok bool) {
	i := 0
	for i < len(b) && b[i] != '{' {
		i++
	}
	for i++; i < len(b); {
		switch b[i] {
		case '}':
			return m, b[i+1:], true
		case '"':
			key := value(b[i:])
			i += len(key)
			for i < len(b) && (b[i] == ':' || b[i] == ' ') {
				i++
			}
			v := value(b[min(i, len(b)):])
			if len(v) == 0 {
				return m, nil, false
			}
			m.set(key, v)
			i += len(v)
		default:
			i++
		}
	}
	return m, nil, false
}

func (m *message) set(key, v []byte) {
	switch string(key) {
	case `"channel"`:
		m.channel = v
	case `"clientId"`:
		m.clientID = v
	case `"id"`:
		m.id = v
	case `"subscription"`:
		m.subscription = v
	case `"data"`:
		m.data = v
	case `"advice"`:
		m.advice = v
	}
}

// value returns the JSON value that b begins with, all of b if it has no end.
func value(b []byte) []byte {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += quoted(b[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return b[:i]
			}
			depth--
		case ',':
			if depth == 0 {
				return b[:i]
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return b[:i+1]
		}
	}
	return b
}

// quoted returns the length of the string that b begins with.
func quoted(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}
