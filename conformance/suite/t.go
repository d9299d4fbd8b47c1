package suite

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

// T is a case that runs on one carrier. Its methods may be called by any
// goroutine, except those that end the case (Fatalf, Skipf, Brokenf and all
// that wait for an answer), which belong in the goroutine of Run.
type T struct {
	Record

	ctx context.Context //nolint:containedctx // as in testing.T: it is the context of the case
	run *Runner
	c   Case
	on  On

	mu       sync.Mutex
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
	t.Protect(func() {
		t.Need(t.c.Needs...)
		t.c.Run(t)
		if !t.lenient {
			t.strays()
		}
	})
	t.tape.Stop()
	t.cleanUp()
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
