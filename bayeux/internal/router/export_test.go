package router

// Limits at which the structures change, for tests to go beyond.
const (
	ScanLimit  = scanLimit
	MergeLimit = mergeLimit
)

// Wildcards returns the sum of the counts of wildcard channels.
func (r *Router[T]) Wildcards() (count int32) {
	for i := range levels {
		count += r.deepAt[i].Load() + r.shallowAt[i].Load()
	}
	return count
}
