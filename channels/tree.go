package channels

import (
	"iter"
	"strings"
)

// Tree maps channel names, wildcards included, to sets of values, and finds the
// values whose name matches a channel. It is written to be plainly right rather
// than fast: other structures are checked against it. The zero Tree is empty
// and ready for use. It is not safe for concurrent use.
type Tree[T comparable] struct {
	root branch[T]
	size int
}

// branch is one segment of the tree: what is registered under the name that
// ends here, and the segments that follow. Wildcards are segments like others.
type branch[T comparable] struct {
	values map[T]struct{}
	below  map[string]*branch[T]
}

// Add registers v under n and tells whether it was not there before. The zero
// Name takes nothing.
func (t *Tree[T]) Add(n Name, v T) bool {
	if n == "" {
		return false
	}
	b := &t.root
	for segment := range strings.SplitSeq(string(n[1:]), "/") {
		next := b.below[segment]
		if next == nil {
			if b.below == nil {
				b.below = make(map[string]*branch[T])
			}
			next = new(branch[T])
			b.below[segment] = next
		}
		b = next
	}
	if _, known := b.values[v]; known {
		return false
	}
	if b.values == nil {
		b.values = make(map[T]struct{})
	}
	b.values[v] = struct{}{}
	t.size++
	return true
}

// Remove takes v away from n and tells whether it was there. Segments that
// nothing needs any more are dropped.
func (t *Tree[T]) Remove(n Name, v T) bool {
	if n == "" || !t.root.remove(string(n[1:]), v) {
		return false
	}
	t.size--
	return true
}

func (b *branch[T]) remove(path string, v T) bool {
	segment, rest, more := strings.Cut(path, "/")
	next := b.below[segment]
	if next == nil {
		return false
	}
	if more {
		if !next.remove(rest, v) {
			return false
		}
	} else {
		if _, known := next.values[v]; !known {
			return false
		}
		delete(next.values, v)
	}
	if len(next.values) == 0 && len(next.below) == 0 {
		delete(b.below, segment)
	}
	return true
}

// Len returns the number of registered pairs of name and value.
func (t *Tree[T]) Len() int { return t.size }

// Match yields the values registered under n and under the names of n.Wilds,
// each value once ([R-PB-9]), from /** down to n itself ([R-PB-10]); the order
// of the values of one name is undefined. The tree must not change meanwhile.
func (t *Tree[T]) Match(n Name) iter.Seq[T] {
	return func(yield func(T) bool) {
		sets := t.sets(n)
		for i, set := range sets {
			for v := range set {
				if !contained(sets[:i], v) && !yield(v) {
					return
				}
			}
		}
	}
}

// sets returns the non-empty sets that match n, the outermost first.
func (t *Tree[T]) sets(n Name) []map[T]struct{} {
	if n == "" {
		return nil
	}
	var out []map[T]struct{}
	take := func(b *branch[T]) {
		if b != nil && len(b.values) > 0 {
			out = append(out, b.values)
		}
	}
	b := &t.root
	for path := string(n[1:]); b != nil; {
		segment, rest, more := strings.Cut(path, "/")
		if segment != deep {
			take(b.below[deep])
		}
		if !more {
			if !n.IsWild() {
				take(b.below[shallow])
			}
			take(b.below[segment])
			break
		}
		b, path = b.below[segment], rest
	}
	return out
}

func contained[T comparable](sets []map[T]struct{}, v T) bool {
	for _, set := range sets {
		if _, ok := set[v]; ok {
			return true
		}
	}
	return false
}
