package faults

// asking is a connect with an id and advice of the client's.
func asking(id, advice string) string {
	return `[{"channel":"/meta/connect","id":"` + id + `","clientId":"$","connectionType":"long-polling","advice":` + advice + `}]`
}

// newer is a connect that is not the first one.
const newer = `[{"channel":"/meta/connect","id":"c2","clientId":"$","connectionType":"long-polling"}]`

// foreign is a client that is subscribed and has a connect held while another
// publishes.
func foreign(words ...string) script {
	return talk(append([]string{"a", "!begin", sub("/x"), connect, "b", "!begin"}, words...)...)
}

// queued is a client that is subscribed and has no connect held while another
// publishes, then connects.
func queued(words ...string) script {
	all := append([]string{"a", "!begin", sub("/x"), "b", "!begin"}, words...)
	return talk(append(all, "~100", "a", connect, "~3000")...)
}

func connectChecks() []check {
	return append(holdChecks(), endChecks()...)
}

func holdChecks() []check {
	held := begun(connect, "~3000")
	return []check{
		{"F-CN-01", begun(), `"c0","successful":true`, `"c0","advice"`},
		{"F-CN-02", begun(`[{"channel":"/meta/connect","id":"c1","clientId":"$","advice":{"timeout":0}}]`), `"c1","successful":true`, `connection_type_missing`},
		{"F-CN-03", begun(`[{"channel":"/meta/connect","id":"c1","clientId":"$","connectionType":"foo","advice":{"timeout":0}}]`), `"c1","successful":true`, `connection_type_invalid`},
		{"F-CN-04", begun(), `"c0","successful":true`, `402::session_unknown`},
		{"F-CN-05", begun(), ``, `"c0".*"connectionType":"long-polling"`},
		{"F-CN-06", held, `^a 2000 .*"c1"`, `^a 0 .*"c1","successful":true\}`},
		{"F-CN-07", begun(messages(connect, sub("/x")), "~3000"), `^a 0 .*"c1"`, `^a 2000 .*"c1".*"/x"`},
		{"F-CN-08", talk("a", hello, connect, "~3000"), `^a 0 .*"c1"`, `^a 2000 .*"c1"`},
		{"F-CN-09", begun(messages(poll, asking("c2", `{"timeout":0}`))), ``, `"c2".*connect_twice`},
		{"F-CN-10", begun(messages(poll, sub("/x"))), ``, `connect_not_alone`},
		{"F-CN-11", begun(asking("c1", `{"timeout":1000}`), "~3000"), `^a 1000 .*"c1"`, `^a 2000 .*"c1"`},
		{"F-CN-12", begun(asking("c1", `{"timeout":500}`), "~600", newer, "~3000"), `^a 2600 .*"c2","successful":true\}`, `^a 1100 .*"c2","successful":true\}`},
		{"F-CN-13", begun(asking("c1", `{"timeout":3000}`), "~4000"), `^a 3000 .*"c1"`, `^a 2000 .*"c1"`},
		{"F-CN-14", begun(asking("c1", `{"timeout":-1}`), "~4000"), `^a 2000 .*"c1"`, `^a 0 .*"c1"`},
		{"F-CN-15", begun(asking("c1", `{"timeout":0}`), "~4000"), `^a 0 .*"c1"`, `^a 2000 .*"c1"`},
		{"F-CN-16", held, `^a 2000 .*"c1"`, `^a 1000 .*"c1","successful":true\}`},
		{"F-CN-17", begun(connect, "~5000"), `^a 2000 .*"c1"`, `^a 4000 .*"c1","successful":true\}`},
		{"F-CN-18", begun(connect, "~9000"), `^a 2000 .*"c1"`, ``},
		{"F-CN-19", held, `^a 2000 200`, `^a 2000 408`},
		{"F-CN-20", held, `"c1"`, ``},
		{"F-CN-21", held, `"c1","successful":true`, `408::timeout`},
		{"F-CN-22", held, ``, `"c1".*"reconnect":"handshake"`},
		{"F-CN-23", foreign(pub("/x", "1"), "~3000"), `^a 0 .*"data":1.*"c1"`, `^a 2000 .*"data":1.*"c1"`},
		{"F-CN-24", foreign(pub("/x", "1"), "~3000"), `^a 0 .*"data":1`, `^a 1000 .*"data":1`},
		{"F-CN-25", foreign(pub("/x", "1"), "a", newer, "~3000"), `^a 0 .*"data":1.*"c1"`, `^a 2000 .*"data":1.*"c2"`},
		{"F-CN-26", queued(pub("/x", "1"), pub("/x", "2")), `^a 100 .*"data":1.*"data":2`, `^a 100 [^1]*"data":2.*"c1"`},
		{"F-CN-27", queued(pub("/x", "1"), pub("/x", "2"), "a"), `"data":2`, ``},
		{"F-CN-28", begun(asking("c1", `{"timeout":0,"interval":500}`)), `"interval":500`, ``},
		{"F-CN-29", begun(asking("c1", `{"timeout":0,"interval":5000}`), "~4000", poll), ``, `(?s)"interval":5000.*402::session_unknown`},
		{"F-CN-30", begun(asking("c1", `{"timeout":0,"interval":500}`), poll), ``, `(?s)"interval":500.*"interval":500`},
	}
}

func endChecks() []check {
	bye := begun(connect, leave, "~3000")
	twice := begun(connect, newer, "~3000")
	kicked := begun(connect, pub("/service/kick", "1"), "~3000")
	return []check{
		{"F-CN-31", bye, `^a 0 .*"c1"`, `^a 2000 .*"c1"`},
		{"F-CN-32", bye, `"c1","successful":true`, `"c1","successful":false.*402`},
		{"F-CN-33", bye, `"reconnect":"none"`, ``},
		{"F-CN-34", bye, `"reconnect":"none"`, `"c1".*"reconnect":"retry"`},
		{"F-CN-35", bye, `"advice":\{"reconnect":"none"\}`, `"reconnect":"none","interval":0,"timeout":2000`},
		{"F-CN-36", bye, `"c1"`, ``},
		{"F-CN-37", kicked, `\{"channel":"/meta/disconnect","successful":true\}`, ``},
		{"F-CN-38", kicked, ``, `"channel":"/meta/disconnect","successful":true,"id":"0"`},
		{"F-CN-39", begun(connect, "~3000", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-CN-40", begun(connect, sub("/x"), "~3000"), `^a 2000 .*"c1"`, `^a 0 .*"c1","successful":true\}`},
		{"F-CN-41", twice, `^a 0 500`, `^a 0 200 .*"c1","successful":true`},
		{"F-CN-42", twice, `^a 0 500`, `^a 0 408`},
		{"F-CN-43", twice, `^a 0 500`, `^a 2000 500`},
		{"F-CN-44", twice, `^a 2000 .*"c2"`, `^a 2000 .*"c1"`},
		{"F-CN-45", begun(connect, "~1000", newer, "~3000"), `^a 3000 .*"c2"`, `^a 2000 .*"c2","successful":true\}`},
		{"F-CN-46", twice, `^a 2000 .*"c2"`, `^a 0 .*"c2","successful":true\}`},
		{"F-CN-47", foreign("a", "!abort", "b", pub("/x", "1"), "a", poll), `"data":1`, ``},
		{"F-CN-48", begun(connect, "!abort", "~9000", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
		{"F-CN-49", talk("a", "!http2", "!begin", connect, "~3000"), `^a 2000 200 .*"c1"`, `^a 1000 failed`},
	}
}

func adviceChecks() []check {
	changed := func(w *world) {
		if w.on == WebSocket {
			talk("a", "!move long-polling", "!begin", "!move websocket", connect, "~3000")(w)
			return
		}
		talk("a", "!begin", "!move websocket", poll, "!move long-polling", connect, "~3000")(w)
	}
	crowd := talk("a", "!begin", connect, "b", "!share a", "!begin", "~1000", poll, "~1500", connect, "~3000")
	return []check{
		{"F-AD-01", begun(connect, "~3000"), ``, `"c1".*"advice"`},
		{"F-AD-02", begun(), `"c0".*"advice"`, ``},
		{"F-AD-03", begun(asking("c1", "{}"), "~3000"), `"c1".*"advice"`, ``},
		{"F-AD-04", changed, `"c1".*"advice"`, ``},
		{"F-AD-05", begun(asking("c1", `{"timeout":1000}`), "~3000"), `"c1".*"timeout":2000`, `"c1".*"timeout":1000`},
		{"F-AD-06", begun(connect, "~3000"), `"timeout":2000`, `(?s)"timeout":4000.*^a 2000 .*"c1"`},
		{"F-AD-07", begun(sub("/x")), ``, `"/meta/subscribe".*"advice"`},
		{"F-AD-08", begun(), `"c0".*"retry"`, `"c0".*"reconnect":"handshake"`},
		{"F-AD-09", begun(), ``, `"advice":.*"hosts":\[\]`},
		{"F-AD-10", begun(), `"c0".*"reconnect"`, ``},
		{"F-AD-11", begun(leave), ``, `"id":"d".*"reconnect":"none"`},
		{"F-MC-01", crowd, `multiple-clients`, ``},
		{"F-MC-02", talk("a", "!http2", "!begin", connect, "b", "!http2", "!share a", "!begin"), ``, `multiple-clients`},
		{"F-MC-03", begun(connect, "~3000"), `^a 2000 .*"c1"`, `^a 0 .*"c1".*multiple-clients`},
		{"F-MC-04", crowd, `"successful":true,"advice":.*"multiple-clients"`, `"successful":false,"advice":.*"multiple-clients"`},
		{"F-MC-05", crowd, `^b 0 .*multiple-clients`, ``},
		{"F-MC-06", crowd, `^b 4500 .*"c1","successful":true\}`, `^b 2500 .*multiple-clients`},
		{"F-MC-07", begun(connect, newer, "~3000"), ``, `multiple-clients`},
		{"F-MC-08", talk("a", "!cookie 0123456789abcdef", "!begin", connect, "b", "!cookie 0123456789abcdef", "!begin", connect), ``, `^b 0 .*"c1".*multiple-clients`},
		{"F-MC-09", begun(connect, "b", "!begin", connect), ``, `^b 0 .*"c1".*multiple-clients`},
		{"F-MC-10", crowd, `multiple-clients`, `"advice":\{"reconnect":"retry","interval":2000`},
		{"F-MC-11", crowd, `"interval":2000`, ``},
		{"F-MC-12", crowd, `"multiple-clients":true,"reconnect":"retry"`, `"multiple-clients":true,"reconnect":"handshake"`},
		{"F-MC-13", crowd, `"successful":true,"advice":\{"multiple`, `"successful":false,"advice":\{"multiple`},
		{"F-MC-14", talk("a", "!begin", connect, "b", "!share a", "!begin", "~3500", sub("/x")), `402::session_unknown`, `^b 3500 .*"/x","successful":true`},
	}
}

func expiryChecks() []check {
	busy := begun("~1500", pub("/x", "1"), "~1500", pub("/x", "2"))
	after := begun("~5000", sub("/x"))
	return []check{
		{"F-EX-01", begun("~1500", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-EX-02", after, `402::session_unknown`, `"/x","successful":true`},
		{"F-EX-03", begun("~4000", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
		{"F-EX-04", begun(asking("c1", `{"timeout":6000}`), "~7000"), `^a 6000 .*"c1","successful":true`, `^a 6000 .*"c1".*402::session_unknown`},
		{"F-EX-05", busy, ``, `^a 3000 .*402::session_unknown`},
		{"F-EX-06", begun(asking("c1", `{"timeout":0,"interval":9000}`), "~1000", pub("/x", "1"), "~4000", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-EX-07", after, `402::session_unknown`, `^a 5000 close 1000`},
		{"F-EX-08", after, `402::session_unknown`, `"/x","successful":true`},
		{"F-EX-09", begun(sub("/x"), leave, hello, poll, pub("/x", "1"), poll), ``, `"data":1`},
		{"F-DC-01", talk("a", hello, leave), `"id":"d","successful":true`, `not_connected`},
		{"F-DC-02", begun(leave), `"id":"d"`, ``},
		{"F-DC-03", begun(leave, sub("/x")), `402::session_unknown`, `(?s)"id":"d","successful":true.*"/x","successful":true`},
		{"F-DC-04", talk("a", "!begin", sub("/x"), "b", "!begin", pub("/x", "1"), "a", leave), `"data":1.*"id":"d"`, ``},
		{"F-DC-05", begun(messages(leave, sub("/x"))), `402::session_unknown`, `"/x","successful":true`},
		{"F-DC-06", foreign(messages(pub("/x", "1"), leave)), `^a .*"data":1`, ``},
		{"F-DC-07", begun(leave), ``, `(?s)"id":"d".*^a 0 close 1000`},
		{"F-DC-08", talk("a", hello, hello), `<a2>`, `handshake_failed`},
		{"F-DC-09", talk("a", "!begin", sub("/x"), leave, "b", "!begin", pub("/x", "1")), ``, `^a .*"data":1`},
	}
}
