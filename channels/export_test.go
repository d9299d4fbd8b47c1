package channels

// Branches counts the segments that the tree keeps, to see that it prunes.
func (t *Tree[T]) Branches() int { return t.root.count() }

func (b *branch[T]) count() int {
	n := len(b.below)
	for _, next := range b.below {
		n += next.count()
	}
	return n
}
