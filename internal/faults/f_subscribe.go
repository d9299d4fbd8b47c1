package faults

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
)

// subscribeFaults break subscribing and unsubscribing: WIRE 5.
func subscribeFaults() []Fault {
	return slices.Concat(subscribeReplies(), subscribeArrays(), subscribeValues(), subscribeDenials(), subscribePatterns(),
		subscribeMeta(), unsubscribeFaults(), unsubscribeEffects(), subscribeLife())
}

func subscribing(m *message) bool {
	return m.channel() == metaSubscribe || m.channel() == metaUnsubscribe
}

// onSubscribing edits replies to subscribes and unsubscribes.
func onSubscribing(edit func(u *unit, m *message)) factory {
	return onReplies(anything, func(u *unit, m *message) {
		if subscribing(m) {
			edit(u, m)
		}
	})
}

func subscribeReplies() []Fault {
	return []Fault{
		fault("F-SB-01", "R-SB-1 R-MSG-4", "Successful replies to subscribes and unsubscribes have no subscription.", everywhere(), onSubscribing(func(_ *unit, m *message) {
			if m.ok() {
				m.del("subscription")
			}
		})),
		fault("F-SB-02", "R-SB-1", "An array of subscriptions comes back as the first of them.", everywhere(), onSubscribing(func(_ *unit, m *message) {
			if all := subscriptions(m.get("subscription")); strings.HasPrefix(m.get("subscription"), "[") && len(all) > 0 {
				m.setStr("subscription", all[0])
			}
		})),
		fault("F-SB-03", "R-SB-1", "A single subscription comes back as an array.", everywhere(), onSubscribing(func(_ *unit, m *message) {
			if strings.HasPrefix(m.get("subscription"), `"`) {
				m.set("subscription", "["+m.get("subscription")+"]")
			}
		})),
		fault("F-SB-04", "R-SB-1 R-MSG-3", "An array of subscriptions is answered by one reply for each.", everywhere(), always(hooks{out: func(u *unit) {
			var msgs []*message
			for _, m := range u.msgs {
				all := subscriptions(m.get("subscription"))
				if !m.reply() || !subscribing(m) || !strings.HasPrefix(m.get("subscription"), "[") || len(all) < 2 {
					msgs = append(msgs, m)
					continue
				}
				for _, one := range all {
					m = m.clone()
					m.setStr("subscription", one)
					msgs = append(msgs, m)
				}
			}
			if len(msgs) != len(u.msgs) {
				u.msgs = msgs
			}
		}})),
	}
}

// wellFormed tells whether a subscription is a channel or a pattern.
func wellFormed(s string) bool {
	return strings.HasPrefix(s, "/") && len(s) > 1 && !strings.ContainsAny(s, illegal)
}

// elements returns the well-formed ones of an array of subscriptions that has
// at least two elements.
func elements(m *message) []string {
	var all []string
	msgs := strings.HasPrefix(m.get("subscription"), "[")
	if !msgs || !strings.Contains(m.get("subscription"), ",") {
		return nil
	}
	for part := range strings.SplitSeq(strings.Trim(m.get("subscription"), "[]"), ",") {
		if s := strings.Trim(strings.TrimSpace(part), `"`); strings.HasPrefix(strings.TrimSpace(part), `"`) && wellFormed(s) {
			all = append(all, s)
		}
	}
	return all
}

// apart subscribes the elements of an array in messages of their own, too.
func apart(which func(m *message) []string) factory {
	return always(hooks{in: func(u *unit) {
		for _, m := range slices.Clone(u.msgs) {
			if m.channel() != metaSubscribe || u.s == nil {
				continue
			}
			for _, s := range which(m) {
				one := made(`{"channel":"/meta/subscribe"}`)
				one.setStr("subscription", s)
				u.insert(one)
			}
		}
	}})
}

func subscribeArrays() []Fault {
	commas := func(m *message) int { return strings.Count(m.get("subscription"), ",") }
	return []Fault{
		fault("F-SB-05", "R-SB-2", "When an element of an array is invalid, the valid ones are subscribed nevertheless.", everywhere(), apart(func(m *message) []string {
			if valid := elements(m); len(valid) != commas(m)+1 {
				return valid
			}
			return nil
		})),
		fault("F-SB-06", "R-SB-3", "When an element of an array is refused, those behind it are subscribed nevertheless.", everywhere(), apart(func(m *message) []string {
			if valid := elements(m); len(valid) == commas(m)+1 {
				return valid
			}
			return nil
		})).needs("a channel that may not be subscribed"),
		fault("F-SB-07", "R-SB-3", "When an element of an array is refused, those before it are unsubscribed again.", everywhere(), onBad(metaSubscribe, func(u *unit, m *message) {
			if !strings.Contains(m.str("error"), "denied") || !strings.HasPrefix(m.get("subscription"), "[") {
				return
			}
			for _, s := range elements(m) {
				undo := made(`{"channel":"/meta/unsubscribe"}`)
				undo.setStr("subscription", s)
				u.also(undo)
			}
		})).needs("a channel that may not be subscribed"),
		fault("F-SB-08", "R-SB-4", "The reply to an empty array of subscriptions has no flag successful.", everywhere(), onReplies(metaSubscribe, func(_ *unit, m *message) {
			if m.get("subscription") == "[]" {
				m.del("successful", "error")
			}
		})).tolerated(),
		fault("F-SB-09", "R-SB-1 R-SB-5", "Of an array of subscriptions only the first is subscribed.", everywhere(), both(func(_ *unit, m *message) {
			if all := subscriptions(m.get("subscription")); m.channel() == metaSubscribe && len(all) > 1 {
				m.setStr("subscription", all[0])
			}
		}, func(u *unit, m *message) {
			if m.reply() && m.channel() == metaSubscribe {
				restore(u, m, "subscription")
			}
		})),
	}
}

func subscribeValues() []Fault {
	return []Fault{
		fault("F-SB-10", "R-SB-2", "A subscribe without subscription succeeds.", everywhere(), onError("403::subscription_missing", func(_ *unit, m *message) { m.succeed() })),
		fault("F-SB-11", "R-SB-2", "A missing subscription is reported as an invalid one.", everywhere(), onError("403::subscription_missing", put("error", `"403::subscription_invalid"`))),
		fault("F-SB-12", "R-SB-2", "Subscriptions that are no strings succeed.", everywhere(), onError("403::subscription_invalid", func(u *unit, m *message) {
			if v := u.request(m).get("subscription"); !strings.HasPrefix(v, `"`) && !strings.HasPrefix(v, "[") {
				m.succeed()
			}
		})),
		fault("F-SB-13", "R-SB-2", "Subscriptions with illegal characters or without a slash succeed.", everywhere(), onError("403::subscription_invalid", func(u *unit, m *message) {
			if strings.HasPrefix(u.request(m).get("subscription"), `"`) {
				m.succeed()
			}
		})),
		fault("F-SB-14", "R-SB-2 R-HT-6", "An invalid subscription fails the whole request with HTTP 400.", overHTTP(), onError("403::subscription_invalid", func(u *unit, _ *message) { u.refuse() })),
		fault("F-SB-15", "R-SB-5", "Subscribing once more fails.", everywhere(), onGood(metaSubscribe, func(u *unit, m *message) {
			if u.s == nil {
				return
			}
			for _, s := range subscriptions(m.get("subscription")) {
				if times(u.s.subs, s) > 1 {
					m.fail("403::subscribe_failed")
				}
			}
		})),
		fault("F-SB-16", "R-SB-5 R-PB-9", "Who has subscribed to a channel twice gets its messages twice.", everywhere(), onPushes(func(u *unit, m *message) {
			if u.s != nil && times(u.s.subs, m.channel()) > 1 {
				u.msgs = slices.Insert(slices.Clone(u.msgs), slices.Index(u.msgs, m), m)
			}
		})),
		fault("F-SB-17", "R-SB-6", "Subscriptions to service channels are refused.", everywhere(), onGood(metaSubscribe, func(_ *unit, m *message) {
			if strings.HasPrefix(m.str("subscription"), "/service/") {
				m.fail("403:denied_by_security_policy:subscribe_denied")
			}
		})),
	}
}

func times(all []string, one string) int {
	n := 0
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

func subscribeDenials() []Fault {
	swap := func(from, to string) factory {
		return onSubscribing(func(_ *unit, m *message) {
			if e := m.str("error"); strings.HasSuffix(e, ":"+from) {
				m.setStr("error", strings.TrimSuffix(e, from)+to)
			}
		})
	}
	return []Fault{
		fault("F-SB-18", "R-SB-7 R-SB-8", "A denied creation is called subscribe_denied.", everywhere(), swap("create_denied", "subscribe_denied")),
		fault("F-SB-19", "R-SB-7 R-SB-8", "A denied subscription is called create_denied.", everywhere(), swap("subscribe_denied", "create_denied")),
		fault("F-SB-20", "R-SB-9 R-MSG-14", "Denied subscriptions have no reason.", everywhere(), onSubscribing(func(_ *unit, m *message) {
			if p := strings.SplitN(m.str("error"), ":", 3); len(p) == 3 && strings.HasSuffix(p[2], "denied") {
				m.setStr("error", p[0]+"::"+p[2])
			}
		})),
		fault("F-SB-21", "R-SB-7", "Subscriptions to meta channels succeed.", everywhere(), onBad(metaSubscribe, func(_ *unit, m *message) {
			if strings.HasPrefix(m.str("subscription"), "/meta/") {
				m.succeed()
			}
		})),
		fault("F-SB-22", "R-SB-7 R-SB-10", "Subscribing to /** is denied.", everywhere(), respelt(func(s string) string {
			if s == "/**" {
				return "/meta/**"
			}
			return s
		})),
	}
}

// respelt has the server see other subscriptions than the client sends; the
// reply does not show it.
func respelt(f func(s string) string) factory {
	return both(func(_ *unit, m *message) {
		if !subscribing(m) {
			return
		}
		all := subscriptions(m.get("subscription"))
		if len(all) == 0 {
			return
		}
		var quoted []string
		for _, s := range all {
			for part := range strings.SplitSeq(f(s), "\n") {
				quoted = append(quoted, quote(part))
			}
		}
		switch value := "[" + strings.Join(quoted, ",") + "]"; {
		case len(quoted) == 1 && strings.HasPrefix(m.get("subscription"), `"`):
			if quoted[0] != m.get("subscription") {
				m.set("subscription", quoted[0])
			}
		case value != m.get("subscription"):
			m.set("subscription", value)
		}
	}, func(u *unit, m *message) {
		if m.reply() && subscribing(m) && m.get("subscription") != u.request(m).get("subscription") {
			restore(u, m, "subscription")
		}
	})
}

// withParent adds the parent to patterns that end so.
func withParent(end string) func(s string) string {
	return func(s string) string {
		if parent, ok := strings.CutSuffix(s, end); ok && parent != "" {
			return s + "\n" + parent
		}
		return s
	}
}

func subscribePatterns() []Fault {
	cut := func(s, from, to string) string {
		if parent, ok := strings.CutSuffix(s, from); ok {
			return parent + to
		}
		return s
	}
	return []Fault{
		fault("F-SB-23", "R-SB-10", "A pattern that ends in /* matches more than one segment.", everywhere(), respelt(func(s string) string { return cut(s, "/*", "/**") })),
		fault("F-SB-24", "R-SB-10", "A pattern that ends in /** matches one segment only.", everywhere(), respelt(func(s string) string { return cut(s, "/**", "/*") })),
		fault("F-SB-25", "R-SB-10", "A pattern that ends in /** matches its own parent, too.", everywhere(), respelt(withParent("/**"))),
		fault("F-SB-26", "R-SB-10", "A pattern that ends in /* matches its own parent, too.", everywhere(), respelt(withParent("/*"))),
		fault("F-SB-27", "R-SB-10", "A channel's subscribers get the messages of the channels below it, too.", everywhere(), respelt(func(s string) string {
			if wellFormed(s) && !strings.HasSuffix(s, "*") {
				return s + "\n" + s + "/**"
			}
			return s
		})),
		fault("F-SB-28", "R-SB-11", "A segment in braces is a wildcard.", everywhere(), respelt(func(s string) string {
			if i := strings.LastIndex(s, "/{"); i >= 0 && strings.HasSuffix(s, "}") {
				return s[:i] + "/*"
			}
			return s
		})),
		fault("F-SB-29", "R-SB-10 R-MSG-13", "Names of channels are not case-sensitive.", everywhere(), both(func(_ *unit, m *message) {
			if about(published, m) && m.channel() != strings.ToLower(m.channel()) && wellFormed(m.channel()) {
				m.setStr("channel", strings.ToLower(m.channel()))
			}
			if s := m.str("subscription"); s != strings.ToLower(s) && subscribing(m) {
				m.setStr("subscription", strings.ToLower(s))
			}
		}, func(u *unit, m *message) {
			if m.reply() {
				restore(u, m, "channel")
				restore(u, m, "subscription")
			}
		})),
	}
}

// audience knows, in the server, who has subscribed to what.
type audience struct {
	mu   sync.Mutex
	subs map[string]map[string]bool // by session
}

// note takes a message of a session into account and returns the others for
// which f holds.
func (a *audience) note(id string, m *bayeux.Message, f func(subs map[string]bool) bool) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.subs[id] == nil && len(a.subs) < maxSessions {
		a.subs[id] = map[string]bool{}
	}
	if m.Channel == metaSubscribe && a.subs[id] != nil {
		for _, s := range subscriptions(string(m.Subscription)) {
			a.subs[id][s] = true
		}
	}
	var others []string
	for other, subs := range a.subs {
		if other != id && f(subs) {
			others = append(others, other)
		}
	}
	return others
}

// spread delivers to other sessions what a session does, in the server.
func spread(when func(m *bayeux.Message) bool, to func(subs map[string]bool) bool) factory {
	return func(Options) hooks {
		var srv atomic.Pointer[server.Server]
		a := audience{subs: map[string]map[string]bool{}}
		in := func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
			if from == nil {
				return nil
			}
			others := a.note(from.ID(), m, to)
			if !when(m) {
				return nil
			}
			for _, id := range others {
				copied := &bayeux.Message{Channel: m.Channel, Data: m.Data, Subscription: m.Subscription}
				if err := srv.Load().DeliverMessage(ctx, id, copied); !errors.Is(err, server.ErrNoSession) && err != nil {
					return err
				}
			}
			return nil
		}
		return hooks{
			config: func(c *server.Config) { c.Extensions = append(c.Extensions, bayeux.Funcs{In: in}) },
			attach: func(s *server.Server) error { srv.Store(s); return nil },
		}
	}
}

func subscribeMeta() []Fault {
	service := func(m *bayeux.Message) bool { return strings.HasPrefix(m.Channel, "/service/") }
	return []Fault{
		fault("F-SB-30", "R-SB-7 R-SB-10", "Subscribers of /** get the subscribes of others.", everywhere(), spread(
			func(m *bayeux.Message) bool { return m.Channel == metaSubscribe },
			func(subs map[string]bool) bool { return subs["/**"] },
		)),
		fault("F-SB-31", "R-SB-7 R-PB-12", "Subscribers of /** get what others send to services.", everywhere(), spread(service,
			func(subs map[string]bool) bool { return subs["/**"] },
		)),
		fault("F-SB-32", "R-PB-12 R-SB-6", "Who has subscribed to a service channel gets what others send to it.", everywhere(), spread(service,
			func(subs map[string]bool) bool {
				for s := range subs {
					if strings.HasPrefix(s, "/service/") {
						return true
					}
				}
				return false
			},
		)),
	}
}

// fresh tells whether all subscriptions that reach a channel are younger than
// 300 ms.
func (s *session) fresh(channel string) bool {
	fresh := false
	for _, pattern := range s.subs {
		since, err := strconv.ParseInt(s.note("since "+pattern), 10, 64)
		if !matches(pattern, channel) || err != nil {
			continue
		}
		if time.Since(time.UnixMilli(since)) > 300*time.Millisecond {
			return false
		}
		fresh = true
	}
	return fresh
}

// ripen drops what comes of fresh subscriptions, and notes those that begin.
func ripen(u *unit) {
	if u.s == nil {
		return
	}
	u.keep(func(m *message) bool { return m.reply() || !u.s.fresh(m.channel()) })
	for _, m := range u.replies() {
		if m.channel() != metaSubscribe || !m.ok() {
			continue
		}
		for _, s := range subscriptions(m.get("subscription")) {
			u.s.setNote("since "+s, strconv.FormatInt(time.Now().UnixMilli(), 10))
		}
	}
}

func subscribeLife() []Fault {
	return []Fault{
		fault("F-SB-40", "R-SB-14", "A subscription counts only from its reply on: what follows in the same array does not reach it.", []string{LongPolling, WebSocket}, always(hooks{out: func(u *unit) {
			u.keep(func(m *message) bool {
				return m.reply() || u.s == nil || !u.subscribesAlong(m.channel())
			})
		}})),
		fault("F-SB-41", "R-SB-15 R-WS-19", "A session that comes over a new WebSocket has no subscriptions any more.", onlyWS(), always(hooks{in: func(u *unit) {
			if u.s == nil || u.l.notes["greeted"] != "" {
				return
			}
			u.l.notes["greeted"] = "yes"
			if u.s.replied == 0 {
				return
			}
			for _, s := range u.s.subs {
				m := made(`{"channel":"/meta/unsubscribe"}`)
				m.setStr("subscription", s)
				u.insert(m)
			}
		}})),
		fault("F-SB-42", "R-SB-14", "Subscribing takes effect 300 ms after its reply.", everywhere(), always(hooks{out: ripen})),
	}
}
