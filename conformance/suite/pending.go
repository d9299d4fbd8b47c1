package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/halleypush/halley/conformance/wire"
)

// Pending is an exchange that was begun: one HTTP request, or one WebSocket
// message and the replies to what was in it.
type Pending struct {
	c       *Client
	asked   []M
	started time.Time
	ctx     context.Context //nolint:containedctx // the life of the request that it stands for
	cancel  context.CancelFunc
	ended   chan struct{}

	// Guarded by the client's lock until ended is closed.
	replies []*Message
	all     []*Message
	res     *wire.Response
	closed  *wire.CloseError
	err     error
	bare    bool
	done    time.Time
	over    bool
}

// Answer is what came of an exchange.
type Answer struct {
	// Replies has an entry for each message that was sent; nil where no reply
	// came. Use Reply to expect one.
	Replies []*Message
	// All is what arrived, in its order: on HTTP the array of the response, on
	// a WebSocket whatever came until the exchange was complete.
	All  []*Message
	HTTP *wire.Response   // nil on a WebSocket, or without a response
	End  *wire.CloseError // the WebSocket was closed by the server
	Err  error            // why there is no answer, or none that can be read
	Bare bool             // the body was an object, not an array
	Took time.Duration    // from before it was sent until the last reply had arrived

	p *Pending
	t *T
}

// Wait waits for the answer: as long as a hold may take if a connect was sent,
// else T.Patience. What has not come by then is missing from the answer.
func (p *Pending) Wait() *Answer { return p.WaitFor(p.limit()) }

// WaitFor waits for the answer, but no longer than that.
func (p *Pending) WaitFor(limit time.Duration) *Answer {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
	case <-p.c.t.ctx.Done():
		p.c.t.Brokenf("the case took too long, waiting for %s", p.names())
	}
	return p.answer(limit)
}

func (p *Pending) answer(limit time.Duration) *Answer {
	p.c.mu.Lock()
	a := &Answer{
		Replies: append([]*Message(nil), p.replies...), All: append([]*Message(nil), p.all...),
		HTTP: p.res, End: p.closed, Err: p.err, Bare: p.bare, Took: p.done.Sub(p.started), p: p, t: p.c.t,
	}
	if !p.over {
		a.Took = time.Since(p.started)
		a.Err = fmt.Errorf("no answer within %v", limit.Round(time.Millisecond))
	}
	p.c.mu.Unlock()
	if dial, ok := errors.AsType[*wire.DialError](a.Err); ok {
		a.t.Brokenf("%v", dial)
	}
	return a
}

// limit is how long Wait waits.
func (p *Pending) limit() time.Duration {
	t := p.c.t
	switch {
	case len(p.asked) == 0 && p.c.on == WS:
		return t.Prompt()
	case p.has("/meta/connect"):
		return t.run.facts.holdHint()*3/2 + t.Patience()
	default:
		return t.Patience()
	}
}

func (p *Pending) has(channel string) bool {
	for _, m := range p.asked {
		if m["channel"] == channel {
			return true
		}
	}
	return false
}

func (p *Pending) names() string {
	if len(p.asked) == 0 {
		return "raw bytes"
	}
	names := make([]string, 0, len(p.asked))
	for _, m := range p.asked {
		names = append(names, fmt.Sprint(m["channel"]))
	}
	return strings.Join(names, ", ")
}

// Answered tells whether the answer is complete.
func (p *Pending) Answered() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// StaysHeld expects that no answer comes for that long.
func (p *Pending) StaysHeld(d time.Duration) {
	select {
	case <-p.ended:
		a := p.answer(0)
		p.c.t.Failf("%s was answered after %v, want it held: %s", p.names(), a.Took.Round(time.Millisecond), a.what())
	case <-time.After(d):
	case <-p.c.t.ctx.Done():
	}
}

// Abort gives the exchange up as a client does that dies: an HTTP connection
// is reset, a WebSocket too, with all that is pending on it.
func (p *Pending) Abort() { p.c.link.abort(p) }

// Reply returns the reply to the message sent at a place, from 0. Without one
// the case ends with a failure.
func (a *Answer) Reply(i int) *Message {
	if i >= len(a.Replies) {
		a.t.Brokenf("the case asks for reply %d of %d", i, len(a.Replies))
	}
	if a.Replies[i] == nil {
		a.t.Fatalf("no reply to %v: %s", a.p.asked[i]["channel"], a.what())
	}
	return a.Replies[i]
}

// what describes an answer in a few words.
func (a *Answer) what() string {
	switch {
	case a.HTTP != nil && a.Err != nil:
		return fmt.Sprintf("HTTP %d, %v", a.HTTP.Status, a.Err)
	case a.HTTP != nil:
		return fmt.Sprintf("HTTP %d %s", a.HTTP.Status, short(a.HTTP.Body))
	case a.End != nil:
		return a.End.Error()
	case a.Err != nil:
		return a.Err.Error()
	default:
		return fmt.Sprintf("%d messages came", len(a.All))
	}
}

// Deliveries returns what arrived and is no reply.
func (a *Answer) Deliveries() []*Message {
	var out []*Message
	for _, m := range a.All {
		if m.asked == nil {
			out = append(out, m)
		}
	}
	return out
}

// Refused tells whether the server refused the request as a whole: an HTTP
// status of 400 or more, or the end of the WebSocket.
func (a *Answer) Refused() bool {
	return a.HTTP != nil && a.HTTP.Status >= 400 || a.End != nil
}

// WantRefused expects a refusal: on HTTP with one of the statuses, on a
// WebSocket with one of the close codes. An empty list allows any.
func (a *Answer) WantRefused(statuses, codes []int) *Answer {
	switch {
	case !a.Refused():
		a.t.Failf("%s: want the request refused, got %s", a.p.names(), a.what())
	case a.End != nil:
		a.t.closeCode(a.End, codes)
	case len(statuses) > 0:
		a.t.Check(slices.Contains(statuses, a.HTTP.Status), "%s: HTTP %d, want %v", a.p.names(), a.HTTP.Status, statuses)
	}
	return a
}

// AtOnce expects that the answer did not wait: it came within T.Prompt.
func (a *Answer) AtOnce() *Answer {
	a.t.Check(a.Took <= a.t.Prompt(), "%s was answered after %v, want it at once", a.p.names(), a.Took.Round(time.Millisecond))
	return a
}

// HeldFor expects that the answer came after that time: not a tenth earlier,
// and not much later; what a loaded machine adds is allowed for.
func (a *Answer) HeldFor(d time.Duration) *Answer {
	took := a.Took.Round(time.Millisecond)
	a.t.Check(a.Took >= d*9/10, "%s was answered after %v, want it held for %v", a.p.names(), took, d)
	a.t.Check(a.Took <= d+d/5+a.t.Slack(), "%s was answered after %v, want it held for %v", a.p.names(), took, d)
	return a
}

// pick finds out which request a message answers.
func (p *Pending) pick(m *Message) (int, bool) {
	id, channel := m.Text("id"), m.Channel()
	first := -1
	for i, asked := range p.asked {
		if p.replies[i] != nil || !replyTo(m, channel, asked) {
			continue
		}
		if wanted, has := asked["id"]; has && id != "" && sameID(wanted, id) {
			return i, true
		}
		if first < 0 {
			first = i
		}
	}
	return first, false
}

// replyTo tells whether a message can be the reply to a request, its id apart.
// A message of a broadcast or service channel with data is a delivery, or the
// result of a call, even if it says successful.
func replyTo(m *Message, channel string, asked M) bool {
	want, _ := asked["channel"].(string)
	_, flagged := m.Get("successful")
	switch {
	case strings.HasPrefix(channel, "/meta/"):
		return channel == want
	case channel != "" && channel != want:
		return false
	}
	_, data := m.Get("data")
	id, _ := asked["id"].(string)
	return !data && (flagged || id != "" && m.Text("id") == id)
}

// sameID compares the id of a request with that of a reply, where it is a
// string whatever it was.
func sameID(asked any, got string) bool {
	if s, ok := asked.(string); ok {
		return s == got
	}
	text, err := json.Marshal(asked)
	return err == nil && string(text) == got
}
