package front

// class is a set of bytes.
type class byte

const (
	// classToken is what names of fields are made of (RFC 9110, 5.6.2).
	classToken class = 1 << iota
	// classValue is visible ASCII, the blank and the tabulator.
	classValue
	// classHost is what a host and its port are made of.
	classHost
	// classPath are the unreserved characters of RFC 3986 and the slash.
	classPath
	// classQuery is what queries are made of, percent signs included.
	classQuery
)

// classes has the classes of each byte of ASCII; others are in none. A test
// has them in words.
const classes = "" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x02\x13\x02\x03\x13\x13\x13\x13\x12\x12\x13\x13\x12\x1f\x1f\x1a" +
	"\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x16\x12\x02\x12\x02\x12" +
	"\x12\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f" +
	"\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x06\x02\x06\x03\x1f" +
	"\x03\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f" +
	"\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x02\x03\x02\x1b\x00"

// all tells whether all bytes are of that class.
func all(p []byte, c class) bool {
	for _, b := range p {
		if int(b) >= len(classes) || class(classes[b])&c == 0 {
			return false
		}
	}
	return true
}
