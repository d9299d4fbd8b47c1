package channels

import (
	"cmp"
	"slices"
	"strings"
)

// Entry is a value in a Table, and the template that it is under.
type Entry[T any] struct {
	Template

	Value T
}

// Table maps templates to values, several to one template if need be. It finds
// those that match a name in the order in which server code is asked: the
// wildcards from /** inwards ([R-PB-10]), then templates with parameters, those
// with more before those with fewer, then the name itself; values of one
// template in the order in which they came.
//
// The cost of Match grows with the segments of the name and with the templates
// that match it, not with the size of the table. The zero Table is empty and
// ready. It is not safe for concurrent use.
type Table[T any] struct {
	root stem[T]
	size int
	// bound is the number of values under templates with parameters.
	bound int
}

// stem is a path of segments: what is registered under it, and what follows.
type stem[T any] struct {
	entries []*Entry[T]
	below   map[string]*stem[T]
	param   *stem[T] // below a parameter, whatever its name
}

func (s *stem[T]) empty() bool { return len(s.entries) == 0 && len(s.below) == 0 && s.param == nil }

// next returns the stem of one segment more, nil if there is none.
func (s *stem[T]) next(segment string) *stem[T] {
	if template(segment) {
		return s.param
	}
	return s.below[segment]
}

// Add registers a value. The zero Template takes none and returns nil.
func (t *Table[T]) Add(tm Template, value T) *Entry[T] {
	if tm.Name() == "" {
		return nil
	}
	s := &t.root
	for segment := range strings.SplitSeq(string(tm.Name()[1:]), "/") {
		next := s.next(segment)
		if next == nil {
			next = new(stem[T])
			switch {
			case template(segment):
				s.param = next
			case s.below == nil:
				s.below = map[string]*stem[T]{segment: next}
			default:
				s.below[segment] = next
			}
		}
		s = next
	}
	e := &Entry[T]{tm, value}
	s.entries = append(slices.Clip(s.entries), e)
	t.size++
	if tm.params > 0 {
		t.bound++
	}
	return e
}

// Remove takes away what Add returned, and tells whether it was there.
func (t *Table[T]) Remove(e *Entry[T]) bool {
	if e == nil || !t.root.remove(string(e.Name()[1:]), e) {
		return false
	}
	t.size--
	if e.params > 0 {
		t.bound--
	}
	return true
}

func (s *stem[T]) remove(path string, e *Entry[T]) bool {
	segment, rest, more := strings.Cut(path, "/")
	next := s.next(segment)
	if next == nil {
		return false
	}
	if more {
		if !next.remove(rest, e) {
			return false
		}
	} else {
		at := slices.Index(next.entries, e)
		if at < 0 {
			return false
		}
		next.entries = slices.Concat(next.entries[:at], next.entries[at+1:]) // readers may have the old one
	}
	if next.empty() {
		if template(segment) {
			s.param = nil
		} else {
			delete(s.below, segment)
		}
	}
	return true
}

// Len returns the number of values.
func (t *Table[T]) Len() int { return t.size }

// All returns all entries, in no order.
func (t *Table[T]) All() []*Entry[T] { return t.root.all(nil) }

func (s *stem[T]) all(out []*Entry[T]) []*Entry[T] {
	out = append(out, s.entries...)
	for _, next := range s.below {
		out = next.all(out)
	}
	if s.param != nil {
		out = s.param.all(out)
	}
	return out
}

// Match returns the entries whose template matches n, in the order told above.
// The slice is the caller's.
func (t *Table[T]) Match(n Name) []*Entry[T] {
	if n == "" || t.size == 0 {
		return nil
	}
	out, own := t.root.wilds(n)
	if t.bound > 0 {
		from := len(out)
		out = t.root.params(string(n[1:]), false, out)
		slices.SortStableFunc(out[from:], func(a, b *Entry[T]) int { return cmp.Compare(b.params, a.params) })
	}
	return append(out, own...)
}

// wilds returns what wildcards match n, and what is under n itself.
func (s *stem[T]) wilds(n Name) (out, own []*Entry[T]) {
	for path := string(n[1:]); ; {
		segment, rest, more := strings.Cut(path, "/")
		if segment != deep {
			out = append(out, s.under(deep)...)
		}
		if !more {
			if !n.IsWild() {
				out = append(out, s.under(shallow)...)
			}
			return out, s.under(segment)
		}
		if s = s.below[segment]; s == nil {
			return out, nil
		}
		path = rest
	}
}

func (s *stem[T]) under(segment string) []*Entry[T] {
	if next := s.below[segment]; next != nil {
		return next.entries
	}
	return nil
}

// params appends what matches the path by one parameter or more; taken tells
// that there was one already. The parameter that comes earlier goes first.
func (s *stem[T]) params(path string, taken bool, out []*Entry[T]) []*Entry[T] {
	segment, rest, more := strings.Cut(path, "/")
	if s.param != nil && segment != shallow && segment != deep {
		if more {
			out = s.param.params(rest, true, out)
		} else {
			out = append(out, s.param.entries...)
		}
	}
	next := s.below[segment]
	switch {
	case next == nil:
	case more:
		out = next.params(rest, taken, out)
	case taken:
		out = append(out, next.entries...)
	}
	return out
}
