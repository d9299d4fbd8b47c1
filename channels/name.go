package channels

import (
	"errors"
	"strings"
)

// Prefixes of the reserved channel spaces. They are recognised with their
// trailing slash only, and with case: "/meta" alone is a broadcast channel
// ([R-MSG-13]).
const (
	MetaPrefix    = "/meta/"
	ServicePrefix = "/service/"
)

// Last segments that make a name a wildcard ([R-SB-10]).
const (
	shallow = "*"
	deep    = "**"
)

// Errors that Parse and Check return.
var (
	// ErrCharacters says that a name is too short, lacks its leading slash or
	// has a character outside the channel alphabet ([R-MSG-8]).
	ErrCharacters = errors.New("channel name has an invalid character, no leading slash or no segment")
	// ErrStructure says that the characters are fine but the segments are not:
	// an empty or blank one, a wildcard before the last, a wildcard together
	// with a template such as {id} ([R-MSG-10]).
	ErrStructure = errors.New("channel name has an empty segment, a wildcard before its last segment or one with a template")
)

// Name is a valid, normalised channel name: no trailing slash, no trailing
// blank, no empty segment, a wildcard only as the last segment. The zero value
// is no channel. Make one with Parse; a conversion from a constant that is
// known to be valid is fine.
type Name string

// Check tells whether the characters of s may form a channel name, before any
// normalisation ([R-MSG-8]). It returns nil or ErrCharacters.
func Check(s string) error {
	if len(s) < 2 || s[0] != '/' {
		return ErrCharacters
	}
	for i := 1; i < len(s); i++ {
		if !allowed(s[i]) {
			return ErrCharacters
		}
	}
	return nil
}

// Parse checks and normalises a channel name: one trailing slash and the blanks
// around it are removed ([R-MSG-12]). A blank before the leading slash is an
// invalid character ([R-MSG-8]). Template segments such as {id} are literal
// ([R-SB-11]). It returns ErrCharacters, ErrStructure or nil, does not allocate,
// and gives back unchanged what it gave before. The name shares the memory of s.
func Parse(s string) (Name, error) {
	if err := Check(s); err != nil {
		return "", err
	}
	s = trimBlanks(s)
	if s[len(s)-1] == '/' {
		s = trimBlanks(s[:len(s)-1])
	}
	if !structured(s) {
		return "", ErrStructure
	}
	return Name(s), nil
}

// IsMeta tells whether the channel is below /meta/ ([R-MSG-13]).
func (n Name) IsMeta() bool { return strings.HasPrefix(string(n), MetaPrefix) }

// IsService tells whether the channel is below /service/ ([R-MSG-13]).
func (n Name) IsService() bool { return strings.HasPrefix(string(n), ServicePrefix) }

// IsBroadcast tells whether the channel is neither meta nor service.
func (n Name) IsBroadcast() bool { return n != "" && !n.IsMeta() && !n.IsService() }

// IsWild tells whether the last segment is "*" or "**".
func (n Name) IsWild() bool {
	return strings.HasSuffix(string(n), "/"+shallow) || n.IsDeepWild()
}

// IsDeepWild tells whether the last segment is "**".
func (n Name) IsDeepWild() bool { return strings.HasSuffix(string(n), "/"+deep) }

// Segments returns the number of segments: 2 for /chat/demo.
func (n Name) Segments() int { return strings.Count(string(n), "/") }

// Wilds returns the wildcard channels that match n, from /** inwards; the last
// of them is the shallow one ([R-PB-10]). A shallow wildcard channel is matched
// by the deep ones that cover it, a deep one by the deep ones above it
// ([R-PB-8]). There are none below a template segment, for no wildcard channel
// can be there. The reserved spaces are no exception: /** is among the wilds of
// /service/echo, though nothing is broadcast there. Each call allocates.
func (n Name) Wilds() []Name {
	if n == "" {
		return nil
	}
	s := string(n)
	out := make([]Name, 0, n.Segments()+1)
	for start := 1; ; {
		head := s[:start]
		segment, _, more := strings.Cut(s[start:], "/")
		if segment != deep {
			out = append(out, Name(head+deep))
		}
		if !more {
			if segment != deep && segment != shallow {
				out = append(out, Name(head+shallow))
			}
			return out
		}
		if template(segment) {
			return out
		}
		start += len(segment) + 1
	}
}

// structured tells whether s, a slash and then normalised characters, is a
// sequence of valid segments ([R-MSG-10]).
func structured(s string) bool {
	if s == "" {
		return false
	}
	templates := false
	for rest := s[1:]; ; {
		segment, next, more := strings.Cut(rest, "/")
		switch {
		case segment == "" || segment[0] == ' ' && trimBlanks(segment) == "":
			return false
		case segment == shallow || segment == deep:
			return !more && !templates
		case template(segment):
			templates = true
		}
		if !more {
			return true
		}
		rest = next
	}
}

// template tells whether a segment is a variable of letters, digits and
// underscores in braces.
func template(segment string) bool {
	last := len(segment) - 1
	if last < 2 || segment[0] != '{' || segment[last] != '}' {
		return false
	}
	for i := 1; i < last; i++ {
		c := segment[i]
		if c != '_' && !alphanumeric(c) {
			return false
		}
	}
	return true
}

func trimBlanks(s string) string {
	for s != "" && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// allowed tells whether c is in the alphabet of channel names ([R-MSG-8]).
func allowed(c byte) bool {
	const (
		digits  = (1<<10 - 1) << '0'
		signs   = 1<<' ' | 1<<'!' | 1<<'#' | 1<<'$' | 1<<'(' | 1<<')' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.' | 1<<'/'
		letters = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64)
		marks   = 1<<('@'-64) | 1<<('_'-64) | 1<<('{'-64) | 1<<('}'-64) | 1<<('~'-64)
	)
	// A shift by 64 or more gives 0, so each half of the table answers for its
	// own characters only.
	return uint64(digits|signs)>>c&1 != 0 || c >= 64 && uint64(letters|marks)>>(c-64)&1 != 0
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
