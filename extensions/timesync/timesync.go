// Package timesync is the time synchronisation extension (WIRE 9b): a client
// learns the offset between its clock and the server's, and the lag of the
// network.
//
// A client that has it puts ext {"timesync": {"tc", "l", "o"}} into its meta
// messages: its clock when the message left, and the lag and offset it knows of.
// The reply brings {"tc", "ts", "p", "a"}: tc again, the server's clock when the
// message came, how long the server kept the message, and by how much the
// client was wrong. All are milliseconds. From these the client works out the
// lag as (now-tc-p)/2 and the offset as ts-tc-lag. A client that does not ask
// never notices the extension.
package timesync

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Name is the member of ext that the extension uses.
const Name = "timesync"

// Config configures the extension. The zero value is CometD's.
type Config struct {
	// Accuracy is how wrong a client may be, in whole milliseconds, before it
	// is told again. Zero means 25 ms; a negative value tells it each time.
	Accuracy time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Extension is the server's side of time synchronisation. It serves any number
// of sessions and is safe for concurrent use.
type Extension struct {
	accuracy int64 // milliseconds
	now      func() time.Time
}

var (
	_ bayeux.Extension = (*Extension)(nil)
	_ bayeux.Selective = (*Extension)(nil)
	_ bayeux.Prompt    = (*Extension)(nil)
)

// New returns the extension.
func New(c Config) *Extension {
	x := &Extension{accuracy: c.Accuracy.Milliseconds(), now: c.Now}
	if c.Accuracy == 0 {
		x.accuracy = 25
	}
	if x.now == nil {
		x.now = time.Now
	}
	return x
}

// question is what a client asked, noted on the reply until that leaves. Its
// numbers are milliseconds.
type question struct {
	received time.Time
	sent     int64 // by the client's clock
	lag      int64
	offset   int64
	knows    bool // the client has told lag and offset
}

// noteKey is the key of the note.
type noteKey struct{}

// Prompt implements bayeux.Prompt.
func (*Extension) Prompt() {}

// Concerns implements bayeux.Selective.
func (*Extension) Concerns(channel string) bool {
	return strings.HasPrefix(channel, channels.MetaPrefix)
}

// Incoming implements bayeux.Extension.
func (x *Extension) Incoming(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
	if !x.Concerns(m.Channel) {
		return nil
	}
	sync, ok := m.ExtMember(Name)
	if !ok {
		return nil
	}
	q, ok := read(sync)
	if !ok {
		return nil // the message itself is as good as any [R-TS-3]
	}
	q.received = x.now()
	m.Reply().SetNote(noteKey{}, q)
	if from != nil && q.knows {
		from.Attributes().Set(lagAttribute, time.Duration(q.lag)*time.Millisecond)
	}
	return nil
}

// read understands {"tc"}, and {"tc", "l", "o"}; nothing else is answered
// ([R-TS-3]).
func read(sync bayeux.Raw) (*question, bool) {
	q := &question{}
	var ok bool
	if q.sent, ok = number(sync, "tc"); !ok {
		return nil, false
	}
	if _, q.knows = bayeux.ExtMember(sync, "l"); !q.knows {
		return q, true // as clients of old [R-TS-2]
	}
	var lag, offset bool
	q.lag, lag = number(sync, "l")
	q.offset, offset = number(sync, "o")
	return q, lag && offset
}

// number returns a member that is a number of whole milliseconds; fractions are
// cut off. What a clock cannot be is none.
func number(sync bayeux.Raw, name string) (int64, bool) {
	const most = 1 << 53 // exact as a float64
	raw, ok := bayeux.ExtMember(sync, name)
	if !ok || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.Abs(f) > most {
		return 0, false
	}
	return int64(f), true
}

// Outgoing implements bayeux.Extension. It runs when the reply leaves, so that
// the time of a held connect counts as the server's.
func (x *Extension) Outgoing(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
	q, ok := m.Note(noteKey{}).(*question)
	if !ok {
		return nil
	}
	ts := q.received.UnixMilli()
	wrong := q.sent + q.offset + q.lag - ts
	if q.knows && q.lag != 0 && max(wrong, -wrong) < x.accuracy {
		return nil // the client knows well enough [R-TS-1]
	}
	kept := max(0, x.now().Sub(q.received).Milliseconds()) // [R-TS-2]
	answer := fmt.Appendf(nil, `{"tc":%d,"ts":%d,"p":%d`, q.sent, ts, kept)
	if q.knows {
		answer = fmt.Appendf(answer, `,"a":%d`, wrong)
	}
	m.SetExt(Name, append(answer, '}'))
	return nil
}

// lagAttribute is the session's attribute, by CometD's name for it.
const lagAttribute = "lag"

// Lag returns the lag of the network that the client of the session has told
// last. It is false when the client has not told any, and may be wrong, for it
// is the client that tells.
func Lag(s bayeux.Session) (time.Duration, bool) {
	lag, ok := s.Attributes().Get(lagAttribute).(time.Duration)
	return lag, ok
}
