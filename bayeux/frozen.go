package bayeux

import (
	"strings"
	"sync/atomic"

	"github.com/halleypush/halley/channels"
)

// Frozen is a message encoded once and shared by all who receive it
// ([R-PB-13]). It is immutable and safe for concurrent use.
type Frozen struct {
	// JSON is the encoded object.
	JSON []byte
	// Channel is the broadcast channel whose newer messages may replace this one
	// under SlowConflate. Empty for meta and service channels: what is sent
	// there stands for itself, the results of remote calls for example.
	Channel string

	forms [2]atomic.Pointer[[]byte]
	refs  atomic.Int64
}

// Form names a prepared form of a frozen message.
type Form int

// Forms that carriers prepare: a whole WebSocket frame that holds [message],
// plain and compressed without context.
const (
	FormFrame Form = iota
	FormDeflated
)

// Freeze encodes m.
func Freeze(m *Message) *Frozen {
	f := &Frozen{JSON: AppendMessage(make([]byte, 0, m.size()), m)}
	if !strings.HasPrefix(m.Channel, channels.MetaPrefix) && !strings.HasPrefix(m.Channel, channels.ServicePrefix) {
		f.Channel = m.Channel
	}
	return f
}

// Form returns the prepared form, building it at the first call. Several
// goroutines may build at once; one result is kept, so build must be pure.
func (f *Frozen) Form(form Form, build func(json []byte) []byte) []byte {
	if p := f.forms[form].Load(); p != nil {
		return *p
	}
	b := build(f.JSON)
	f.forms[form].CompareAndSwap(nil, &b)
	return *f.forms[form].Load()
}

// Retain counts one more queue that holds the message and reports whether it
// is the first. Release is its counterpart and reports whether it was the
// last. Queues use them to count a shared message once in their total.
func (f *Frozen) Retain() bool { return f.refs.Add(1) == 1 }

// Release drops one reference; see Retain.
func (f *Frozen) Release() bool { return f.refs.Add(-1) == 0 }
