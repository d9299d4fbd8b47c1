package faults

import (
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// messageFaults break the envelope: WIRE 1.
func messageFaults() []Fault {
	return slices.Concat(messageShape(), messageFields(), messageIDs(), messageNumbers(), messageMissing(), messageChannels(), messageNames(), messageErrors(), messageValues())
}

func messageShape() []Fault {
	return []Fault{
		fault("F-MSG-01", "R-MSG-1", "A message that is not in an array is refused: HTTP 400, WebSocket close 1011.", everywhere(), always(hooks{in: func(u *unit) {
			if !u.array {
				u.refuse()
			}
		}})),
		fault("F-MSG-02", "R-MSG-1 R-MSG-3", "Only the first message of an array is processed and answered.", everywhere(), always(hooks{in: func(u *unit) {
			u.msgs = u.msgs[:min(1, len(u.msgs))]
		}})),
		fault("F-MSG-03", "R-MSG-2", "A single reply is sent as an object, not in an array.", everywhere(), always(hooks{out: func(u *unit) {
			u.array = len(u.msgs) != 1
		}})),
		fault("F-MSG-04", "R-MSG-2 R-OUT-1", "The replies of a batch come as several arrays behind each other.", overHTTP(), always(hooks{out: func(u *unit) {
			if len(u.msgs) > 1 {
				for _, m := range u.msgs {
					u.parts = append(u.parts, []*message{m})
				}
			}
		}})),
		fault("F-MSG-05", "R-MSG-3 R-OUT-2", "The replies of a batch come in reverse order.", everywhere(), always(hooks{out: func(u *unit) {
			replies := u.replies()
			slices.Reverse(replies)
			u.msgs = append(u.pushes(), replies...)
		}})),
		fault("F-MSG-06", "R-MSG-3", "The last reply of a batch is missing.", everywhere(), always(hooks{out: func(u *unit) {
			if replies := u.replies(); len(replies) > 1 {
				last := replies[len(replies)-1]
				u.keep(func(m *message) bool { return m != last })
			}
		}})),
		fault("F-MSG-07", "R-MSG-3", "Each publish is answered twice.", everywhere(), always(hooks{out: func(u *unit) {
			for _, m := range u.replies() {
				if about(published, m) {
					u.msgs = append(slices.Clone(u.msgs), m)
				}
			}
		}})),
		fault("F-MSG-08", "R-MSG-3", "Messages of a batch that follow a failed one are not answered.", everywhere(), always(hooks{out: func(u *unit) {
			failed := false
			u.keep(func(m *message) bool {
				gone := failed && m.reply()
				failed = failed || m.reply() && !m.ok()
				return !gone
			})
		}})),
	}
}

func messageFields() []Fault {
	return []Fault{
		fault("F-MSG-09", "R-MSG-4 R-CN-1", "Each reply carries the clientId.", everywhere(), onReplies(anything, func(u *unit, m *message) {
			if m.channel() != metaHandshake && u.s != nil {
				m.setStr("clientId", u.s.id)
			}
		})),
		fault("F-MSG-10", "R-MSG-4 R-PB-1", "The reply to a publish carries the data back.", everywhere(), onReplies(published, func(u *unit, m *message) {
			restore(u, m, "data")
		})),
		fault("F-MSG-11", "R-MSG-4 R-HS-1", "Successful replies carry an empty error.", everywhere(), onGood(anything, put("error", `""`))),
		fault("F-MSG-12", "R-MSG-4", "The flag successful is a string.", everywhere(), onReplies(anything, func(_ *unit, m *message) {
			m.set("successful", `"`+m.get("successful")+`"`)
		})),
		fault("F-MSG-13", "R-MSG-4", "Failed replies have an error and no flag successful.", everywhere(), onBad(anything, drop("successful"))),
		fault("F-MSG-14", "R-MSG-4 R-SB-1", "Failed replies lack the subscription of their request.", everywhere(), onBad(anything, drop("subscription"))),
		fault("F-MSG-15", "R-MSG-4", "The subscription of a message that is no subscribe or unsubscribe is not copied into its reply.", everywhere(), onReplies(anything, func(_ *unit, m *message) {
			if m.channel() != metaSubscribe && m.channel() != metaUnsubscribe {
				m.del("subscription")
			}
		})),
		fault("F-MSG-16", "R-MSG-4", "Replies carry a timestamp that nobody has asked for.", everywhere(), onReplies(anything, put("timestamp", `"2026-01-01T00:00:00"`))),
		fault("F-MSG-17", "R-MSG-4 R-HS-6", "The ext of a request comes back in its reply.", everywhere(), onReplies(anything, func(u *unit, m *message) {
			if !m.has("ext") {
				restore(u, m, "ext")
			}
		})),
	}
}

func messageIDs() []Fault {
	return []Fault{
		fault("F-MSG-18", "R-MSG-5", "Replies to meta messages have no id.", everywhere(), onReplies(anything, func(_ *unit, m *message) {
			if !about(published, m) {
				m.del("id")
			}
		})),
		fault("F-MSG-19", "R-MSG-5 R-PB-1", "Replies to publishes have no id.", everywhere(), onReplies(published, drop("id"))),
		fault("F-MSG-20", "R-MSG-5", "All replies of a batch have the id of the first.", everywhere(), always(hooks{out: func(u *unit) {
			for _, m := range u.replies() {
				if first := u.replies()[0]; first.has("id") && m != first {
					m.set("id", first.get("id"))
				}
			}
		}})),
		fault("F-MSG-21", "R-MSG-5 R-ERR-1", "Failed replies have no id.", everywhere(), onBad(anything, drop("id"))),
		fault("F-MSG-22", "R-MSG-5", "Ids longer than eight characters come back cut.", everywhere(), onReplies(anything, func(_ *unit, m *message) {
			if id := m.str("id"); len(id) > 8 {
				m.setStr("id", id[:8])
			}
		})),
		fault("F-MSG-23", "R-MSG-6", "The id of a request that had none comes back as an empty string.", everywhere(), onReplies(anything, func(_ *unit, m *message) {
			if !m.has("id") {
				m.set("id", `""`)
			}
		})),
	}
}

func messageNumbers() []Fault {
	valid := regexp.MustCompile(`^[A-Za-z0-9]+$`)
	return []Fault{
		fault("F-MSG-24", "R-MSG-6", "An id that came as a number goes back as a number.", everywhere(), onReplies(anything, func(u *unit, m *message) {
			if _, err := strconv.Atoi(u.request(m).get("id")); err == nil {
				restore(u, m, "id")
			}
		})),
		fault("F-MSG-25", "R-MSG-6", "Ids with characters other than letters and digits are accepted.", everywhere(), func(Options) hooks {
			was := map[string]string{}
			return hooks{
				in: func(u *unit) {
					for _, m := range u.msgs {
						if id := m.str("id"); id != "" && !valid.MatchString(id) {
							alias := "x" + hex.EncodeToString([]byte(id))
							was[alias] = id
							m.setStr("id", alias)
						}
					}
				},
				out: func(u *unit) {
					for _, m := range u.replies() {
						if id, ok := was[m.str("id")]; ok {
							m.setStr("id", id)
						}
					}
				},
			}
		}),
		fault("F-MSG-26", "R-MSG-6", "A message whose id is null is refused.", everywhere(), onReplies(anything, func(u *unit, m *message) {
			if u.request(m).get("id") == "null" {
				m.fail("405::message_id_invalid")
				m.set("id", "null")
			}
		})),
		fault("F-MSG-27", "R-MSG-6 R-HT-6", "An invalid id fails the whole request: HTTP 400, WebSocket close 1011.", everywhere(), onError("405::message_id_invalid", func(u *unit, _ *message) {
			u.refuse()
		})),
		fault("F-MSG-28", "R-MSG-6", "An invalid id does not come back in the reply.", everywhere(), onError("405::message_id_invalid", drop("id"))),
	}
}

// illegal are characters that no channel may have.
const illegal = "?:,%&'=[];\"<>"

func messageMissing() []Fault {
	return []Fault{
		fault("F-MSG-29", "R-MSG-7 R-HT-6", "A message without a channel fails the whole request: HTTP 400, WebSocket close 1011.", everywhere(), onError("400::channel_missing", func(u *unit, m *message) {
			if !m.has("channel") {
				u.refuse()
			}
		})),
		fault("F-MSG-30", "R-MSG-7", "A missing channel is reported as an invalid one: 405.", everywhere(), onError("400::channel_missing", func(_ *unit, m *message) {
			if !m.has("channel") {
				m.fail("405::channel_invalid")
			}
		})),
		fault("F-MSG-31", "R-MSG-7", "The reply to a message without a channel has an empty channel.", everywhere(), onError("400::channel_missing", func(_ *unit, m *message) {
			if !m.has("channel") {
				m.set("channel", `""`)
			}
		})),
	}
}

func messageChannels() []Fault {
	return []Fault{
		fault("F-MSG-32", "R-MSG-8", "Channels with illegal characters are accepted.", everywhere(), onError("405::channel_invalid", func(_ *unit, m *message) {
			if strings.ContainsAny(m.channel(), illegal) {
				m.succeed()
			}
		})),
		fault("F-MSG-33", "R-MSG-8", "Channels without a leading slash are accepted.", everywhere(), onError("405::channel_invalid", func(_ *unit, m *message) {
			if !strings.HasPrefix(m.channel(), "/") {
				m.succeed()
			}
		})),
		fault("F-MSG-34", "R-MSG-8", "Channels with unusual but legal characters are refused.", everywhere(), both(func(_ *unit, m *message) {
			if about(published, m) && strings.ContainsAny(m.channel(), " !#$(){~}@") {
				m.setStr("channel", "/?")
			}
		}, func(u *unit, m *message) {
			if m.channel() == "/?" {
				restore(u, m, "channel")
			}
		})),
		fault("F-MSG-35", "R-MSG-9", "An invalid channel of an unknown session is answered with 402, as if sessions were looked up first.", everywhere(), onError("405::channel_invalid", func(u *unit, m *message) {
			if u.p.know(u.request(m).str("clientId")) == nil {
				m.fail(unknownSession)
			}
		})),
		fault("F-MSG-36", "R-MSG-10", "Channels with empty segments, such as //a, are accepted.", everywhere(), onError("405::channel_invalid", func(_ *unit, m *message) {
			if strings.Contains(m.channel(), "//") {
				m.succeed()
			}
		})),
		fault("F-MSG-37", "R-MSG-11", "Known fields of a wrong type are accepted.", everywhere(), onBad(anything, func(_ *unit, m *message) {
			if strings.HasPrefix(m.str("error"), "400::") && m.str("error") != "400::channel_missing" {
				m.succeed()
			}
		})),
	}
}

// tail tells whether a channel has something that is normalised away.
func tail(channel string) bool {
	return len(channel) > 2 && (strings.HasSuffix(channel, "/") || strings.HasSuffix(channel, " "))
}

func messageNames() []Fault {
	return []Fault{
		fault("F-MSG-38", "R-MSG-12", "A subscription with a trailing slash or blank is another channel than the one without.", everywhere(), both(func(_ *unit, m *message) {
			if s := m.str("subscription"); tail(s) {
				m.setStr("subscription", strings.TrimRight(s, "/ ")+"/trailing")
			}
		}, func(u *unit, m *message) {
			if m.reply() && strings.HasSuffix(m.str("subscription"), "/trailing") {
				restore(u, m, "subscription")
			}
		})),
		fault("F-MSG-39", "R-MSG-12", "A channel with a trailing slash or blank loses that in replies and deliveries.", everywhere(), both(func(*unit, *message) {}, func(_ *unit, m *message) {
			if tail(m.channel()) {
				m.setStr("channel", strings.TrimRight(m.channel(), "/ "))
			}
			if s := m.str("subscription"); tail(s) {
				m.setStr("subscription", strings.TrimRight(s, "/ "))
			}
		})),
		fault("F-MSG-40", "R-MSG-13", "A publish to /meta is refused like one to a meta channel.", everywhere(), renamedChannel("/meta", "/meta/x")),
		fault("F-MSG-41", "R-MSG-13", "A publish to /service is not delivered, like one to a service channel.", everywhere(), renamedChannel("/service", "/service/x")),
		fault("F-MSG-42", "R-MSG-13", "Meta channels are recognised in upper case, too.", everywhere(), both(func(_ *unit, m *message) {
			if c := m.channel(); strings.HasPrefix(strings.ToLower(c), "/meta/") {
				m.setStr("channel", strings.ToLower(c))
			}
		}, func(u *unit, m *message) {
			if c := u.request(m).channel(); m.reply() && strings.EqualFold(c, m.channel()) {
				m.setStr("channel", c)
			}
		})),
	}
}

// renamedChannel treats publishes to a channel as if they were to another.
func renamedChannel(is, treated string) factory {
	return both(func(_ *unit, m *message) {
		if m.channel() == is {
			m.setStr("channel", treated)
		}
	}, func(u *unit, m *message) {
		if m.reply() && m.channel() == treated && u.request(m).channel() == is {
			m.setStr("channel", is)
		}
	})
}

func messageErrors() []Fault {
	edit := func(f func(code, args, text string) string) factory {
		return onBad(anything, func(_ *unit, m *message) {
			if parts := strings.SplitN(m.str("error"), ":", 3); len(parts) == 3 {
				m.set("error", f(parts[0], parts[1], parts[2]))
			}
		})
	}
	return []Fault{
		fault("F-MSG-43", "R-MSG-14", "Errors have a text and no code.", everywhere(), edit(func(_, _, text string) string { return quote(text) })),
		fault("F-MSG-44", "R-MSG-14", "Errors have no place for arguments: code:text.", everywhere(), edit(func(code, _, text string) string { return quote(code + ":" + text) })),
		fault("F-MSG-45", "R-MSG-14", "Errors are numbers.", everywhere(), edit(func(code, _, _ string) string { return code })),
		fault("F-MSG-46", "R-MSG-14", "All errors have the code 400.", everywhere(), edit(func(_, args, text string) string { return quote("400:" + args + ":" + text) })),
		fault("F-MSG-47", "R-MSG-14", "The code and the text of an error have an argument more between them.", everywhere(), edit(func(code, args, text string) string { return quote(code + ":" + args + ":0:" + text) })),
	}
}
