package bayeux

import (
	"cmp"
	"strings"

	"github.com/halleypush/halley/channels"
)

// Validate tells whether raw is one JSON value in valid UTF-8 with at most
// depth open brackets (0: 64, negative: any number). The error is a
// *DecodeError.
func Validate(raw Raw, depth int) error {
	if err := checkUTF8(raw); err != nil {
		return err
	}
	s := scanner{src: raw, max: cmp.Or(depth, defaultDepth)}
	err := s.value()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return err
	}
	return nil
}

// ValidID tells whether s may be the id of a message: letters and digits of
// ASCII, at least one ([R-MSG-6]).
func ValidID(s string) bool {
	for i := range len(s) {
		if c := s[i]; !digit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != ""
}

// Validate makes the first check of an incoming message, before its session is
// looked for ([R-MSG-9]): its Fault, its channel, its id. It returns nil if all
// is well. The channel may still need channels.Parse to be normalised.
func (m *Message) Validate(lim Limits) *Error {
	switch {
	case m.Fault != nil:
		return m.Fault // [R-MSG-11]
	case m.Channel == "" && !m.HasChannel:
		return ErrChannelMissing // [R-MSG-7]
	case !validChannel(m.Channel, lim.WithDefaults()):
		return ErrChannelInvalid
	case (m.HasID || m.ID != "") && !ValidID(m.ID):
		return ErrMessageIDInvalid // [R-MSG-6]
	}
	return nil
}

func validChannel(s string, lim Limits) bool {
	if lim.ChannelBytes >= 0 && len(s) > lim.ChannelBytes {
		return false
	}
	if lim.ChannelSegments >= 0 && strings.Count(s, "/") > lim.ChannelSegments+1 {
		return false // Not worth parsing; one slash more may be a trailing one.
	}
	name, err := channels.Parse(s) // [R-MSG-8, R-MSG-10]
	return err == nil && (lim.ChannelSegments < 0 || name.Segments() <= lim.ChannelSegments)
}
