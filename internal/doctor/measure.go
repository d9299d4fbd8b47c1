package doctor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/halleypush/halley/internal/probe"
)

const (
	// echoes is how often the endpoint is asked who we are, for the fastest of them.
	echoes = 5
	// maxAnswer bounds answers that are read whole.
	maxAnswer = 64 << 10
	// cookieSent is a cookie that the server never set.
	cookieSent = "halley_doctor_sent"
	// textBytes is the size of the answer that would be worth compressing.
	textBytes = 16 << 10
)

// probe examines by the endpoint. Nil, without an error, says that there is
// none.
func (m *meter) probe(ctx context.Context) (*Observations, error) {
	o := &Observations{Mode: ModeProbe, Untested: []string{}}
	there, err := m.look(ctx, o)
	if err != nil || !there {
		return nil, err
	}
	m.progress("the probe endpoint answers; measuring for up to %v", m.Plan.Limit)
	var group sync.WaitGroup
	o.Holds = make([]Try, len(m.Plan.Holds))
	for i, d := range m.Plan.Holds {
		group.Go(func() { o.Holds[i] = m.hold(ctx, d) })
	}
	group.Go(func() {
		count := int(m.Plan.Long/m.Plan.Beat) + 1
		flow := m.drip(ctx, DripPlan{Every: m.Plan.Beat, Count: count, Bytes: 64})
		o.Flow = &flow
	})
	drips := make([][]Drip, len(m.Plan.Drips))
	for i, p := range m.Plan.Drips {
		group.Go(func() { drips[i] = m.drips(ctx, p) })
	}
	group.Go(func() { o.Bodies = bodies(m.Plan.SmallBody, m.Plan.Body, func(n int64) Body { return m.body(ctx, n) }) })
	group.Go(func() { o.Encoding = m.encoding(ctx) })
	group.Go(func() { o.Socket = m.socket(ctx) })
	group.Wait()
	o.Drips = slices.Concat(drips...)
	if n, why := o.skipped(); n > 0 {
		o.untested("%d requests that could not be made: %s", n, why)
	}
	o.untested("cuts after more than %s", times(m.Plan.Long.Seconds()))
	o.untested("answers larger than %s", sizes(float64(m.Plan.Body)))
	return o, nil
}

// look asks who we are to the server, several times over one connection. One
// answer is enough.
func (m *meter) look(ctx context.Context, o *Observations) (there bool, err error) {
	l := m.open()
	defer l.close()
	var set *http.Cookie
	var failed error
	for range echoes {
		cookies := cookieSent + "=1"
		if set != nil {
			cookies += "; " + set.Name + "=" + set.Value
		}
		s, begun, err := l.get(ctx, quickly, probe.PathEcho, nil, http.Header{"Cookie": {cookies}})
		if err != nil {
			failed = fmt.Errorf("%w: %w", ErrUnreachable, err)
			continue
		}
		e, err := echoOf(s)
		took := time.Since(begun)
		s.close()
		switch {
		case err != nil:
			failed = err
		case e == nil && !there:
			return false, nil
		case e != nil:
			there = true
			set = m.cookies(o, s, e, set)
			o.seen(s, e, begun, took)
		}
	}
	if there {
		return true, nil
	}
	return false, failed
}

// seen keeps what an echo tells; of times the fastest.
func (o *Observations) seen(s *sent, e *probe.Echo, begun time.Time, took time.Duration) {
	o.KeptAlive = o.KeptAlive || s.reused
	if rtt := Seconds(took.Seconds()); o.Echo == nil || rtt < o.RoundTrip {
		o.RoundTrip = rtt
		o.Clock = &Clock{Offset: Seconds(time.UnixMilli(e.Time).Sub(begun.Add(took / 2)).Seconds()), Error: rtt/2 + 0.001, From: "probe"}
	}
	if o.Echo == nil {
		o.Echo, o.Proto, o.ServerProto = e, s.Proto, e.Proto
		o.Server, o.Via = s.Header.Get("Server"), s.Header.Values("Via")
	}
}

// cookies notes what became of them, and returns the one to send from now on.
func (*meter) cookies(o *Observations, s *sent, e *probe.Echo, set *http.Cookie) *http.Cookie {
	arrived := slices.Contains(e.Cookies, cookieSent)
	if o.Cookies.Sent == nil || !arrived {
		o.Cookies.Sent = &arrived
	}
	at := slices.IndexFunc(s.Cookies(), func(c *http.Cookie) bool { return c.Name == probe.CookieSet })
	came := at >= 0
	if o.Cookies.Set == nil || !came {
		o.Cookies.Set = &came
	}
	if came {
		return s.Cookies()[at]
	}
	return set
}

// echoOf reads the answer; nil says that there is no endpoint.
func echoOf(s *sent) (*probe.Echo, error) {
	body, err := io.ReadAll(io.LimitReader(s.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	var e probe.Echo
	switch {
	case s.StatusCode == http.StatusForbidden && bytes.HasPrefix(body, []byte(endpoint)):
		return nil, ErrToken
	case s.StatusCode == http.StatusTooManyRequests, s.StatusCode == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("%w: %s: %s", ErrUnreachable, s.Status, strings.TrimSpace(string(body[:min(len(body), 200)])))
	case s.StatusCode != http.StatusOK || json.Unmarshal(body, &e) != nil || e.Time == 0:
		return nil, nil //nolint:nilnil,nilerr // there is none
	}
	return &e, nil
}

// hold asks for an answer after a time.
func (m *meter) hold(ctx context.Context, d time.Duration) Try {
	l := m.open()
	defer l.close()
	t := Try{Asked: seconds(d)}
	s, begun, err := l.get(ctx, d+m.Plan.Patience, probe.PathHold, url.Values{probe.ParamFor: {d.String()}}, nil)
	if err == nil {
		var body []byte
		body, err = m.whole(s)
		s.close()
		var held probe.Held
		if t.Status = s.StatusCode; err == nil && (t.Status != http.StatusOK || json.Unmarshal(body, &held) != nil) {
			t.Outcome, t.Error = refusal(t.Status, body)
		}
	}
	t.Took = seconds(time.Since(begun))
	if t.Outcome == "" {
		t.Outcome, t.Error = outcome(ctx, err), text(err)
	}
	return t
}

// refusal is the outcome of another answer than was due: Skipped where it is
// the endpoint's own, which has its bounds.
func refusal(status int, said []byte) (Outcome, string) {
	if (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && bytes.HasPrefix(said, []byte(endpoint)) {
		return Skipped, strings.TrimSpace(string(said[:min(len(said), 200)]))
	}
	return Refused, ""
}

// endpoint begins what the endpoint says when it refuses.
const endpoint = "doctor:"

// whole reads a small answer.
func (m *meter) whole(s *sent) ([]byte, error) {
	body := patient(s.Body, m.Plan.Patience, s.cancel)
	defer body.stop()
	return io.ReadAll(io.LimitReader(body, maxAnswer))
}

// drips asks for an answer in pieces, and again where they did not come as they
// were sent.
func (m *meter) drips(ctx context.Context, p DripPlan) []Drip {
	const most = 3
	var all []Drip
	for range most {
		d := m.drip(ctx, p)
		if all = append(all, d); d.Outcome == OK && d.held().pieces == 0 {
			break
		}
	}
	return all
}

func (m *meter) drip(ctx context.Context, p DripPlan) Drip {
	l := m.open()
	defer l.close()
	lasts := time.Duration(p.Count-1) * p.Every
	d := Drip{Try: Try{Asked: seconds(lasts)}, Every: seconds(p.Every), Bytes: p.Bytes, Sent: []Seconds{}, Came: []Seconds{}}
	s, begun, err := l.get(ctx, lasts+m.Plan.Patience, probe.PathDrip, url.Values{
		probe.ParamEvery: {p.Every.String()}, probe.ParamCount: {strconv.Itoa(p.Count)}, probe.ParamBytes: {strconv.FormatInt(p.Bytes, 10)},
	}, nil)
	if err == nil {
		d.Status = s.StatusCode
		if d.Status == http.StatusOK {
			err = d.read(s, begun, lasts+m.Plan.Patience, p.Count)
		} else {
			said, _ := m.whole(s) // what it says is enough
			d.Outcome, d.Error = refusal(d.Status, said)
		}
		s.close()
	}
	d.Took, d.Count = seconds(time.Since(begun)), len(d.Came)
	if d.Count > 0 {
		d.Last = d.Came[d.Count-1]
	}
	if d.Outcome == "" {
		d.Outcome, d.Error = outcome(ctx, err), text(err)
	}
	return d
}

// read reads the pieces. Held-back ones may come as late as the last, so that
// it is the whole answer that must come in time.
func (d *Drip) read(s *sent, begun time.Time, within time.Duration, count int) error {
	body := until(s.Body, within-time.Since(begun), s.cancel)
	defer body.stop()
	in := bufio.NewReaderSize(body, probe.MaxFrame)
	for range count {
		line, err := in.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		var drop probe.Drop
		if err := json.Unmarshal(line, &drop); err != nil {
			return err
		}
		d.Sent = append(d.Sent, Seconds(float64(drop.Millis)/1000))
		d.Came = append(d.Came, seconds(time.Since(begun)))
	}
	return nil
}

// bodies finds the largest answer that comes: the largest at once, else by
// halving the ratio between one that came and one that did not.
func bodies(low, high int64, ask func(int64) Body) []Body {
	const (
		ratio = 1.08
		steps = 14
	)
	var all []Body
	try := func(n int64) bool {
		all = append(all, ask(n))
		last := all[len(all)-1].Outcome
		return last == OK || last == Early
	}
	for range 2 { // once may be an accident
		if try(high) {
			return all
		}
	}
	if !try(low) {
		return all
	}
	for n := 0; n < steps && float64(high)/float64(low) > ratio; n++ {
		if all[len(all)-1].Outcome == Skipped {
			break
		}
		if mid := int64(math.Sqrt(float64(low) * float64(high))); try(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return all
}

// body asks for bytes that do not compress, and compares them.
func (m *meter) body(ctx context.Context, n int64) Body {
	l := m.open()
	defer l.close()
	b := Body{Asked: n}
	const seed = 1
	s, _, err := l.get(ctx, quickly, probe.PathBody, url.Values{
		probe.ParamBytes: {strconv.FormatInt(n, 10)}, probe.ParamSeed: {strconv.Itoa(seed)},
	}, nil)
	if err != nil {
		b.Outcome, b.Error = outcome(ctx, err), text(err)
		return b
	}
	defer s.close()
	if b.Status = s.StatusCode; b.Status != http.StatusOK {
		said, _ := m.whole(s) // what it says is enough
		b.Outcome, b.Error = refusal(b.Status, said)
		return b
	}
	in := patient(s.Body, m.Plan.Patience, s.cancel)
	defer in.stop()
	same, err := b.compare(in, probe.NewFill(n, seed))
	b.Error = text(err)
	switch {
	case err != nil:
		b.Outcome = outcome(ctx, err)
	case !same:
		b.Outcome = Altered
	case b.Got < n:
		b.Outcome = Cut
	default:
		b.Outcome = OK
	}
	return b
}

// compare reads to the end, and no further than something is wrong.
func (b *Body) compare(in io.Reader, fill *probe.Fill) (same bool, err error) {
	got, want := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, err := in.Read(got)
		if k := fill.Next(want[:n]); !bytes.Equal(got[:n], want[:k]) {
			return false, nil
		}
		b.Got += int64(n)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
	}
}

// encoding asks for an answer that is worth compressing, and returns how it was
// compressed.
func (m *meter) encoding(ctx context.Context) string {
	l := m.open()
	defer l.close()
	s, _, err := l.get(ctx, quickly, probe.PathText, url.Values{probe.ParamBytes: {strconv.Itoa(textBytes)}}, http.Header{"Accept-Encoding": {"gzip, deflate, br"}})
	if err != nil {
		return ""
	}
	defer s.close()
	_, _ = m.whole(s) // its head says it
	return s.Header.Get("Content-Encoding")
}
