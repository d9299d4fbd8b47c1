package bayeux

import (
	"math"
	"strconv"
	"time"
)

// ClientAdvice is what a client's connect says of its own times.
type ClientAdvice struct {
	// Present tells that the message has an advice object, be it empty; the
	// reply then carries the full advice ([R-AD-1]).
	Present bool
	// Timeout is how long this connect may be held, 0 not at all ([R-CN-6]).
	// It is -1 when absent or negative: the server's value counts.
	Timeout time.Duration
	// Interval is how long the client is going to wait before its next connect
	// ([R-CN-14]). It is -1 when absent or negative.
	Interval time.Duration
}

// longest is the largest time taken from a client, some 73 years: a few such
// times still add up without overflow.
const longest = (1 << 61) / 1_000_000 * time.Millisecond

// ParseAdvice reads the advice object of a client. Nil and null are absent.
// Times are milliseconds; fractions are cut off, huge values are taken as some
// 73 years. The error, a *DecodeError, says that raw is no object or that a time
// is no number ([R-MSG-11]); both times are then -1.
func ParseAdvice(raw Raw) (ClientAdvice, error) {
	none := ClientAdvice{Timeout: -1, Interval: -1}
	if present(raw) == nil {
		return none, nil
	}
	a := none
	a.Present = true
	err := eachMember(raw, func(m member) *DecodeError {
		var field *time.Duration
		switch string(m.key) {
		case "timeout":
			field = &a.Timeout
		case "interval":
			field = &a.Interval
		default:
			return nil
		}
		switch c := m.value[0]; {
		case c == 'n':
			*field = -1
		case c == '-' || digit(c):
			*field = millis(m.value)
		default:
			return &DecodeError{Kind: DecodeShape, Offset: m.at, Text: "number expected"}
		}
		return nil
	})
	if err != nil {
		return none, err
	}
	return a, nil
}

// millis reads a JSON number as milliseconds, -1 if negative.
func millis(number Raw) time.Duration {
	f, _ := strconv.ParseFloat(string(number), 64) // A range error gives an infinity, or zero.
	switch f = math.Trunc(f); {
	case f < 0:
		return -1
	case f >= float64(longest/time.Millisecond):
		return longest
	}
	return time.Duration(f) * time.Millisecond
}

// ClientAdvice returns the message's advice as ParseAdvice reads it. Advice
// that ParseAdvice refuses counts as absent; Decode lets none through.
func (m *Message) ClientAdvice() ClientAdvice {
	a, _ := ParseAdvice(m.Advice)
	return a
}

// SetAdviceTimeout sets advice.timeout and keeps the advice's other members. A
// negative d is written as -1, no time of the client's own.
func (m *Message) SetAdviceTimeout(d time.Duration) {
	ms := int64(-1)
	if d >= 0 {
		ms = d.Milliseconds()
	}
	m.Advice = setMember(m.Advice, "timeout", strconv.AppendInt(nil, ms, 10))
}
