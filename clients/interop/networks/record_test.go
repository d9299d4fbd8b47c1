package main

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// story makes the events of a client, at times after the beginning.
type story struct {
	began  time.Time
	events []event
	sent   []sending
	ids    int
}

func newStory() *story {
	s := &story{began: time.UnixMilli(1_000_000)}
	s.tell(0, event{Kind: kindOpened})
	s.tell(0, event{Kind: kindHandshake, OK: true})
	s.tell(0, event{Kind: kindSubscribed, OK: true})
	return s
}

func (s *story) tell(at time.Duration, e event) {
	e.At = stamp(s.began.Add(at))
	s.events = append(s.events, e)
}

// poll is a connect that was asked for at a time and ended at another.
func (s *story) poll(from, to time.Duration, ok bool, more ...func(asked, answered *event)) {
	s.ids++
	asked := event{Kind: kindAsked, ID: strconv.Itoa(s.ids)}
	answered := event{Kind: kindAnswered, ID: asked.ID, OK: ok, Transport: "long-polling"}
	if !ok {
		answered.Error = "504 Gateway Timeout"
	}
	for _, f := range more {
		f(&asked, &answered)
	}
	s.tell(from, asked)
	s.tell(to, answered)
}

func soon(asked, _ *event) { asked.Soon = true }

// message is published at a time, and comes a moment later if it comes.
func (s *story) message(at time.Duration, comes bool) {
	s.sent = append(s.sent, sending{len(s.sent) + 1, s.began.Add(at)})
	if comes {
		s.tell(at+20*time.Millisecond, event{Kind: kindMessage, N: len(s.sent)})
	}
}

func (s *story) figures(name string) figures { return measure(name, s.events, s.sent, s.began, false) }

func TestMeasurePolls(t *testing.T) {
	s := newStory()
	s.poll(0, 10*time.Millisecond, true, soon)
	s.poll(time.Second, 21*time.Second, false)
	s.poll(22*time.Second, 22*time.Second, true, soon)
	s.message(30*time.Second, true)
	s.poll(22*time.Second, 30*time.Second+20*time.Millisecond, true)
	s.poll(31*time.Second, 61*time.Second, true)
	f := s.figures("one")
	require.Equal(t, 1, f.Failed)
	require.Equal(t, []time.Duration{21 * time.Second}, f.FailedAt)
	require.Equal(t, []int{0}, f.GotAtFailure)
	require.Equal(t, []string{"504 Gateway Timeout"}, f.Errors)
	require.Equal(t, 1, f.Handshakes)
	require.Equal(t, "long-polling", f.Transport)
	require.Len(t, f.Holds, 5)
	require.Equal(t, held{At: 30*time.Second + 20*time.Millisecond, Lasted: 8*time.Second + 20*time.Millisecond, OK: true}, f.Holds[3], "a message ended it")
	require.Equal(t, held{At: 61 * time.Second, Lasted: 30 * time.Second, OK: true, Quiet: true}, f.Holds[4])
	require.Equal(t, 30*time.Second, f.longest())
	require.Equal(t, 2, f.long(8*time.Second))
	n, least := f.full(0)
	require.Equal(t, 1, n, "what was asked for soon, failed or was woken is no full hold")
	require.Equal(t, 30*time.Second, least)
	require.Equal(t, 1, f.failedAfter(20*time.Second))
	require.Zero(t, f.failedAfter(21*time.Second))
}

func TestMeasureMessages(t *testing.T) {
	s := newStory()
	s.sent = append(s.sent, sending{1, s.began.Add(-time.Second)}) // before it was subscribed
	s.message(time.Second, true)                                   // 2
	s.message(2*time.Second, false)                                // 3
	s.message(3*time.Second, true)                                 // 4
	f := s.figures("one")
	require.Equal(t, 3, f.Due)
	require.Equal(t, 1, f.Lost)
	require.Zero(t, f.Doubled)
	require.True(t, f.Ordered)
	require.Equal(t, time.Second+20*time.Millisecond, f.First)
	require.Equal(t, 20*time.Millisecond, f.Lag)

	s.tell(4*time.Second, event{Kind: kindMessage, N: 3})
	f = s.figures("one")
	require.Zero(t, f.Lost)
	require.False(t, f.Ordered, "it came behind the fourth")
	require.Equal(t, 2*time.Second, f.Lag)

	s.tell(5*time.Second, event{Kind: kindMessage, N: 4})
	require.Equal(t, 1, s.figures("one").Doubled)

	s.message(6*time.Second, false)
	require.Equal(t, 1, s.figures("one").Lost)
	require.Zero(t, measure("one", s.events, s.sent, s.began, true).Lost, "it had left by then")
}

func TestMeasureNothing(t *testing.T) {
	f := measure("nobody", nil, []sending{{1, time.UnixMilli(1)}}, time.UnixMilli(0), false)
	require.Zero(t, f.Due, "it was never subscribed")
	require.Negative(t, f.First)
	require.Contains(t, f.String(), "first message none")
}

func TestMeasureReloads(t *testing.T) {
	s := newStory()
	s.tell(time.Second, event{Kind: kindAsked, ID: "1"}) // The page is loaded anew, and its ids begin again.
	s.tell(2*time.Second, event{Kind: kindHandshake, OK: true})
	s.tell(3*time.Second, event{Kind: kindAsked, ID: "1"})
	s.tell(5*time.Second, event{Kind: kindAnswered, ID: "1", OK: true})
	f := s.figures("page")
	require.Len(t, f.Holds, 1)
	require.Equal(t, 2*time.Second, f.Holds[0].Lasted)
	require.Equal(t, 2, f.Handshakes)
}

func TestFromDriver(t *testing.T) {
	now := time.UnixMilli(1234)
	for line, want := range map[string]event{
		`{"kind":"about","client":"cometd (Java)","version":"8.0.10","cannot":{}}`:              {Kind: kindAbout},
		`{"kind":"meta","channel":"/meta/handshake","ok":true,"transport":"long-polling"}`:      {Kind: kindHandshake, OK: true, Transport: "long-polling"},
		`{"kind":"meta","channel":"/meta/connect","ok":false,"error":"java.io.EOFException"}`:   {Kind: kindAnswered, Error: `"java.io.EOFException"`},
		`{"kind":"meta","channel":"/meta/connect","ok":true,"error":null,"ack":7}`:              {Kind: kindAnswered, OK: true},
		`{"kind":"meta","channel":"/meta/subscribe","ok":true,"subscription":"/networks/java"}`: {Kind: kindSubscribed, OK: true},
		`{"kind":"message","channel":"/networks/java","data":{"n":7,"pad":"xxx"}}`:              {Kind: kindMessage, N: 7},
	} {
		want.At = 1234
		e, known := fromDriver([]byte(line), now)
		require.True(t, known, line)
		require.Equal(t, want, e, line)
	}
	for _, line := range []string{`{"kind":"reply","seq":1,"ok":true}`, `{"kind":"meta","channel":"/meta/publish","ok":true}`, `{"kind":"about"`, ``} {
		_, known := fromDriver([]byte(line), now)
		require.False(t, known, line)
	}
}

func TestDiary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDiary()
		go func() {
			for n := range 3 {
				time.Sleep(time.Second)
				d.add(event{Kind: kindMessage, N: n + 1})
			}
		}()
		began := time.Now()
		require.NoError(t, d.wait(t.Context(), has(kindMessage, 2)))
		require.Equal(t, 2*time.Second, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, d.wait(ctx, has(kindMessage, 4)), context.DeadlineExceeded)
		require.Len(t, d.all(), 3)
	})
}

func TestHas(t *testing.T) {
	failed := []event{{Kind: kindSubscribed}, {Kind: kindAnswered}}
	require.False(t, has(kindSubscribed, 1)(failed))
	require.True(t, has(kindSubscribed, 1)(append(failed, event{Kind: kindSubscribed, OK: true})))
	require.True(t, has(kindAbout, 1)([]event{{Kind: kindAbout}}))
}
