package channels

import "strings"

// Pattern is a Name compiled for matching. The zero Pattern matches nothing.
type Pattern struct {
	name   Name
	prefix string // up to and including the slash before the wildcard; empty if exact
	deep   bool
}

// Compile returns the pattern of a name: a wildcard name matches the names below
// it, any other name itself only, braces included ([R-SB-11]).
func Compile(n Name) Pattern {
	p := Pattern{name: n}
	if n.IsWild() {
		p.prefix = string(n[:strings.LastIndexByte(string(n), '/')+1])
		p.deep = n.IsDeepWild()
	}
	return p
}

// Name returns the name that the pattern was compiled from.
func (p Pattern) Name() Name { return p.name }

// Matches tells whether what is published to n reaches the subscribers of the
// pattern: n is its name, or its name is among n.Wilds ([R-SB-10], [R-PB-8]).
// So /a/** matches the wildcard channel /a/*, while /a/* matches no other
// wildcard channel. It does not allocate.
func (p Pattern) Matches(n Name) bool {
	if n == p.name {
		return n != ""
	}
	if p.prefix == "" || len(n) <= len(p.prefix) || string(n[:len(p.prefix)]) != p.prefix {
		return false
	}
	if p.deep {
		return true
	}
	last := string(n[len(p.prefix):])
	return last != deep && strings.IndexByte(last, '/') < 0
}
