package doctor

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
)

// Severity says how much something harms.
type Severity string

// The severities, the worst first.
const (
	// Problem: with stock settings, clients fail or lose time.
	Problem Severity = "problem"
	// Warning: it costs something, or hurts with other settings.
	Warning Severity = "warning"
	// Note: good to know.
	Note Severity = "note"
)

// Finding is something that lies between.
type Finding struct {
	// ID is one of the constants below.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// What says it in a sentence.
	What string `json:"what"`
	// Value is the limit in Unit (s or B), 0 where there is none; it lies
	// between Low and High.
	Value float64 `json:"value,omitempty"`
	Unit  string  `json:"unit,omitempty"`
	Low   float64 `json:"low,omitempty"`
	High  float64 `json:"high,omitempty"`
	// Remedies are what to change, and where.
	Remedies []Remedy `json:"remedies"`
}

// The findings.
const (
	MaxDuration       = "max-duration"
	IdleCut           = "idle-cut"
	ResponseCap       = "response-cap"
	ResponseAltered   = "response-altered"
	StoreAndForward   = "store-and-forward"
	FirstBytesHeld    = "first-bytes-held"
	PiecesHeld        = "pieces-held"
	UpgradeStripped   = "upgrade-stripped"
	UpgradeRefused    = "upgrade-refused"
	UpgradeBlackHole  = "upgrade-black-hole"
	WebSocketIdleCut  = "websocket-idle-cut"
	WebSocketLifetime = "websocket-lifetime"
	WebSocketFrameCap = "websocket-frame-cap"
	CookieStripped    = "cookie-stripped"
	HTTP10            = "http-1.0"
	Compression       = "compression"
	ClockOffset       = "clock-offset"
	Connections       = "connections"
)

const (
	// stockHold is how long a server holds a poll that nobody told otherwise, in
	// seconds. A cut below it hurts everybody.
	stockHold = 20
	// stockResponse is the most that CometD's Java client takes, in bytes.
	stockResponse = 1 << 20
	// clockSlack is the offset of clocks that nobody minds, in seconds.
	clockSlack = 2
)

// Judge names what lies between, the worst first; nothing on a clean path. It is
// a function of what was seen.
func Judge(o Observations) []Finding {
	all := append([]Finding{}, slices.Concat(judgeHolds(o), judgeBodies(o.Bodies), judgeDrips(o.Drips), judgeSocket(o), judgeFacts(o))...)
	for i := range all {
		all[i].Remedies = remedies(all[i])
	}
	rank := map[Severity]int{Problem: 0, Warning: 1, Note: 2}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	return all
}

// judgeHolds tells a limit of the whole time from one of silence: by an answer
// that flows.
func judgeHolds(o Observations) []Finding {
	var all []Finding
	away, waited := len(turnedAway(o.Holds)), queued(o.Holds)
	if e, found := cutOf(o.Holds); found {
		if away == len(o.Holds) {
			away = 0
		}
		f := Finding{ID: MaxDuration, Severity: Warning, Unit: "s", Value: e.at, Low: e.low, High: e.high}
		switch {
		case o.Flow == nil || o.Flow.Outcome == Skipped:
			f.ID = IdleCut
			f.What = fmt.Sprintf("A request that waits for its answer is cut after %s%s. Whether only silent ones are could not be seen.", times(e.at), e.how())
		case flows(*o.Flow, e.at):
			f.ID = IdleCut
			f.What = fmt.Sprintf("A request is cut after %s without a byte%s. One that is answered in pieces lives.", times(e.at), e.how())
		default:
			f.What = fmt.Sprintf("A request is cut after %s, whether bytes flow or not%s.", times(e.at), e.how())
		}
		o.weigh(&f)
		all = append(all, f)
	} else if o.Flow != nil && o.Flow.Outcome == Cut && o.Flow.Took > 0 && o.Flow.Count > 1 {
		at := float64(o.Flow.Took)
		all = append(all, Finding{
			ID: MaxDuration, Severity: Warning, Unit: "s", Value: at, Low: at, High: at,
			What: fmt.Sprintf("An answer that comes in pieces is cut after %s; silent ones are not.", times(at)),
		})
	}
	if away+waited >= 2 {
		all = append(all, Finding{
			ID: Connections, Severity: Warning, Value: float64(len(o.Holds) - away - waited),
			What: fmt.Sprintf("Of %d requests at the same time %d were turned away at once and %d had to wait for others: the path limits connections.", len(o.Holds), away, waited),
		})
	}
	return all
}

// weigh says how much a cut harms. Where the server has said how long it holds,
// what is cut long after that hurts nobody, and may be its own doing.
func (o Observations) weigh(f *Finding) {
	const margin = 1.25
	hold := float64(o.Advised)
	switch {
	case hold > 0 && f.Value > hold*margin:
		f.Severity = Note
		f.What += fmt.Sprintf(" The server answers within %s.", times(hold))
	case f.Value < max(hold, stockHold)*margin:
		f.Severity = Problem
	}
}

// flows tells whether the answer in pieces outlived the cut.
func flows(d Drip, cut float64) bool {
	return d.Outcome == OK || d.lived() > cut*agree
}

// lived is how long something that flowed did. Where it ended without a word it
// ended with what came last.
func (t Try) lived() float64 {
	if t.Outcome == Late {
		return float64(t.Last)
	}
	return float64(t.Took)
}

func (e estimate) how() string {
	switch {
	case e.unsteady:
		return ", but not always"
	case e.status >= http.StatusInternalServerError:
		return fmt.Sprintf(", with status %d", e.status)
	case e.status == 0 && e.low != 0 && math.Abs(e.high-e.low) > 0.2*e.at:
		return fmt.Sprintf(" (between %s and %s: nothing says so, answers just do not come)", times(e.low), times(e.high))
	}
	return ""
}

func judgeBodies(bodies []Body) []Finding {
	var low, high int64 = 0, math.MaxInt64
	worst := Body{}
	fails := 0
	for _, b := range bodies {
		switch b.Outcome {
		case OK:
			low = max(low, b.Asked)
		case Early:
			low = max(low, b.Got)
		case Skipped:
		default:
			fails++
			if b.Asked < high {
				high, worst = b.Asked, b
			}
		}
	}
	if fails < 2 || high <= low {
		return nil
	}
	if worst.Outcome == Altered {
		return []Finding{{
			ID: ResponseAltered, Severity: Problem, Value: float64(high), Unit: "B", Low: float64(low), High: float64(high),
			What: fmt.Sprintf("An answer of %s came with other bytes than the server had sent.", sizes(float64(high))),
		}}
	}
	f := Finding{ID: ResponseCap, Severity: Problem, Unit: "B", Value: math.Sqrt(float64(max(low, 1)) * float64(high)), Low: float64(low), High: float64(high)}
	if low >= stockResponse {
		f.Severity = Warning
	}
	if low == 0 {
		f.Value = float64(high)
	}
	how := "are cut off"
	switch worst.Outcome {
	case Refused:
		how = fmt.Sprintf("are replaced by status %d", worst.Status)
	case Late:
		how = "stop coming half-way"
	default:
	}
	f.What = fmt.Sprintf("Answers larger than %s %s.", sizes(f.Value), how)
	return []Finding{f}
}

// judgeDrips looks at what was held back in all tries of a kind.
func judgeDrips(drips []Drip) []Finding {
	small, large := steadily(drips, true), steadily(drips, false)
	switch {
	case small == nil || small.pieces == 0:
		return nil
	case small.trailing:
		return []Finding{{ID: PiecesHeld, Severity: Warning, What: "Each piece of an answer is held back until the next one comes."}}
	case small.all && (large == nil || large.all):
		return []Finding{{ID: StoreAndForward, Severity: Warning, What: "An answer is held back until it is whole: pieces that the server sends one by one come together at its end."}}
	}
	if small.all && large.trailing {
		block := float64(max(large.lagging, 1) * large.more)
		return []Finding{{
			ID: PiecesHeld, Severity: Warning, Value: block, Unit: "B", High: block,
			What: fmt.Sprintf("What comes of an answer is held back until some %s are together, again and again, or until its end.", sizes(block)),
		}}
	}
	held := small
	if small.all { // it ended before as much had come
		held = large
	}
	if held.pieces == 0 { // by the first larger piece
		held = &holding{bytes: small.bytes, more: large.more - small.bytes, seconds: small.seconds}
	}
	value := float64(held.bytes) + float64(held.more)/2
	return []Finding{{
		ID: FirstBytesHeld, Severity: Warning, Value: value, Unit: "B", Low: float64(held.bytes), High: float64(held.bytes + held.more),
		What: fmt.Sprintf("The first bytes of an answer are held back: some %s, here for %s. What follows flows.", sizes(value), times(held.seconds)),
	}}
}

// steadily returns the least that was held back of several tries; nil where none
// came whole.
func steadily(drips []Drip, small bool) *holding {
	var least *holding
	for _, d := range drips {
		if d.Outcome != OK || small != (d.Bytes < 1024) {
			continue
		}
		if h := d.held(); least == nil || h.pieces < least.pieces {
			least = &h
		}
	}
	return least
}

func judgeFacts(o Observations) []Finding {
	var all []Finding
	is := func(p *bool) bool { return p == nil || *p }
	switch {
	case !is(o.Cookies.Sent) && !is(o.Cookies.Set):
		all = append(all, Finding{ID: CookieStripped, Severity: Problem, What: "Cookies are lost both ways: what we send does not arrive, and what the server sets does not come."})
	case !is(o.Cookies.Sent):
		all = append(all, Finding{ID: CookieStripped, Severity: Problem, What: "Cookies that we send do not arrive at the server."})
	case !is(o.Cookies.Set):
		all = append(all, Finding{ID: CookieStripped, Severity: Problem, What: "Cookies that the server sets do not come."})
	}
	const old = "HTTP/1.0"
	switch {
	case o.Proto == old && o.ServerProto == old:
		all = append(all, Finding{ID: HTTP10, Severity: Warning, What: "Requests arrive as HTTP/1.0, and answers come as such: each takes a connection of its own, and there are no WebSockets."})
	case o.ServerProto == old:
		all = append(all, Finding{ID: HTTP10, Severity: Warning, What: "Requests arrive at the server as HTTP/1.0: each takes a connection of its own there, and there are no WebSockets."})
	case o.Proto == old:
		all = append(all, Finding{ID: HTTP10, Severity: Warning, What: "Answers come as HTTP/1.0: each takes a connection of its own."})
	}
	if o.Encoding != "" && o.Encoding != "identity" {
		all = append(all, Finding{ID: Compression, Severity: Note, What: fmt.Sprintf("Answers are compressed on the way (%s), which saves bytes and may hold pieces back.", o.Encoding)})
	}
	if c := o.Clock; c != nil && math.Abs(float64(c.Offset))-float64(c.Error) > clockSlack {
		side := "ahead of"
		if c.Offset < 0 {
			side = "behind"
		}
		all = append(all, Finding{
			ID: ClockOffset, Severity: Warning, Value: float64(c.Offset), Unit: "s", Low: float64(c.Offset - c.Error), High: float64(c.Offset + c.Error),
			What: fmt.Sprintf("The server's clock is %s %s ours.", times(math.Abs(float64(c.Offset))), side),
		})
	}
	return all
}
