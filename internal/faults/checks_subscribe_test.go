package faults

// subs subscribes to a list, which is JSON.
func subs(list string) string {
	return `[{"channel":"/meta/subscribe","id":"s","clientId":"$","subscription":` + list + `}]`
}

func unsubs(list string) string {
	return `[{"channel":"/meta/unsubscribe","id":"u","clientId":"$","subscription":` + list + `}]`
}

// heard is a client that subscribes to a list and then publishes.
func heard(list, channel string) script { return begun(subs(list), pub(channel, "1"), poll) }

func subscribeChecks() []check {
	const data = `"data":1`
	twice := `(?s)"data":1.*"data":1`
	return []check{
		{"F-SB-01", begun(sub("/x"), unsub("/x")), `"subscription":"/x"`, ``},
		{"F-SB-02", begun(subs(`["/x","/y"]`)), `\["/x","/y"\]`, `"subscription":"/x"`},
		{"F-SB-03", begun(sub("/x")), `"subscription":"/x"`, `"subscription":\["/x"\]`},
		{"F-SB-04", begun(subs(`["/x","/y"]`)), `\["/x","/y"\]`, `"subscription":"/x".*"subscription":"/y"`},
		{"F-SB-05", heard(`["/x","/y?"]`, "/x"), ``, data},
		{"F-SB-06", heard(`["/denied/subscribe","/x"]`, "/x"), ``, data},
		{"F-SB-07", heard(`["/x","/denied/subscribe"]`, "/x"), data, ``},
		{"F-SB-08", begun(subs(`[]`)), `"successful":false`, `"subscription":\[\]\}`},
		{"F-SB-09", heard(`["/y","/x"]`, "/x"), data, ``},
		{"F-SB-10", begun(noSubscription), `403::subscription_missing`, `"id":"s","successful":true`},
		{"F-SB-11", begun(noSubscription), `403::subscription_missing`, `403::subscription_invalid`},
		{"F-SB-12", begun(subs(`5`)), `403::subscription_invalid`, `"subscription":5,"successful":true`},
		{"F-SB-13", begun(sub("foo")), `403::subscription_invalid`, `"subscription":"foo","successful":true`},
		{"F-SB-14", begun(sub("foo")), `403::subscription_invalid`, `^a 0 400`},
		{"F-SB-15", begun(sub("/x"), sub("/x")), ``, `403::subscribe_failed`},
		{"F-SB-16", begun(sub("/x"), sub("/x"), pub("/x", "1"), poll), ``, twice},
		{"F-SB-17", begun(sub("/service/x")), `"/service/x","successful":true`, `subscribe_denied`},
		{"F-SB-18", begun(sub("/denied/create")), `create_denied`, `subscribe_denied`},
		{"F-SB-19", begun(sub("/denied/subscribe")), `:members_only:subscribe_denied`, `create_denied`},
		{"F-SB-20", begun(sub("/denied/subscribe")), `:members_only:`, `403::subscribe_denied`},
		{"F-SB-21", begun(sub("/meta/connect")), `denied_by_security_policy`, `"/meta/connect","successful":true`},
		{"F-SB-22", begun(sub("/**")), `"/\*\*","successful":true`, `"/\*\*","successful":false`},
		{"F-SB-23", heard(`"/a/*"`, "/a/b/c"), ``, data},
		{"F-SB-24", heard(`"/a/**"`, "/a/b/c"), data, ``},
		{"F-SB-25", heard(`"/a/**"`, "/a"), ``, data},
		{"F-SB-26", heard(`"/a/*"`, "/a"), ``, data},
		{"F-SB-27", heard(`"/a"`, "/a/b"), ``, data},
		{"F-SB-28", heard(`"/a/{v}"`, "/a/b"), ``, data},
		{"F-SB-29", heard(`"/a"`, "/A"), ``, data},
		{"F-SB-30", talk("a", "!begin", sub("/**"), connect, "b", "!begin", sub("/x"), "~3000"), ``, `^a .*"channel":"/meta/subscribe","subscription":"/x"`},
		{"F-SB-31", talk("a", "!begin", sub("/**"), connect, "b", "!begin", pub("/service/x", "1"), "~3000"), ``, `^a .*"channel":"/service/x".*"data":1`},
		{"F-SB-32", talk("a", "!begin", sub("/service/x"), connect, "b", "!begin", pub("/service/x", "1"), "~3000"), ``, `^a .*"channel":"/service/x".*"data":1`},
		{"F-SB-33", begun(sub("/x"), unsub("/x"), pub("/x", "1"), poll), ``, data},
		{"F-SB-34", begun(unsub("/never")), `400::channel_missing`, `"/never","successful":true`},
		{"F-SB-35", talk("b", "!begin", sub("/x"), "a", "!begin", unsub("/x")), `^a .*"/x","successful":true`, `403::unsubscribe_failed`},
		{"F-SB-36", begun(unsub("/meta/connect")), `403::unsubscribe_failed`, `"/meta/connect","successful":true`},
		{"F-SB-37", begun(`[{"channel":"/meta/unsubscribe","id":"u","clientId":"$"}]`), `403::subscription_missing`, `"id":"u","successful":true`},
		{"F-SB-38", begun(sub("/x"), unsub("/x"), "~1500", unsub("/x")), `400::channel_missing`, ``},
		{"F-SB-39", begun(subs(`["/y","/x"]`), unsubs(`["/y","/x"]`), pub("/x", "1"), poll), ``, data},
		{"F-SB-40", begun(messages(sub("/x"), pub("/x", "1"))), data, ``},
		{"F-SB-41", talk("a", "!begin", sub("/x"), "!cut", poll, "b", "!begin", pub("/x", "1")), `^a .*"data":1`, ``},
		{"F-SB-42", talk("a", "!begin", sub("/x"), "b", "!begin", pub("/x", "1"), "a", connect, "~100"), `^a .*"data":1`, ``},
	}
}

func publishChecks() []check {
	rich := `[{"channel":"/x","id":"p","clientId":"$","data":1,"ext":{"e":2},"foo":3}]`
	two := []string{pub("/x", "1"), pub("/x", "2"), "~100"}
	twice := `(?s)^a .*"data":1.*^?.*"data":1`
	return []check{
		{"F-PB-01", begun(pub("/x", "1")), `"id":"p"`, ``},
		{"F-PB-02", begun(pub("/service/x", "1")), `"id":"p"`, ``},
		{"F-PB-03", begun(pub("/x", "1")), `"id":"p","successful":true`, `no_subscribers`},
		{"F-PB-04", begun(pub("/meta/foo", "1")), `channel_create_denied`, `"id":"p","successful":true`},
		{"F-PB-05", begun(pub("/meta/foo", "1")), `channel_create_denied`, `404::channel_unknown`},
		{"F-PB-06", begun(pub("/veto", "1")), `404::message_deleted`, `"id":"p","successful":true`},
		{"F-PB-07", begun(pub("/f/*", "1")), `"channel":"/f/\*","id":"p","successful":true`, `"channel":"/f/\*".*405`},
		{"F-PB-08", begun(pub("/denied/create", "1")), `:channel_create_denied`, `:create_denied`},
		{"F-PB-09", begun(pub("/denied/publish", "1")), `:publish_denied`, `:subscribe_denied`},
		{"F-PB-10", begun(sub("/denied/publish"), connect, "b", "!begin", pub("/denied/publish", "1"), "~3000"), ``, `^a .*"data":1`},
		{"F-PB-11", begun(pub("/denied/publish", "1")), `^a 0 200 .*publish_denied`, `^a 0 403 .*publish_denied`},
		{"F-PB-12", foreign(rich, "~3000"), ``, `^a .*"data":1.*"id":"p"`},
		{"F-PB-13", foreign(rich, "~3000"), ``, `^a .*"data":1.*"clientId":"<b1>"`},
		{"F-PB-14", foreign(rich, "~3000"), `^a .*"foo":3`, ``},
		{"F-PB-15", foreign(rich, "~3000"), `^a .*"ext":\{"e":2\}`, ``},
		{"F-PB-16", foreign(rich, "~3000"), ``, `"data":1,"successful":true\}`},
		{"F-PB-17", heard(`"/x/*"`, "/x/y"), `"channel":"/x/y","data":1`, `"channel":"/x/\*","data":1`},
		{"F-PB-18", begun(`[{"channel":"/x","id":"p","clientId":"$"}]`), `"channel":"/x","id":"p","successful":true`, `"channel":"/x".*data_missing`},
		{"F-PB-19", foreign(`[{"channel":"/x","id":"p","clientId":"$"}]`, "~3000"), ``, `^a .*"data":null`},
		{"F-PB-20", own("/x", "/x", "1"), `"data":1`, `"data":\{"value":1\}`},
		{"F-PB-21", own("/x", "/x", `{"k":1}`), `"data":\{"k":1\}`, `"data":"\{\\"k\\":1\}"`},
		{"F-PB-22", own("/x", "/x", quote(long(1500))), `"data":"zzz`, ``},
		{"F-PB-23", heard(`["/x","/*"]`, "/x"), ``, twice},
		{"F-PB-24", own("/x", "/x", "1"), ``, twice},
		{"F-PB-25", queued(pub("/x", "1"), pub("/x", "2"), pub("/x", "3")), `^a .*"data":3`, ``},
		{"F-PB-26", own("/x", "/x", "1"), `"data":1`, ``},
		{"F-PB-27", begun(sub("/x"), messages(pub("/x", "1"), pub("/x", "2")), poll), `(?s)"data":1.*"data":2`, `(?s)"data":2.*"data":1`},
		{"F-PB-29", begun(pub("/service/echo", "1"), poll), `\{"channel":"/service/echo","data":1\}`, `\{"channel":"/service/echo","data":1,"id":"p"\}`},
		{"F-PB-28", queued(two...), `(?s)^a .*"data":1.*"data":2`, `(?s)^a .*"data":2.*"data":1`},
	}
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'z'
	}
	return string(b)
}

func deliveryChecks() []check {
	const twice = `(?s)"data":1.*"data":1`
	return []check{
		{"F-DL-01", begun(sub("/x"), pub("/x", "1"), "~100", poll), `^a 0 .*"data":1`, `^a 100 .*"data":1`},
		{"F-DL-02", own("/x", "/x", "1"), ``, twice},
		{"F-DL-03", own("/x", "/x", "1"), `"data":1.*"c0"`, `"data":1.*"id":"p"`},
		{"F-DL-04", talk("a", "!begin", sub("/x"), "b", "!begin", pub("/x", "1"), "a", sub("/y"), poll), `"data":1.*"/y"`, `"data":1.*"c0"`},
		{"F-DL-05", foreign(`[{"channel":"/x","id":"p","clientId":"$","data":1,"lazy":true}]`, "~3000"), `^a 0 .*"data":1`, ``},
		{"F-DL-06", foreign(pub("/x", "1"), "~3000"), `^a 0 .*"data":1`, ``},
		{"F-DL-07", foreign("a", "!abort", "b", pub("/x", "1"), "a", poll), `^a .*"data":1`, ``},
		{"F-DL-08", talk("a", "!begin", sub("/x"), "!cut", "b", "!begin", pub("/x", "1"), "a", poll), `^a .*"data":1`, ``},
		{"F-DL-09", foreign("a", newer, "b", pub("/x", "1"), "~3000"), `^a .*"data":1`, ``},
		{"F-OUT-01", begun(sub("/x"), pub("/x", "1")), `(?s)"data":1.*"id":"p"`, `(?s)"id":"p".*"data":1`},
		{"F-OUT-02", begun(), ``, `\[\n  \{\n    "channel": "/meta/handshake"`},
		{"F-OUT-03", own("/x", "/x", `"é"`), `"é"`, ``},
		{"F-OUT-04", begun(), ``, "\ufeff"},
		{"F-OUT-05", begun(), ``, `for\(;;\);`},
	}
}
