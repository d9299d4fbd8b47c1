package suite

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

// Record is what a case notes and what went over the wire while it ran. Its
// methods may be called by any goroutine, except those that end the case
// (Fatalf, Require, Skipf, Brokenf), which belong in that of Protect.
type Record struct {
	tape *wire.Tape

	mu    sync.Mutex
	notes []Note
}

// NewRecord begins a record; its times count from now.
func NewRecord() Record { return Record{tape: wire.NewTape()} }

// Tape returns the transcript of the case.
func (r *Record) Tape() *wire.Tape { return r.tape }

// Notef puts a remark on the transcript.
func (r *Record) Notef(format string, args ...any) { r.tape.Note(format, args...) }

func (r *Record) note(kind NoteKind, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.tape.Note("%s: %s", kind, text)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = append(r.notes, Note{kind, text, ms(r.tape.Since())})
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Failf notes a failure; the case goes on.
func (r *Record) Failf(format string, args ...any) { r.note(NoteFail, format, args...) }

// Fatalf notes a failure and ends the case.
func (r *Record) Fatalf(format string, args ...any) {
	r.note(NoteFail, format, args...)
	runtime.Goexit()
}

// Check notes a failure unless ok, and returns ok.
func (r *Record) Check(ok bool, format string, args ...any) bool {
	if !ok {
		r.Failf(format, args...)
	}
	return ok
}

// Require ends the case with a failure unless ok.
func (r *Record) Require(ok bool, format string, args ...any) {
	if !ok {
		r.Fatalf(format, args...)
	}
}

// NonStrictf notes that the other side does what is needed, but not as it
// should.
func (r *Record) NonStrictf(format string, args ...any) { r.note(NoteNonStrict, format, args...) }

// Infof notes something worth telling.
func (r *Record) Infof(format string, args ...any) { r.note(NoteInfo, format, args...) }

// Skipf ends the case as skipped: what it needs is not there.
func (r *Record) Skipf(format string, args ...any) {
	r.note(NoteSkip, format, args...)
	runtime.Goexit()
}

// Brokenf ends the case with an error: the suite or the network broke, and
// nothing is known of the other side.
func (r *Record) Brokenf(format string, args ...any) {
	r.note(NoteError, format, args...)
	runtime.Goexit()
}

// Notes returns what was noted so far.
func (r *Record) Notes() []Note {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Note(nil), r.notes...)
}

// Protect runs a case in a goroutine of its own, so that it can be ended from
// anywhere in it, and returns when it has ended. A panic is an error.
func (r *Record) Protect(run func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.note(NoteError, "the case panicked: %v\n%s", p, trim(string(debug.Stack())))
			}
		}()
		run()
	}()
	<-done
}

func trim(stack string) string {
	lines := strings.Split(stack, "\n")
	return strings.Join(lines[:min(len(lines), 24)], "\n")
}
