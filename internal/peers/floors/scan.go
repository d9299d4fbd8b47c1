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
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return b[:min(i+1, len(b))]
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return b[:i]
			}
			if depth == 0 {
				return b[:i+1]
			}
		case ',':
			if depth == 0 {
				return b[:i]
			}
		}
	}
	return b
}
