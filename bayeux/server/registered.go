package server

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/halleypush/halley/channels"
)

// registered are things that server code has registered and may take back. Its
// lock is a leaf: nothing is called while it is held.
type registered[T any] struct {
	mu   sync.Mutex
	list []*T
	size atomic.Int64
}

// add registers one. The returned function takes it back; it is idempotent.
func (r *registered[T]) add(v *T) (remove func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(slices.Clip(r.list), v)
	r.size.Store(int64(len(r.list)))
	return func() { r.remove(v) }
}

func (r *registered[T]) remove(v *T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(slices.Clone(r.list), func(x *T) bool { return x == v })
	r.size.Store(int64(len(r.list)))
}

// all returns them in the order in which they came.
func (r *registered[T]) all() []*T {
	if r.size.Load() == 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}

// attached are things that server code has attached to channels, wildcards or
// templates. Its lock is a leaf: nothing is called while it is held.
type attached[T any] struct {
	mu    sync.RWMutex
	table channels.Table[T]
	size  atomic.Int64
}

// add attaches one. The returned function takes it back; it is idempotent.
func (a *attached[T]) add(t channels.Template, v T) (remove func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.table.Add(t, v)
	a.size.Store(int64(a.table.Len()))
	return func() { a.remove(e) }
}

func (a *attached[T]) remove(e *channels.Entry[T]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.table.Remove(e)
	a.size.Store(int64(a.table.Len()))
}

// match returns those of a channel, in the order of channels.Table.
func (a *attached[T]) match(n channels.Name) []*channels.Entry[T] {
	if a.size.Load() == 0 {
		return nil
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.table.Match(n)
}
