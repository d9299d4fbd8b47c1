package machine

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/channels"
)

// witness watches one session and checks after each input what must hold
// whatever happens.
type witness struct {
	t    *testing.T
	s    *Session
	now  instant.Time
	open map[uint64]bool        // holds that have not ended
	subs map[channels.Name]bool // as the effects say
	over bool
}

func newWitness(t *testing.T) *witness {
	return &witness{t: t, s: New("abc"), now: epoch, open: map[uint64]bool{}, subs: map[channels.Name]bool{}}
}

// see checks the effects of one call.
func (w *witness) see(before State, e Effects) {
	after := w.s.State()
	// A step goes through at most one change, and only through one of the table.
	require.True(w.t, before == after || slices.Contains(transitions[before], after), "%v → %v", before, after)

	if end := e.Ended; end != (Ended{}) {
		require.True(w.t, w.open[end.ID], "each hold ends once")
		delete(w.open, end.ID)
		silent := end.Cause == Replaced || end.Cause == Dropped
		require.Equal(w.t, silent, end.Reply == nil)
		if end.Reply != nil {
			require.True(w.t, end.Reply.OK())
		}
	}
	if e.Hold.ID != 0 {
		require.False(w.t, w.open[e.Hold.ID])
		w.open[e.Hold.ID] = true
		require.Equal(w.t, Connected, after)
		require.True(w.t, e.Hold.Until.After(w.now))
	}
	for _, n := range e.Subscribe {
		require.False(w.t, w.subs[n], "only what is new")
		w.subs[n] = true
	}
	for _, n := range e.Unsubscribe {
		require.True(w.t, w.subs[n], "only what was there")
		delete(w.subs, n)
	}
	require.Equal(w.t, e.Removed != "", after.Over() && !w.over, "the end is told once")
	w.over = after.Over()
	require.Equal(w.t, w.s.Deadline(), e.Wake)
	w.stand()
}

// stand checks the session as it is.
func (w *witness) stand() {
	require.LessOrEqual(w.t, len(w.open), 1)
	id, until, _, held := w.s.Held()
	require.Equal(w.t, held, w.open[id])
	require.Equal(w.t, held, len(w.open) == 1)
	require.Len(w.t, w.s.Subscriptions(), len(w.subs))
	for n := range w.subs {
		require.True(w.t, w.s.Subscribed(n))
	}
	switch deadline := w.s.Deadline(); {
	case held:
		require.Equal(w.t, until, deadline)
		require.True(w.t, w.s.ExpiresAt().IsZero(), "no clock runs while a connect is held")
	case w.s.State().Alive():
		require.False(w.t, deadline.IsZero(), "no immortal sessions [R-CN-22]")
		require.False(w.t, deadline.After(w.now.Add(2*time.Hour)))
	default:
		require.True(w.t, deadline.IsZero())
	}
}

// send has a message processed and checks that it is answered exactly once
// ([R-MSG-3]).
func (w *witness) send(in Input) {
	before := w.s.State()
	e := w.s.Step(w.now, in)
	require.NotEqual(w.t, e.Reply == nil, e.Hold == Hold{})
	if e.Reply != nil {
		require.NotNil(w.t, e.Reply.Successful)
		require.Same(w.t, in.Message.Reply(), e.Reply)
		if before.Over() {
			require.False(w.t, e.Reply.OK())
		}
	} else {
		require.Equal(w.t, Connected, before, "the first connect is never held [R-CN-5]")
		require.True(w.t, in.Alone && !in.Pending && in.Browser == BrowserFree)
	}
	w.see(before, e)
}

// tick lets time pass up to the deadline, or less.
func (w *witness) tick(d time.Duration) {
	due := w.s.Deadline()
	w.now = w.now.Add(d)
	before := w.s.State()
	e := w.s.Expire(w.now)
	reached := !due.IsZero() && !w.now.Before(due)
	require.Equal(w.t, reached, e.Ended.Cause != 0 || e.Removed != "", "something happens at the deadline and not before")
	w.see(before, e)
}

// script is the source of decisions: bytes, then zeros.
type script struct{ left []byte }

func (s *script) byte() int {
	if len(s.left) == 0 {
		return 0
	}
	b := s.left[0]
	s.left = s.left[1:]
	return int(b)
}

func (s *script) pick(n int) int { return s.byte() % n }

func (s *script) via() *Via {
	v := poll()
	if s.pick(2) == 0 {
		v = socket()
	}
	if s.pick(4) == 0 {
		v.Times.MaxProcessing = 3 * time.Second
	}
	if s.pick(8) == 0 {
		v.Times.Timeout = 0
	}
	v.HandshakeReconnect = s.pick(8) == 0
	v.MaxTimeout, v.MaxInterval = 10*time.Minute, time.Hour
	return v
}

func (s *script) input(channel string) Input {
	in := Input{Message: on(channel), Via: s.via(), Alone: s.pick(8) != 0, Pending: s.pick(8) == 0}
	switch s.pick(10) {
	case 0:
		in.Browser, in.MultiInterval = BrowserPoll, time.Second
	case 1:
		in.Browser = BrowserRefuse
	case 2:
		in.Refused = bayeux.Deny("no")
	}
	advice := []string{"", "", "", `{}`, `{"timeout":0}`, `{"timeout":5000}`, `{"interval":60000,"timeout":0}`, `{"timeout":1e99}`, `7`}
	if a := advice[s.pick(len(advice))]; a != "" {
		in.Message.Advice = bayeux.Raw(a)
	}
	names := []channels.Name{"/a", "/b", "/c/*", "/service/x", "/meta/connect"}
	for range s.pick(4) {
		in.Names = append(in.Names, names[s.pick(len(names))])
	}
	for range in.Names {
		var refusal *bayeux.Error
		if s.pick(6) == 0 {
			refusal = &bayeux.Error{Code: 403, Text: "subscribe_denied"}
		}
		in.Refusals = append(in.Refusals, refusal)
		if refusal != nil {
			break
		}
	}
	in.MaxSubscriptions = s.pick(4)
	return in
}

// run plays a script and ends the session.
func run(t *testing.T, bytes []byte) {
	w := newWitness(t)
	s := &script{left: bytes}
	for len(s.left) > 0 {
		w.move(s)
	}
	// Left alone, it ends by itself: a hold, then the clock.
	for range 2 {
		if due := w.s.Deadline(); !due.IsZero() {
			w.tick(max(0, due.Sub(w.now)))
		}
	}
	require.False(t, w.s.State().Alive())
	require.Empty(t, w.open)
}

func (w *witness) move(s *script) {
	call := func(f func() Effects) {
		before := w.s.State()
		w.see(before, f())
	}
	switch s.pick(24) {
	case 0:
		w.send(s.input(metaHandshake))
	case 1, 2, 3, 4, 5, 6:
		w.send(s.input(metaConnect))
	case 7, 8:
		w.send(s.input(metaSubscribe))
	case 9:
		w.send(s.input(metaUnsubscribe))
	case 10:
		if s.pick(8) == 0 {
			w.send(s.input(metaDisconnect))
		}
	case 11:
		w.send(s.input("/a"))
	case 12, 13:
		w.tick(time.Duration(s.byte()) * 200 * time.Millisecond)
	case 14:
		call(func() Effects { return w.s.Wake(w.now) })
	case 15, 16:
		call(func() Effects { return w.s.Written(w.now) })
	case 17:
		call(func() Effects { return w.s.Lost(w.now, uint64(s.pick(8))) })
	case 18:
		call(func() Effects { return w.s.Detached(w.now) })
	case 19:
		call(func() Effects { return w.s.Takeover(w.now) })
	case 20:
		w.s.Received(w.now)
		w.stand()
	case 21:
		call(func() Effects { return w.s.Release(w.now, nil) })
	case 22:
		w.end(s)
	case 23:
		w.change(s)
	}
}

func (w *witness) end(s *script) {
	before := w.s.State()
	switch s.pick(12) {
	case 0:
		w.see(before, w.s.Disconnect(w.now, ReasonServer))
	case 1:
		w.see(before, w.s.Remove(w.now, ReasonSlowConsumer))
	}
}

// change sets times, or moves the session to another server.
func (w *witness) change(s *script) {
	d := time.Duration(s.byte()-2) * time.Second
	switch s.pick(5) {
	case 0:
		w.s.SetTimeout(d)
	case 1:
		w.s.SetInterval(d)
	case 2:
		w.s.SetMaxInterval(d)
	case 3:
		snap := w.s.Snapshot(w.now)
		_, _, _, held := w.s.Held()
		moved, err := Restore(w.now, snap)
		require.NoError(w.t, err)
		if held {
			clear(w.open) // lost with its carrier
		}
		require.Equal(w.t, w.s.State(), moved.State())
		require.Equal(w.t, w.s.Advised(), moved.Advised())
		w.s = moved
	}
	w.stand()
}

func TestProperties(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 3))
		bytes := make([]byte, 1500)
		for i := range bytes {
			bytes[i] = byte(random.Uint32())
		}
		run(t, bytes)
	}
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 1, 1, 1, 1, 1, 1, 9, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 9, 0, 0, 0})
	f.Add([]byte{0, 0, 1, 1, 1, 1, 1, 9, 0, 0, 0, 2, 0, 1, 1, 1, 1, 1, 9, 0, 0, 0, 2, 0, 1, 1, 1, 1, 1, 9, 0, 0, 0, 18, 14, 12, 99})
	f.Add([]byte{0, 1, 0, 1, 1, 1, 1, 9, 0, 0, 0, 15, 12, 200, 22, 0})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) > 1<<12 {
			return
		}
		run(t, bytes)
	})
}
