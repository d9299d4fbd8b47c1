package suite

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// UnreachableError says that there is no Bayeux server to test.
type UnreachableError struct {
	URL    string
	Reason string
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no Bayeux server at %s: %s", e.URL, e.Reason)
}

// learnLimit is how long a silent session is watched. Servers whose sessions
// live longer have their cases of expiry skipped.
const learnLimit = 80 * time.Second

// probe runs a step of learning like a case; it succeeds if nothing failed.
func (r *Runner) probe(ctx context.Context, name string, on On, run func(*T)) bool {
	t := r.newT(ctx, Case{ID: "probe-" + name, Title: "learns: " + name, Level: INFO, Run: run}, on)
	t.lenient = true
	began := time.Now()
	t.execute(r.caseLimit())
	res := t.result(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probes = append(r.probes, res)
	return res.Outcome == Pass
}

// learn learns what is quick to learn, and begins with the rest; the returned
// function waits for that.
func (r *Runner) learn(ctx context.Context) (rest func(), err error) {
	conn, err := r.target.Dial(ctx, newScrap())
	if err != nil {
		return nil, &UnreachableError{r.opts.URL, err.Error()}
	}
	_ = conn.Close()
	r.learnCarriers(ctx)
	if r.facts.carriers == 0 {
		return nil, &UnreachableError{r.opts.URL, r.refusals()}
	}
	for _, one := range r.facts.carriers.Each() {
		r.facts.Transports = append(r.facts.Transports, one.String())
	}
	var quick, slow sync.WaitGroup
	for _, step := range r.quickSteps(ctx) {
		quick.Go(step)
	}
	quick.Wait()
	slow.Go(func() { r.watch.run(ctx, r) })
	slow.Go(func() { r.learnHold(ctx) })
	slow.Go(func() { r.learnExpiry(ctx) })
	return slow.Wait, nil
}

// refusals tells why no handshake succeeded.
func (r *Runner) refusals() string {
	for _, p := range r.probes {
		for _, n := range p.Notes {
			return p.Transport + ": " + n.Text
		}
	}
	return "no handshake succeeded"
}

func (r *Runner) allowed(on On) bool {
	return len(r.opts.Transports) == 0 || slices.Contains(r.opts.Transports, on.String())
}

// learnCarriers tries a handshake on each carrier.
func (r *Runner) learnCarriers(ctx context.Context) {
	var wg sync.WaitGroup
	for _, on := range (LP | CP | WS | H2).Each() {
		if !r.allowed(on) {
			continue
		}
		wg.Go(func() {
			if r.tryCarrier(ctx, on) {
				r.mu.Lock()
				r.facts.carriers |= on
				r.mu.Unlock()
			}
		})
	}
	wg.Wait()
	if r.facts.carriers.Has(LP) && r.allowed(ES) && r.probe(ctx, "stream", ES, func(t *T) { t.Connected() }) {
		r.facts.carriers |= ES
	}
}

func (r *Runner) tryCarrier(ctx context.Context, on On) bool {
	return r.probe(ctx, "handshake", on, func(t *T) {
		c := t.Client()
		a := c.Send(c.HandshakeMessage())
		m := a.Reply(0)
		t.Require(m.OK(), "the handshake failed: %s", short(m.Raw))
		if on == H2 {
			t.Require(a.HTTP.Proto == "HTTP/2.0", "the server answers with %s", a.HTTP.Proto)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if on == LP || r.facts.Advice == nil {
			r.facts.advise(m)
		}
		if on == LP {
			r.facts.ContentType, r.facts.Server = a.HTTP.Header.Get("Content-Type"), a.HTTP.Header.Get("Server")
			for _, set := range (&http.Response{Header: a.HTTP.Header}).Cookies() {
				r.facts.Cookie = set.Name
			}
		}
	})
}

// first returns the carrier on which the rest is learned.
func (r *Runner) first() On {
	for _, on := range []On{LP, WS, CP, H2} {
		if r.facts.carriers.Has(on) {
			return on
		}
	}
	return LP
}

func (r *Runner) quickSteps(ctx context.Context) []func() {
	on := r.first()
	note := func(to *bool, name string, run func(*T)) func() {
		return func() {
			ok := r.sure(ctx, name, run)
			r.mu.Lock()
			defer r.mu.Unlock()
			*to = ok
		}
	}
	return []func(){
		note(&r.facts.BareObjects, "bare object", func(t *T) {
			t.Require(t.Client().SendRaw(`{"channel":"/meta/handshake","id":"1","version":"1.0",`+
				`"supportedConnectionTypes":["`+on.connectionType()+`"]}`).Reply(0).OK(), "refused")
		}),
		note(&r.facts.CookieNeeded, "cookie", func(t *T) {
			t.Require(on != WS && r.facts.Cookie != "", "no cookie is set")
			c := t.Session()
			kept := c.Cookies()
			c.SetCookies(r.opts.cookies()...)
			t.Check(!c.Connect(M{"advice": M{"timeout": 0}}).OK(), "the session is known without its cookie")
			c.SetCookies(kept...)
		}),
		note(&r.facts.Ack, "ack", func(t *T) {
			c := t.Client()
			c.Handshake(M{"ext": M{"ack": true}}).Has("ext.ack")
		}),
		note(&r.facts.Timesync, "timesync", func(t *T) {
			c := t.Client()
			now := time.Now().UnixMilli()
			c.Handshake(M{"ext": M{"timesync": M{"tc": now, "l": 0, "o": 0}}}).Has("ext.timesync.ts")
		}),
		note(&r.facts.Delivery, "delivery", func(t *T) {
			c := t.Connected()
			c.Subscribe(t.Channel("a")).Successful()
			t.Helper().Publish(t.Channel("a"), "x").Successful()
			c.Receive(t.Channel("a"))
		}),
	}
}

// sure is probe for what much depends on: a busy machine gets a second chance.
func (r *Runner) sure(ctx context.Context, name string, run func(*T)) bool {
	return r.probe(ctx, name, r.first(), run) || ctx.Err() == nil && r.probe(ctx, name, r.first(), run)
}

// learnHold times connects that nothing answers but their time: several side
// by side, of which the shortest counts, for load only makes them longer.
func (r *Runner) learnHold(ctx context.Context) {
	var held []time.Duration
	ok := r.sure(ctx, "hold", func(t *T) {
		const sessions = 3
		held = held[:0]
		all := make([]*Pending, 0, sessions)
		for range sessions {
			all = append(all, t.Connected().Hold())
		}
		for _, p := range all {
			a := p.Wait()
			t.Require(a.Reply(0).OK(), "the connect failed")
			held = append(held, a.Took)
		}
	})
	const least = 300 * time.Millisecond
	switch {
	case !ok:
		r.facts.hold.set(0, "no connect could be held")
	case slices.Min(held) < least:
		r.facts.hold.set(0, fmt.Sprintf("connects are answered after %v", slices.Min(held).Round(time.Millisecond)))
	default:
		r.facts.hold.set(r.facts.likely(slices.Min(held)), "")
	}
}

// look is what became of a session that was left alone.
type look struct {
	quiet, answered time.Duration // how long it had been when it was asked, and when it had answered
	alive           bool
}

// learnExpiry leaves sessions alone for growing times, side by side, until one
// is gone.
func (r *Runner) learnExpiry(ctx context.Context) {
	why := fmt.Sprintf("sessions were still there after %v", learnLimit)
	var gone *look
	ok := r.sure(ctx, "expiry", func(t *T) {
		gone = nil
		times := growing(learnLimit)
		looks := make(chan look, len(times))
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for _, at := range times {
			wg.Go(func() { t.leaveAlone(at, stop, looks) })
		}
		for range times {
			if l := <-looks; !l.alive {
				gone = &l
				break
			}
		}
		close(stop)
		wg.Wait()
	})
	switch {
	case !ok:
		r.facts.expiry.set(Lifetime{}, "the probe failed")
	case gone == nil:
		r.facts.expiry.set(Lifetime{}, why)
	default:
		// Sweepers come by about once a second: another session may end a little
		// earlier or later than the one that was seen.
		r.facts.expiry.set(Lifetime{Alive: gone.quiet * 6 / 10, Gone: gone.answered + 2*time.Second}, "")
	}
}

// leaveAlone makes a session, leaves it alone, and looks whether it is there.
func (t *T) leaveAlone(d time.Duration, stop <-chan struct{}, looks chan<- look) {
	l := look{alive: true} // what a session counts as that could not be looked at
	defer func() { looks <- l }()
	c := t.Connected()
	since := time.Now()
	c.Close()
	select {
	case <-time.After(d):
	case <-stop:
		return
	case <-t.ctx.Done():
		return
	}
	again := t.Client()
	again.ID = c.ID
	again.ShareCookies(c)
	quiet := time.Since(since)
	alive := again.Connect(M{"advice": M{"timeout": 0}}).OK()
	l = look{quiet, time.Since(since), alive}
}

// growing returns the times at which sessions are looked at.
func growing(limit time.Duration) []time.Duration {
	var times []time.Duration
	for at := 500 * time.Millisecond; at <= limit; at += max(at/8, 250*time.Millisecond) {
		times = append(times, at.Round(time.Millisecond))
	}
	return times
}
