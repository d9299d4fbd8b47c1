package pathprofile_test

import (
	"math/rand/v2"
	"time"

	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/pathprofile"
)

const (
	second = time.Second
	minute = time.Minute
)

// world is a server with one book, in a time of its own.
type world struct {
	book *pathprofile.Book
	now  instant.Time
	rnd  *rand.Rand
}

func newWorld(c pathprofile.Config, seed uint64) *world {
	return &world{book: pathprofile.New(c), now: instant.Time(24 * time.Hour), rnd: rand.New(rand.NewPCG(seed, 1))}
}

func key(last byte) pathprofile.Key { return 0xffff<<48 | 127<<24 | 1<<8 | pathprofile.Key(last) }

// client is a stock client that polls: after a failure it comes back in a second,
// asking for an answer at once.
type client struct {
	w    *world
	key  pathprofile.Key
	seat pathprofile.Seat
	cut  time.Duration // of its path; 0: none
	// open has the proxy leave the server's side open when it cuts the client's.
	open   bool
	want   time.Duration
	serial int64
	retry  bool

	news    pathprofile.News
	failed  int
	holds   []time.Duration // those that ended well
	pauses  int
	planned time.Duration
}

func (w *world) client(cut, want time.Duration) *client {
	c := &client{w: w, key: key(1), cut: cut, want: want}
	c.seat.Newcomer()
	c.come(0) // its first connect, answered at once
	return c
}

func (c *client) path() *pathprofile.Path { return c.w.book.Make(c.key, c.w.now) }

// come sends a connect and returns how long the server will hold it.
func (c *client) come(want time.Duration) time.Duration {
	c.serial++
	c.news |= c.seat.Came(c.path(), c.w.now, pathprofile.Came{Serial: c.serial, Retry: c.retry, Ack: -1})
	if c.retry {
		want = 0
	}
	c.retry = false
	if want == 0 {
		return 0
	}
	c.planned = c.seat.Hold(c.path(), c.w.now, want)
	return c.planned
}

// poll is one turn: until a message comes after quiet, the hold's time is over, or
// the way is cut.
func (c *client) poll(quiet time.Duration) {
	retry := c.retry
	hold := c.come(c.want)
	switch {
	case retry:
		return // answered at once
	case hold == 0:
		pause := c.seat.Pause(c.path())
		c.pauses++
		c.w.now = c.w.now.Add(pause)
		return
	case c.cut > 0 && min(quiet, hold) >= c.cut:
		c.abort(c.cut)
		return
	}
	c.w.now = c.w.now.Add(min(quiet, hold))
	c.holds = append(c.holds, min(quiet, hold))
	c.news |= c.seat.Held(c.path(), c.w.now, quiet >= hold)
}

// abort ends the hold at that age from the client's side, or between.
func (c *client) abort(age time.Duration) {
	c.failed++
	c.w.now = c.w.now.Add(age)
	if !c.open {
		c.seat.Left(c.path(), c.w.now, age)
	}
	c.w.now = c.w.now.Add(second + time.Duration(c.w.rnd.Int64N(int64(50*time.Millisecond))))
	c.retry = true
}

// run polls for a time, with messages in bursts and silences of 25 to 90 s
// between.
func (c *client) run(length time.Duration) {
	end := c.w.now.Add(length)
	next := c.w.now
	for c.w.now.Before(end) {
		if !next.After(c.w.now) {
			next = c.w.now.Add(25*second + time.Duration(c.w.rnd.Int64N(int64(65*second))))
		}
		c.poll(next.Sub(c.w.now))
	}
}

// idle polls for a time in which no message comes.
func (c *client) idle(length time.Duration) {
	for end := c.w.now.Add(length); c.w.now.Before(end); {
		c.poll(time.Hour)
	}
}

// longest is the longest of the last n holds.
func (c *client) longest(n int) (most time.Duration) {
	for _, d := range c.holds[max(0, len(c.holds)-n):] {
		most = max(most, d)
	}
	return most
}
