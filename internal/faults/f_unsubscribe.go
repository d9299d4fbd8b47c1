package faults

import "slices"

// had tells whether the session ever was subscribed to what a reply names.
func had(u *unit, m *message) bool {
	return u.s != nil && slices.ContainsFunc(subscriptions(m.get("subscription")), func(s string) bool {
		return slices.Contains(u.s.once, s)
	})
}

func unsubscribeFaults() []Fault {
	return []Fault{
		fault("F-SB-34", "R-SB-12", "An unsubscribe of a channel that never was succeeds.", everywhere(), onError("400::channel_missing", func(u *unit, m *message) {
			if m.channel() == metaUnsubscribe && !had(u, m) {
				m.succeed()
			}
		})),
		fault("F-SB-35", "R-SB-12", "An unsubscribe by who was not subscribed fails.", everywhere(), onGood(metaUnsubscribe, func(u *unit, m *message) {
			if !had(u, m) {
				m.fail("403::unsubscribe_failed")
			}
		})),
		fault("F-SB-36", "R-SB-12", "An unsubscribe of a meta channel succeeds.", everywhere(), onError("403::unsubscribe_failed", func(_ *unit, m *message) { m.succeed() })),
		fault("F-SB-37", "R-SB-12", "An unsubscribe without subscription succeeds.", everywhere(), onBad(metaUnsubscribe, func(u *unit, m *message) {
			if !u.request(m).has("subscription") {
				m.succeed()
			}
		})),
		fault("F-SB-38", "R-SB-13", "A channel that nobody uses any more stays known.", everywhere(), onError("400::channel_missing", func(u *unit, m *message) {
			if m.channel() == metaUnsubscribe && had(u, m) {
				m.succeed()
			}
		})),
	}
}

// unsubscribeEffects are unsubscribes that look right.
func unsubscribeEffects() []Fault {
	return []Fault{
		fault("F-SB-33", "R-SB-12", "An unsubscribe is answered, but has no effect.", everywhere(), both(func(_ *unit, m *message) {
			if m.channel() == metaUnsubscribe {
				m.setStr("channel", metaSubscribe)
			}
		}, func(u *unit, m *message) {
			if m.reply() && m.channel() == metaSubscribe && u.request(m).channel() == metaUnsubscribe {
				m.setStr("channel", metaUnsubscribe)
			}
		})),
		fault("F-SB-39", "R-SB-12 R-SB-1", "Of an array of channels only the first is unsubscribed.", everywhere(), both(func(_ *unit, m *message) {
			if all := subscriptions(m.get("subscription")); m.channel() == metaUnsubscribe && len(all) > 1 {
				m.setStr("subscription", all[0])
			}
		}, func(u *unit, m *message) {
			if m.reply() && m.channel() == metaUnsubscribe {
				restore(u, m, "subscription")
			}
		})),
	}
}
