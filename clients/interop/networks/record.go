package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// The kinds of events that clients tell.
const (
	kindAbout      = "about"      // it is there
	kindOpened     = "opened"     // its page began to load, or its program to run
	kindHandshake  = "handshake"  // the outcome of one
	kindSubscribed = "subscribed" // the outcome of a subscription
	kindAsked      = "asked"      // a /meta/connect leaves
	kindAnswered   = "answered"   // its outcome
	kindMessage    = "message"
	kindGone       = "gone" // nothing more will come
)

// event is what a client tells, in JSON, or what the harness makes of another driver's lines.
type event struct {
	Kind      string  `json:"kind"`
	At        float64 `json:"at"` // ms since 1970 by the client's clock, which is that of this machine
	ID        string  `json:"id,omitempty"`
	OK        bool    `json:"ok,omitempty"`
	Soon      bool    `json:"soon,omitempty"` // the connect asks for an answer at once
	Error     string  `json:"error,omitempty"`
	Transport string  `json:"transport,omitempty"`
	N         int     `json:"n,omitempty"` // the number of the message, from 1
}

func (e event) time() time.Time { return time.UnixMicro(int64(math.Round(e.At * 1000))) }

func stamp(t time.Time) float64 { return float64(t.UnixMicro()) / 1000 }

// diary keeps the events of a client. Its methods may be called by several goroutines.
type diary struct {
	mu      sync.Mutex
	events  []event
	changed chan struct{}
}

func newDiary() *diary { return &diary{changed: make(chan struct{})} }

func (d *diary) add(e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *diary) all() []event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.events)
}

// wait returns when the condition holds for what has been told, or with the error of ctx.
func (d *diary) wait(ctx context.Context, condition func([]event) bool) error {
	for {
		d.mu.Lock()
		events, changed := slices.Clip(d.events), d.changed
		d.mu.Unlock()
		if condition(events) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// has says whether there are n events of the kind that went well, or n messages.
func has(kind string, n int) func([]event) bool {
	return func(events []event) bool {
		seen := 0
		for _, e := range events {
			if e.Kind == kind && (e.OK || kind == kindMessage || kind == kindAbout) {
				seen++
			}
		}
		return seen >= n
	}
}

// fromDriver reads a line of the drivers of the interop tests (js/driver.mjs says what they are); such lines have no time.
func fromDriver(line []byte, now time.Time) (e event, known bool) {
	var l struct {
		Kind, Channel, Transport string
		OK                       bool
		Error                    json.RawMessage
		Data                     payload
	}
	if json.Unmarshal(line, &l) != nil {
		return e, false
	}
	e = event{At: stamp(now), OK: l.OK, Transport: l.Transport}
	if len(l.Error) > 0 && string(l.Error) != "null" {
		e.Error = string(l.Error)
	}
	switch l.Kind + l.Channel {
	case kindAbout:
		e.Kind = kindAbout
	case "meta/meta/handshake":
		e.Kind = kindHandshake
	case "meta/meta/connect":
		e.Kind = kindAnswered
	case "meta/meta/subscribe":
		e.Kind = kindSubscribed
	default:
		if l.Kind != kindMessage {
			return e, false
		}
		e.Kind, e.N = kindMessage, l.Data.N
	}
	return e, true
}

// payload is the data of a message.
type payload struct {
	N   int    `json:"n"`
	Pad string `json:"pad,omitempty"`
}

// sending is a message that was published.
type sending struct {
	n  int
	at time.Time
}

// held is a poll as its client saw it.
type held struct {
	At     time.Duration `json:"at"` // its end, since the beginning
	Lasted time.Duration `json:"lasted"`
	OK     bool          `json:"ok"`
	// Quiet says that no message ended it; Soon that the client had asked for an answer at once.
	Quiet bool `json:"quiet"`
	Soon  bool `json:"soon,omitempty"`
}

// figures are what a client went through.
type figures struct {
	Client           string          `json:"client"`
	Failed           int             `json:"failedConnects"`
	FailedAt         []time.Duration `json:"failedAt,omitempty"` // since the beginning
	GotAtFailure     []int           `json:"gotAtFailure,omitempty"`
	Handshakes       int             `json:"handshakes"`
	HandshakesFailed int             `json:"handshakesFailed,omitempty"`
	Due              int             `json:"due"` // messages published while it was subscribed
	Lost             int             `json:"lost"`
	Doubled          int             `json:"doubled"`
	Ordered          bool            `json:"ordered"`
	Holds            []held          `json:"holds,omitempty"`
	// First is the time from the client's opening to its first message; negative: there was none. Lag is the longest time
	// from a publication to its arrival.
	First     time.Duration `json:"first"`
	Lag       time.Duration `json:"lag"`
	Transport string        `json:"transport,omitempty"` // of its last handshake or connect
	Errors    []string      `json:"errors,omitempty"`    // of failed connects, at most four kinds
}

// togetherness is how long after its connect's answer a message of the same response may be told.
const togetherness = 150 * time.Millisecond

// measure makes figures of what a client has told and of what was published to it. Of one that has left, messages behind its
// last are nobody's.
func measure(name string, events []event, sent []sending, began time.Time, left bool) figures {
	f := figures{Client: name, Ordered: true, First: -1}
	f.polls(events, began)
	f.messages(events, sent, left)
	return f
}

// polls fills in what became of handshakes and connects.
func (f *figures) polls(events []event, began time.Time) {
	asked := map[string]event{}
	var arrivals []time.Time
	for _, e := range events {
		if e.Kind == kindMessage {
			arrivals = append(arrivals, e.time())
		}
	}
	got := 0
	for _, e := range events {
		switch e.Kind {
		case kindMessage:
			got++
		case kindHandshake:
			if e.OK {
				f.Handshakes++
				f.Transport = cmp.Or(e.Transport, f.Transport)
			} else {
				f.HandshakesFailed++
			}
		case kindAsked:
			asked[e.ID] = e
		case kindAnswered:
			if e.OK {
				f.Transport = cmp.Or(e.Transport, f.Transport)
			} else {
				f.fail(e, began, got)
			}
			if q, ok := asked[e.ID]; ok && e.ID != "" {
				delete(asked, e.ID)
				f.Holds = append(f.Holds, held{
					At: e.time().Sub(began), Lasted: e.time().Sub(q.time()), OK: e.OK, Soon: q.Soon,
					Quiet: !within(arrivals, q.time(), e.time().Add(togetherness)),
				})
			}
		}
	}
}

func (f *figures) fail(e event, began time.Time, got int) {
	f.Failed++
	f.FailedAt = append(f.FailedAt, e.time().Sub(began))
	f.GotAtFailure = append(f.GotAtFailure, got)
	if e.Error != "" && !slices.Contains(f.Errors, e.Error) && len(f.Errors) < 4 {
		f.Errors = append(f.Errors, e.Error)
	}
}

// within says whether one of the moments, which ascend, lies between two.
func within(moments []time.Time, from, to time.Time) bool {
	i, _ := slices.BinarySearchFunc(moments, from, time.Time.Compare)
	return i < len(moments) && !moments[i].After(to)
}

// messages fills in what became of messages.
func (f *figures) messages(events []event, sent []sending, left bool) {
	opened, subscribed := first(events, kindOpened), first(events, kindSubscribed)
	last := 0
	got := map[int]time.Time{}
	for _, e := range events {
		if e.Kind != kindMessage {
			continue
		}
		if len(got) == 0 && !opened.IsZero() {
			f.First = e.time().Sub(opened)
		}
		if _, again := got[e.N]; again {
			f.Doubled++
			continue
		}
		got[e.N] = e.time()
		f.Ordered = f.Ordered && e.N > last
		last = max(last, e.N)
	}
	for _, s := range sent {
		at, came := got[s.n]
		if came {
			f.Lag = max(f.Lag, at.Sub(s.at))
		}
		if subscribed.IsZero() || s.at.Before(subscribed) || left && s.n > last {
			continue
		}
		f.Due++
		if !came {
			f.Lost++
		}
	}
}

// first is when the first event of a kind was that did not fail; zero if there is none.
func first(events []event, kind string) time.Time {
	for _, e := range events {
		if e.Kind == kind && (e.OK || kind == kindOpened) {
			return e.time()
		}
	}
	return time.Time{}
}

// long counts polls that were held longer than that and answered.
func (f figures) long(d time.Duration) int {
	n := 0
	for _, h := range f.Holds {
		if h.OK && h.Lasted > d {
			n++
		}
	}
	return n
}

// longest is the longest poll that was answered.
func (f figures) longest() time.Duration {
	var most time.Duration
	for _, h := range f.Holds {
		if h.OK {
			most = max(most, h.Lasted)
		}
	}
	return most
}

// full are the answered polls from a moment on that nothing ended but their time, and the shortest of them.
func (f figures) full(from time.Duration) (n int, least time.Duration) {
	for _, h := range f.Holds {
		if h.OK && h.Quiet && !h.Soon && h.At >= from {
			if n++; n == 1 || h.Lasted < least {
				least = h.Lasted
			}
		}
	}
	return n, least
}

// failedAfter counts connects that failed after a moment.
func (f figures) failedAfter(at time.Duration) int {
	n := 0
	for _, d := range f.FailedAt {
		if d > at {
			n++
		}
	}
	return n
}

func (f figures) String() string {
	return fmt.Sprintf("%-10s failed connects %d, handshakes %d, due %d, lost %d, doubled %d, in order %t, longest hold %s, first message %s, lag %s, %s",
		f.Client, f.Failed, f.Handshakes, f.Due, f.Lost, f.Doubled, f.Ordered, seconds(f.longest()), seconds(f.First), seconds(f.Lag), f.Transport)
}

// seconds writes a time for people; a negative one is none.
func seconds(d time.Duration) string {
	if d < 0 {
		return "none"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
