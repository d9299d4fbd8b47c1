package server

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/queue"
)

// slowChoice is where the slow-consumer policy of a session's messages comes
// from: what server code has set, the channel's, the option's.
type slowChoice struct {
	own    bayeux.SlowConsumer
	bounds bool // server code has set the bounds of the queue
}

func (s *session) policyLocked(channel bayeux.SlowConsumer) bayeux.SlowConsumer {
	return cmp.Or(s.slow.own, channel, s.made.slow)
}

var _ bayeux.Backlog = (*session)(nil)

// Queued implements bayeux.Backlog.
func (s *session) Queued() (messages int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.Len(), s.queue.Bytes()
}

// SetMaxQueue implements bayeux.Backlog.
func (s *session) SetMaxQueue(messages int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow.bounds = true
	s.fillLocked().SetLimits(queue.Limits{Messages: messages, Bytes: bytes})
}

// SetSlowConsumer implements bayeux.Backlog.
func (s *session) SetSlowConsumer(p bayeux.SlowConsumer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slow.own = p; p >= bayeux.SlowPolicies {
		s.slow.own = bayeux.SlowUnset
	}
}

// QueueMaxed is what a listener to full queues is told.
type QueueMaxed struct {
	// Session is whose queue has no room. Its bayeux.Backlog says how much there
	// is in it, and can change the policy and the bounds.
	Session bayeux.Session
	// Limit is the option whose bound was met, maxQueue or maxQueueBytes, and Max
	// the bound.
	Limit string
	Max   int64
	// Channel is the broadcast channel of the message that has no room, empty
	// for others.
	Channel string
	// Policy is what is going to act.
	Policy bayeux.SlowConsumer
}

// OnQueueMaxed has f called when the queue of a session has no room for a
// message, before the slow-consumer policy acts: f may change policy or bounds,
// which then count for this message already, or end the session. It is called
// for the first such message, and again only after the queue was half full at
// most. The publisher waits for the call, no longer than ExtensionTimeout; no
// lock is held, and a panic is contained. The returned function ends that.
func (srv *Server) OnQueueMaxed(f func(ctx context.Context, q QueueMaxed)) (remove func()) {
	hook := maxedHook(f)
	return srv.maxed.add(&hook)
}

// maxedHook is a listener to full queues.
type maxedHook func(ctx context.Context, q QueueMaxed)

// tellMaxed calls the listeners to full queues if f has no room, and that is
// news.
func (s *session) tellMaxed(ctx context.Context, f *bayeux.Frozen, channel bayeux.SlowConsumer) {
	s.mu.Lock()
	full := (*queue.FullError)(nil)
	if !s.over {
		full = s.fillLocked().Maxed(f)
	}
	e := QueueMaxed{Session: s, Channel: f.Channel, Policy: s.policyLocked(channel)}
	s.mu.Unlock()
	if full == nil {
		return
	}
	e.Limit, e.Max = limitOption(full.Limit), full.Max
	for _, hook := range s.srv.maxed.all() {
		_ = s.srv.within(ctx, s, "listener to full queues", func(ctx context.Context) error {
			(*hook)(ctx, e)
			return nil
		})
	}
}

// limitOption is the option that sets a bound of the queue.
func limitOption(limit string) string {
	if limit == queue.LimitBytes {
		return "maxQueueBytes"
	}
	return "maxQueue"
}

// totalLimit is the limit on all queues together.
const totalLimit = "totalQueueBytes"

// slowAction is what was done to a message or a session.
type slowAction int

const (
	slowDropped slowAction = iota
	slowReplaced
	slowEnded
	slowActions
)

func (a slowAction) String() string {
	return [...]string{"dropped", "replaced", "ended"}[a]
}

// slowCounters count what was done, by policy, limit and action. Adding needs no
// lock.
type slowCounters struct {
	n [bayeux.SlowPolicies][3][slowActions]atomic.Uint64
	// logs bound the lines of the log, one kind for each policy.
	logs [bayeux.SlowPolicies]slowLog
}

func slowLimits() [3]string { return [...]string{"maxQueue", "maxQueueBytes", totalLimit} }

func (c *slowCounters) add(p bayeux.SlowConsumer, limit string, a slowAction, n int) {
	for i, name := range slowLimits() {
		if name == limit {
			c.n[p][i][a].Add(uint64(max(n, 0)))
		}
	}
}

// SlowCount tells how often a slow-consumer policy did something.
type SlowCount struct {
	// Policy is its name; Limit the option or limit that was met.
	Policy, Limit string
	// Action is "dropped", messages; "replaced", messages by newer ones; or
	// "ended", sessions.
	Action string
	Count  uint64
}

// all returns the counts that are not zero.
func (c *slowCounters) all() []SlowCount {
	var out []SlowCount
	for p := range bayeux.SlowPolicies {
		for i, limit := range slowLimits() {
			for a := range slowActions {
				if n := c.n[p][i][a].Load(); n > 0 {
					out = append(out, SlowCount{p.String(), limit, a.String(), n})
				}
			}
		}
	}
	return out
}

// addLimits adds what was cut or refused to the counts by limit.
func addLimits(limits limitCounts, counts []SlowCount) {
	for _, c := range counts {
		switch {
		case c.Action == slowReplaced.String():
		case c.Limit == totalLimit:
			limits.limit("totalQueue", c.Count)
		default:
			limits.limit("queue", c.Count)
		}
	}
}

// limitCounts are counts by limit.
type limitCounts map[string]uint64

func (l limitCounts) limit(name string, n uint64) { l[name] += n }

// slowLog lets a line pass each slowLogEvery and counts for it meanwhile.
type slowLog struct {
	next  atomic.Int64 // Unix time in nanoseconds
	since atomic.Uint64
}

const slowLogEvery = time.Second

// due adds n and returns the sum since the last line, if one is due.
func (l *slowLog) due(now time.Time, n int) (sum uint64, ok bool) {
	l.since.Add(uint64(max(n, 0)))
	next := l.next.Load()
	if now.UnixNano() < next || !l.next.CompareAndSwap(next, now.Add(slowLogEvery).UnixNano()) {
		return 0, false
	}
	return l.since.Swap(0), true
}

// slowConsumer counts and logs what a policy did for a message to s, and ends
// the session where the policy wants that ([R-DL-8], WIRE 16).
func (srv *Server) slowConsumer(s *session, p bayeux.SlowConsumer, o queue.Outcome) {
	limit, now := limitOption(o.Limit), srv.now()
	if o.Replaced > 0 {
		srv.slow.add(bayeux.SlowConflate, limit, slowReplaced, o.Replaced)
		srv.logSlow(now, bayeux.SlowConflate, o.Replaced, limit, o.Max, s, "newer messages replace older ones")
	}
	for policy, n := range o.Dropped {
		if p := bayeux.SlowConsumer(policy); n > 0 {
			srv.slow.add(p, limit, slowDropped, n)
			srv.logSlow(now, p, n, limit, o.Max, s, "messages are dropped")
		}
	}
	if !o.Queued && p == bayeux.SlowDisconnect {
		srv.endSlow(s, limit, o.Max)
	}
}

// endSlow ends a session for a limit. Its queue is dropped at once: as long as
// it counts, others would be ended for it. Of several publishers at the same time
// one ends it.
func (srv *Server) endSlow(s *session, limit string, most int64) {
	s.mu.Lock()
	p := s.port
	s.mu.Unlock()
	if !s.end(machine.ReasonSlowConsumer) {
		return
	}
	srv.slow.add(bayeux.SlowDisconnect, limit, slowEnded, 1)
	srv.logSlow(srv.now(), bayeux.SlowDisconnect, 1, limit, most, s, "the session ends")
	s.mu.Lock()
	s.queue.Clear()
	s.mu.Unlock()
	if p != nil {
		p.link.Close(closePolicy, "queue limit reached")
	}
}

// logSlow writes a line, at most one each second for a policy.
func (srv *Server) logSlow(now time.Time, p bayeux.SlowConsumer, n int, limit string, most int64, s *session, what string) {
	if srv.log.GetLevel() > zerolog.WarnLevel {
		return
	}
	if sum, ok := srv.slow.logs[p].due(now, n); ok {
		srv.log.Warn().Str("reason", string(machine.ReasonSlowConsumer)).Str("session", s.id()).Stringer("policy", p).
			Str("limit", limit).Int64("max", most).Uint64("count", sum).Msg("queue limit reached; " + what)
	}
}
