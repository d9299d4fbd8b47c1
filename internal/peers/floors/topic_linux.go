package floors

import "slices"

// topic is a channel and who hears it: connections of WebSocket, sessions of
// LongPolling.
type topic struct {
	name     string
	conns    []*conn
	sessions []*session
}

// topics are the channels by their names in quotes. A channel goes with its
// last subscriber.
type topics map[string]*topic

func (t topics) get(name []byte) *topic {
	if found := t[string(name)]; found != nil {
		return found
	}
	made := &topic{name: string(name)}
	t[made.name] = made
	return made
}

func (t topics) prune(x *topic) {
	if len(x.conns)+len(x.sessions) == 0 {
		delete(t, x.name)
	}
}

// without removes an element in no time and no order.
func without[T comparable](all []T, one T) []T {
	i := slices.Index(all, one)
	if i < 0 {
		return all
	}
	var zero T
	last := len(all) - 1
	all[i], all[last] = all[last], zero
	return all[:last]
}
