package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/halleypush/halley/internal/probe"
)

const (
	// mostBacklog is the largest answer that servers are made to give: below
	// what Halley puts into one.
	mostBacklog = 900 << 10
	// leastBacklog is one message.
	leastBacklog = 10 << 10
	// dataBytes is the data of a message, batchMessages how many go in one
	// request: together below the strictest bound of a server.
	dataBytes, batchMessages = 8000, 7
)

// bayeux examines by what stock clients say.
func (m *meter) bayeux(ctx context.Context) (*Observations, error) {
	o := &Observations{Mode: ModeBayeux, Untested: []string{}}
	if m.Token == "" {
		o.untested("all that needs the server's help, for no --token was given (halley serve --doctor-token)")
	} else {
		o.untested("all that needs the server's help: it has no probe endpoint (halley serve --doctor-token)")
	}
	types, err := m.greet(ctx, o)
	if err != nil {
		return nil, err
	}
	if !lost(o.Cookies) {
		m.polls(ctx, o, types)
	} else {
		o.untested("anything else: without cookies there is no session")
	}
	o.untested("whether cuts count silence or the whole time; held-back bytes; compression; what the server sees of requests")
	return o, nil
}

func lost(c Cookies) bool { return c.Sent != nil && !*c.Sent || c.Set != nil && !*c.Set }

// greet shakes hands and connects once.
func (m *meter) greet(ctx context.Context, o *Observations) (types []string, err error) {
	p, s := m.poll()
	defer p.close()
	defer s.leave(ctx)
	shaken, err := s.ask(ctx, quickly, s.next(message{
		Channel: metaHandshake, Version: "1.0", Minimum: "1.0", Types: []string{webSocket, longPolling}, Ext: withTimesync(m.Ext),
	}))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: handshake: %w", ErrUnreachable, err)
	case !shaken.ok() || shaken.ClientID == "":
		return nil, fmt.Errorf("%w: the server refuses the handshake: %s (credentials go into --handshake-ext or --header)", ErrUnreachable, shaken.Error)
	}
	s.id = shaken.ClientID
	o.Proto, o.Server, o.Via = p.last.Proto, p.last.Header.Get("Server"), p.last.Header.Values("Via")
	o.Clock = clockOf(p, shaken)
	if shaken.Advice != nil && shaken.Advice.Timeout != nil {
		o.Advised = Seconds(float64(*shaken.Advice.Timeout) / 1000)
	}
	cookie := len(p.cookies) > 0
	err = s.connect(ctx, 0, quickly)
	o.RoundTrip = Seconds(p.took.Seconds())
	switch no := false; {
	case err == nil && cookie:
		yes := true
		o.Cookies = Cookies{Set: &yes, Sent: &yes}
	case err == nil:
		o.untested("cookies: the server sets none, or needs none")
	case unknown(err) && cookie:
		o.Cookies.Sent = &no
	case unknown(err):
		o.Cookies.Set = &no
	default:
		return nil, fmt.Errorf("%w: connect: %w", ErrUnreachable, err)
	}
	return shaken.Types, nil
}

// withTimesync adds what the extension timesync asks for to the ext of a
// handshake.
func withTimesync(ext json.RawMessage) json.RawMessage {
	all := map[string]json.RawMessage{}
	if len(ext) > 0 && json.Unmarshal(ext, &all) != nil {
		return ext
	}
	all["timesync"] = json.RawMessage(fmt.Sprintf(`{"tc":%d,"l":0,"o":0}`, time.Now().UnixMilli()))
	with, err := json.Marshal(all)
	if err != nil {
		return ext
	}
	return with
}

// clockOf reads the server's clock from its reply, else from its Date.
func clockOf(p *poll, shaken message) *Clock {
	middle := p.begun.Add(p.took / 2)
	uncertain := p.took.Seconds() / 2
	var ext struct {
		Timesync *struct {
			TS int64 `json:"ts"`
		} `json:"timesync"`
	}
	if json.Unmarshal(shaken.Ext, &ext) == nil && ext.Timesync != nil && ext.Timesync.TS > 0 {
		return &Clock{Offset: Seconds(time.UnixMilli(ext.Timesync.TS).Sub(middle).Seconds()), Error: Seconds(uncertain + 0.001), From: "timesync"}
	}
	if date, err := http.ParseTime(p.last.Header.Get("Date")); err == nil {
		const half = 500 * time.Millisecond // it has whole seconds
		return &Clock{Offset: Seconds(date.Add(half).Sub(middle).Seconds()), Error: Seconds(uncertain + half.Seconds()), From: "Date"}
	}
	return nil
}

// polls measures with sessions of their own.
func (m *meter) polls(ctx context.Context, o *Observations, types []string) {
	m.progress("no probe endpoint; measuring with Bayeux messages for up to %v", m.Plan.Limit)
	var group sync.WaitGroup
	o.Holds = make([]Try, len(m.Plan.Holds))
	for i, d := range m.Plan.Holds {
		group.Go(func() { o.Holds[i] = m.pollHeld(ctx, d) })
	}
	refused := ""
	group.Go(func() { o.Bodies, refused = m.backlogs(ctx) })
	if slices.Contains(types, webSocket) {
		group.Go(func() { o.Socket = m.bayeuxSocket(ctx) })
	} else {
		o.untested("WebSockets: the server does not offer them")
	}
	group.Wait()
	o.early()
	if refused != "" {
		o.untested("the size of answers: %s", refused)
	} else {
		o.untested("answers larger than %s", sizes(mostBacklog))
	}
}

// early tells how long the server holds at most.
func (o *Observations) early() {
	longest, held := Seconds(0), Seconds(0)
	if skipped := slices.IndexFunc(o.Holds, func(t Try) bool { return t.Outcome == Skipped }); skipped >= 0 {
		o.untested("some holds: a session could not be had: %s", o.Holds[skipped].Error)
	}
	for _, t := range o.Holds {
		switch t.Outcome {
		case Early:
			longest = max(longest, t.Took)
		case OK:
			held = max(held, t.Asked)
		default:
		}
	}
	if longest > 0 {
		o.untested("cuts after more than %s: the server answers then, whatever a client asks for", times(float64(max(longest, held))))
	} else {
		o.untested("cuts after more than %s", times(float64(o.Holds[len(o.Holds)-1].Asked)))
	}
}

// pollHeld holds a poll of a session of its own.
func (m *meter) pollHeld(ctx context.Context, d time.Duration) Try {
	p, s := m.poll()
	defer p.close()
	defer s.leave(ctx)
	if err := s.handshake(ctx, m.Ext, quickly); err != nil {
		return Try{Outcome: Skipped, Asked: seconds(d), Error: text(err)}
	}
	t := s.held(ctx, d, m.Plan.Patience)
	if t.Outcome != OK && t.Outcome != Early {
		s.id = "" // it ends by itself: what is cut here may be cut there, too
	}
	return t
}

// backlogs has messages pile up for sessions that do not poll, so that the
// answer to their first poll is as large as is wanted. The text says why it
// could not be done.
func (m *meter) backlogs(ctx context.Context) (all []Body, refused string) {
	writer, out := m.poll()
	defer writer.close()
	defer out.leave(ctx)
	if err := out.handshake(ctx, m.Ext, quickly); err != nil {
		return nil, text(err)
	}
	ask := func(n int64) Body {
		if refused != "" {
			return Body{Outcome: Skipped, Asked: n}
		}
		b, err := m.backlog(ctx, out, n)
		refused = text(err)
		return b
	}
	return bodies(leastBacklog, mostBacklog, ask), refused
}

// backlog asks for one answer of a size. Each has a session of its own, for
// what did not come may come again.
func (m *meter) backlog(ctx context.Context, out *session, n int64) (Body, error) {
	reader, in := m.poll()
	defer reader.close()
	defer in.leave(ctx)
	b := Body{Outcome: Skipped, Asked: n}
	if err := in.handshake(ctx, m.Ext, quickly); err != nil {
		return b, err
	}
	channel := "/halley/doctor/" + rand.Text()
	subscribed, err := in.ask(ctx, quickly, in.next(message{Channel: metaSubscribe, Subscription: channel}))
	if err != nil || !subscribed.ok() {
		return b, fmt.Errorf("the server does not let us subscribe to %s: %s%s", channel, subscribed.Error, text(err))
	}
	if err := fill(ctx, out, channel, n); err != nil {
		return b, fmt.Errorf("the server does not let us publish to %s: %w", channel, err)
	}
	reader.close() // for a connection that carries this answer alone
	return take(ctx, reader, in, n), nil
}

// fill publishes about n bytes.
func fill(ctx context.Context, out *session, channel string, n int64) error {
	data := make([]byte, dataBytes)
	probe.NewFill(dataBytes+4, n).Next(data)
	text := strings.Trim(string(data), `[]"`)
	for left := n / (dataBytes + 150); ; left -= batchMessages {
		batch := make([]message, min(max(left, 1), batchMessages))
		for i := range batch {
			batch[i] = out.next(message{Channel: channel, Data: text})
		}
		got, err := out.ask(ctx, quickly, batch...)
		if err == nil && !got.ok() {
			err = errors.New(got.Error)
		}
		if err != nil || left <= batchMessages {
			return err
		}
	}
}

// take polls for what has piled up.
func take(ctx context.Context, reader *poll, in *session, n int64) Body {
	err := in.connect(ctx, 0, quickly)
	b := Body{Asked: n, Got: reader.size, Outcome: outcome(ctx, err), Error: text(err)}
	if status := new(statusError); errors.As(err, &status) {
		b.Outcome, b.Status = Refused, status.status
	}
	if b.Outcome == OK && b.Got < n*9/10 {
		b.Outcome = Early // the server itself gives no more in one answer
	}
	return b
}

// bayeuxSocket tries WebSockets with sessions of their own.
func (m *meter) bayeuxSocket(ctx context.Context) *Socket {
	s := &Socket{}
	m.greetSocket(ctx, s)
	if s.Echoed.Outcome != OK {
		again := &Socket{}
		m.greetSocket(ctx, again)
		last := again.Echoed
		if again.Opened.Outcome != OK {
			last = again.Opened
		}
		if s.Again = &last; again.Echoed.Outcome != OK {
			return s
		}
	}
	var group sync.WaitGroup
	s.Silences = make([]Try, len(m.Plan.Silences))
	for i, d := range m.Plan.Silences {
		group.Go(func() { s.Silences[i] = m.socketHeld(ctx, d) })
	}
	group.Go(func() {
		t := m.socketLively(ctx)
		s.Lively = &t
	})
	group.Wait()
	return s
}

// frames carries messages by a WebSocket.
type frames struct{ conn *websocket.Conn }

// ask implements carrier.
func (f frames) ask(ctx context.Context, within time.Duration, messages ...message) (message, error) {
	limited, cancel := context.WithTimeoutCause(ctx, within, errLate)
	defer cancel()
	body, err := json.Marshal(messages)
	if err == nil {
		err = f.conn.Write(limited, websocket.MessageText, body)
	}
	for err == nil {
		var got []message
		if _, body, err = f.conn.Read(limited); err == nil {
			err = json.Unmarshal(body, &got)
		}
		if m, none := reply(got, messages[0]); none == nil {
			return m, nil
		}
	}
	if errors.Is(context.Cause(limited), errLate) {
		err = errLate
	}
	return message{}, err
}

func (m *meter) greetSocket(ctx context.Context, s *Socket) {
	l := m.open()
	defer l.close()
	var conn *websocket.Conn
	conn, s.Opened, _ = l.dial(ctx, "", nil)
	s.Echoed.Outcome = Skipped
	if conn == nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	own := &session{carrier: frames{conn}, kind: webSocket}
	begun := time.Now()
	err := own.handshake(ctx, m.Ext, m.Plan.Patience)
	s.Echoed = Try{Outcome: outcome(ctx, err), Took: seconds(time.Since(begun)), Error: text(err)}
	if errors.Is(err, errRefused) {
		s.Echoed.Outcome = OK // something came
	}
	own.leave(ctx)
}

// socketHeld is silent for a time.
func (m *meter) socketHeld(ctx context.Context, d time.Duration) Try {
	l := m.open()
	defer l.close()
	conn, t, _ := l.dial(ctx, "", nil)
	t.Asked = seconds(d)
	if conn == nil {
		t.Outcome = Skipped // what did not open says nothing of silence
		return t
	}
	defer func() { _ = conn.CloseNow() }()
	s := &session{carrier: frames{conn}, kind: webSocket}
	if err := s.handshake(ctx, m.Ext, quickly); err != nil {
		return Try{Outcome: Skipped, Asked: t.Asked, Error: text(err)}
	}
	if t = s.held(ctx, d, m.Plan.Patience); t.Outcome == OK || t.Outcome == Early {
		s.leave(ctx)
	}
	return t
}

// socketLively connects with every beat.
func (m *meter) socketLively(ctx context.Context) Try {
	l := m.open()
	defer l.close()
	conn, t, _ := l.dial(ctx, "", nil)
	if conn == nil {
		return t
	}
	defer func() { _ = conn.CloseNow() }()
	s := &session{carrier: frames{conn}, kind: webSocket}
	if err := s.handshake(ctx, m.Ext, quickly); err != nil {
		return Try{Outcome: Skipped, Error: text(err)}
	}
	begun, last := time.Now(), Seconds(0)
	for count := 0; ; count++ {
		t = s.held(ctx, m.Plan.Beat, m.Plan.Patience)
		if t.Outcome == Early {
			t.Outcome = OK
		}
		if t.Outcome == OK {
			last = seconds(time.Since(begun))
		}
		t.Asked, t.Took, t.Count, t.Last = seconds(m.Plan.Long), seconds(time.Since(begun)), count, last
		if t.Outcome != OK || time.Since(begun) >= m.Plan.Long {
			break
		}
	}
	if t.Outcome == OK {
		s.leave(ctx)
	}
	return t
}
