package suite

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

// T is a case that runs on one carrier. Its methods may be called by any
// goroutine, except those that end the case (Fatalf, Skipf, Brokenf and all
// that wait for an answer), which belong in the goroutine of Run.
type T struct {
	ctx  context.Context //nolint:containedctx // as in testing.T: it is the context of the case
	run  *Runner
	c    Case
	on   On
	tape *wire.Tape

	mu       sync.Mutex
	notes    []Note
	clients  []*Client
	closers  []func()
	channels map[string]string
	lenient  bool // passes over stray replies
}

// Context ends with the case.
func (t *T) Context() context.Context { return t.ctx }

// On returns the carrier that the case runs on.
func (t *T) On() On { return t.on }

// Target returns the server, for wire-level requests.
func (t *T) Target() wire.Target { return t.run.target }

// Tape returns the transcript of the case.
func (t *T) Tape() *wire.Tape { return t.tape }

// Notef puts a remark on the transcript.
func (t *T) Notef(format string, args ...any) { t.tape.Note(format, args...) }

func (t *T) note(kind NoteKind, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	t.tape.Note("%s: %s", kind, text)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, Note{kind, text, ms(t.tape.Since())})
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Failf notes a failure; the case goes on.
func (t *T) Failf(format string, args ...any) { t.note(NoteFail, format, args...) }

// Fatalf notes a failure and ends the case.
func (t *T) Fatalf(format string, args ...any) {
	t.note(NoteFail, format, args...)
	runtime.Goexit()
}

// Check notes a failure unless ok, and returns ok.
func (t *T) Check(ok bool, format string, args ...any) bool {
	if !ok {
		t.Failf(format, args...)
	}
	return ok
}

// Require ends the case with a failure unless ok.
func (t *T) Require(ok bool, format string, args ...any) {
	if !ok {
		t.Fatalf(format, args...)
	}
}

// NonStrictf notes that the server does what is needed, but not as it should.
func (t *T) NonStrictf(format string, args ...any) { t.note(NoteNonStrict, format, args...) }

// Infof notes something worth telling.
func (t *T) Infof(format string, args ...any) { t.note(NoteInfo, format, args...) }

// Skipf ends the case as skipped: what it needs is not there.
func (t *T) Skipf(format string, args ...any) {
	t.note(NoteSkip, format, args...)
	runtime.Goexit()
}

// Brokenf ends the case with an error: the suite or the network broke, and
// nothing is known of the server.
func (t *T) Brokenf(format string, args ...any) {
	t.note(NoteError, format, args...)
	runtime.Goexit()
}

// Cleanup registers what is to be done when the case has ended, in reverse.
func (t *T) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closers = append(t.closers, f)
}

// Channel returns a channel of this run of this case, the same one for the
// same name: /bx/<random>/<name> below the channel prefix. The name may have
// several segments, and wildcards.
func (t *T) Channel(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.channels == nil {
		t.channels = map[string]string{"": t.run.opts.ChannelPrefix + "/bx/" + t.run.token(8)}
	}
	return t.channels[""] + "/" + name
}

// Facts returns what was learned of the server at the start. Hold, expiry and
// interval come later: use the methods of T.
func (t *T) Facts() *Facts { return t.run.facts }

// Fixture returns what the fixture file declares; never nil. Use Need to name
// what a case is skipped without.
func (t *T) Fixture() *Fixture { return t.run.opts.Fixture }

// Need skips the case unless a need is met; Case.Needs does the same.
func (t *T) Need(needs ...Need) {
	for _, n := range needs {
		if why := t.run.lacks(t.ctx, n); why != "" {
			t.Skipf("needs %s: %s", n, why)
		}
	}
}

// Hold returns how long the server was seen to hold a connect without advice.
// It waits until that is known, and skips the case if connects are not held.
func (t *T) Hold() time.Duration {
	t.Need(NeedHold)
	d, _ := t.run.facts.hold.get(t.ctx)
	return d
}

// Asked tells whether a transport is one of those to be tested.
func (t *T) Asked(transport string) bool {
	return len(t.run.opts.Transports) == 0 || slices.Contains(t.run.opts.Transports, transport)
}

// Expires tells whether a session that was left alone was seen to end. It waits
// until that is known, up to 80 s.
func (t *T) Expires() bool {
	_, why := t.run.facts.expiry.get(t.ctx)
	return why == ""
}

// Expiry returns for how long a silent session surely lives and after which
// time it is surely gone, as seen on this server. It waits until that is
// known, and skips the case if sessions live longer than can be waited for.
func (t *T) Expiry() (alive, gone time.Duration) {
	t.Need(NeedExpiry)
	e, _ := t.run.facts.expiry.get(t.ctx)
	return e.Alive, e.Gone
}

// Prompt is the longest time that counts as "at once". It is well below the
// hold, and generous, for the machine may be loaded.
func (t *T) Prompt() time.Duration {
	hint := t.run.facts.holdHint()
	return min(5*time.Second, hint*3/4)
}

// Patience is how long an answer that must come is waited for.
func (t *T) Patience() time.Duration { return t.scale(10 * time.Second) }

// Slack is what a loaded machine may add to a time.
func (t *T) Slack() time.Duration { return t.scale(5 * time.Second) }

func (t *T) scale(d time.Duration) time.Duration {
	return time.Duration(float64(d) * t.run.opts.TimeoutScale)
}

// Sleep waits.
func (t *T) Sleep(d time.Duration) {
	t.Notef("waits %v", d.Round(time.Millisecond))
	select {
	case <-time.After(d):
	case <-t.ctx.Done():
		t.Brokenf("the case took too long: %v", context.Cause(t.ctx))
	}
}

// Random returns n random letters and digits, the same for the same seed
// only as far as the order of the calls is.
func (t *T) Random(n int) string { return t.run.token(n) }

// execute runs the case in a goroutine of its own, so that it can be ended
// from anywhere, and cleans up.
func (t *T) execute(limit time.Duration) {
	ctx, cancel := context.WithTimeout(t.ctx, limit)
	defer cancel()
	t.ctx = ctx
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				t.note(NoteError, "the case panicked: %v\n%s", r, trim(string(debug.Stack())))
			}
		}()
		t.Need(t.c.Needs...)
		t.c.Run(t)
		if !t.lenient {
			t.strays()
		}
	}()
	<-done
	t.tape.Stop()
	t.cleanUp()
}

func trim(stack string) string {
	lines := strings.Split(stack, "\n")
	return strings.Join(lines[:min(len(lines), 24)], "\n")
}

// strays fails the case for replies that nobody asked for, unless it looked
// at them itself.
func (t *T) strays() {
	t.mu.Lock()
	clients := append([]*Client(nil), t.clients...)
	t.mu.Unlock()
	for _, c := range clients {
		for _, m := range c.Strays() {
			t.Failf("a reply that nobody asked for, or twice: %s", short(m.Raw))
		}
	}
}

// cleanUp leaves the server as it was: sessions are disconnected, connections
// closed.
func (t *T) cleanUp() {
	t.mu.Lock()
	clients, closers := t.clients, t.closers
	t.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(c.leave)
	}
	wg.Wait()
	for _, f := range slices.Backward(closers) {
		f()
	}
}
