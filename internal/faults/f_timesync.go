package faults

import (
	"slices"
	"strconv"
)

// timesyncFaults break the timesync extension: WIRE 9b. They act where the
// server has it.
func timesyncFaults() []Fault {
	needs := func(f Fault) Fault { return f.needs("the timesync extension") }
	return []Fault{
		needs(fault("F-TS-01", "R-TS-1 R-TS-2", "The answer of timesync has no tc.", everywhere(), onTimesync(func(_, to *message) { to.del("tc") }))),
		needs(fault("F-TS-02", "R-TS-1 R-TS-2", "The tc in the answer of timesync is not the one of the request.", everywhere(), onTimesync(func(_, to *message) {
			to.set("tc", "0")
		}))),
		needs(fault("F-TS-03", "R-TS-1 R-TS-2", "The answer of timesync has no ts.", everywhere(), onTimesync(func(_, to *message) { to.del("ts") }))),
		needs(fault("F-TS-04", "R-TS-1", "The ts in the answer of timesync is in seconds.", everywhere(), onTimesync(func(_, to *message) {
			if n, err := strconv.ParseInt(to.get("ts"), 10, 64); err == nil {
				to.set("ts", strconv.FormatInt(n/1000, 10))
			}
		}))),
		needs(fault("F-TS-05", "R-TS-2", "The p in the answer of timesync is 0 however long the connect was held.", everywhere(), onTimesync(func(_, to *message) {
			to.set("p", "0")
		}))),
		needs(fault("F-TS-06", "R-TS-2", "The answer of timesync has an a though the request had no l.", everywhere(), onTimesync(func(from, to *message) {
			if !from.has("l") {
				to.set("a", "0")
			}
		}))),
		needs(fault("F-TS-07", "R-TS-1", "The a in the answer of timesync has the wrong sign.", everywhere(), onTimesync(func(_, to *message) {
			if n, err := strconv.ParseInt(to.get("a"), 10, 64); err == nil {
				to.set("a", strconv.FormatInt(-n, 10))
			}
		}))),
		needs(fault("F-TS-08", "R-TS-1", "The answer of timesync has no a.", everywhere(), onTimesync(func(_, to *message) { to.del("a") }))),
	}
}

// onTimesync edits the answers of timesync, seen with what was asked.
func onTimesync(edit func(from, to *message)) factory {
	return onReplies(anything, func(u *unit, m *message) {
		to, err := parseObject([]byte(m.member("ext", "timesync")))
		if err != nil {
			return
		}
		from, _ := parseObject([]byte(u.request(m).member("ext", "timesync"))) // empty where it is none
		answer := &message{fields: slices.Clone(to)}
		edit(&message{fields: from}, answer)
		if answer.changed {
			m.setMember("ext", "timesync", string(encodeObject(answer.fields)))
		}
	})
}
