package faults

import "strconv"

func webSocketChecks() []check {
	first := talk("a", hello)
	both := messages(sub("/x"), sub("/y"))
	broken := begun("not json", "~10")
	twice := begun(connect, newer, "~3000")
	return []check{
		{"F-WS-01", talk("a", "!query x=1", hello), `upgrade 101`, `upgrade 400`},
		{"F-WS-02", talk("a", "!header Sec-WebSocket-Protocol: bayeux", hello), ``, `Protocol: bayeux`},
		{"F-WS-03", talk("a", "!header Sec-WebSocket-Protocol: bayeux", hello), `upgrade 101`, `upgrade 500`},
		{"F-WS-04", talk("a", "!header Sec-WebSocket-Extensions: permessage-deflate", hello), `Extensions: permessage-deflate`, `upgrade 101$`},
		{"F-WS-05", first, ``, `Extensions: permessage-deflate`},
		{"F-WS-06", talk("a", "!header Origin: http://elsewhere", hello), `upgrade 101`, `upgrade 403`},
		{"F-WS-07", first, `upgrade 101`, `upgrade 400`},
		{"F-WS-08", first, ``, `Set-Cookie: BAYEUX_BROWSER`},
		{"F-WS-09", talk("a", "#binary "+hello), ``, `text .*"clientId"`},
		{"F-WS-10", talk("a", "#binary "+hello), ``, `close 1003`},
		{"F-WS-11", first, `text \[`, `binary \[`},
		{"F-WS-12", begun("#ping so"), `pong so`, ``},
		{"F-WS-13", begun("#ping so"), `pong so`, `pong $`},
		{"F-WS-14", talk("a", "#fragments "+hello), `"clientId"`, `close 1003`},
		{"F-WS-15", talk("a", "#fragments "+hello), `"clientId"`, `close 1011`},
		{"F-WS-16", begun(sub("/x"), pub("/y", "1"), "~500"), `(?s)"id":"s".*"id":"p"`, `(?s)^a 0 .*"id":"p".*^a 300 .*"id":"s"`},
		{"F-WS-17", broken, `close 1011`, `close 1000`},
		{"F-WS-18", broken, `close 1011`, `400::malformed`},
		{"F-WS-19", broken, `close 1011`, ``},
		{"F-WS-20", begun("not json", "~10", "!cut", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-WS-21", broken, `close 1011`, ``},
		{"F-WS-22", begun(pub("/x", quote(long(70_000)))), `close 1009`, `close 1008`},
		{"F-WS-23", begun(pub("/x", quote(long(70_000)))), `close 1009`, `"id":"p","successful":true`},
		{"F-WS-24", begun(pub("/x", quote(long(60_000)))), `"id":"p","successful":true`, `close 1009`},
		{"F-WS-25", begun(both), `"/x".*"/y"`, `"subscription":"/x","successful":true\}\]`},
		{"F-WS-26", begun(sub("/x"), messages(pub("/x", "1"), pub("/x", "2"))), ``, `"data":1.*"data":2`},
		{"F-WS-27", begun(sub("/x"), pub("/x", "1")), ``, `"data":1.*"id":"p"`},
		{"F-WS-28", begun(connect, leave), ``, `"id":"d".*"c1"`},
		{"F-WS-29", foreign(pub("/x", "1"), "~3000"), `^a 2000 .*"c1"`, `(?s)"data":1.*^a 0 .*"c1"`},
		{"F-WS-30", talk("a", "!begin", sub("/x"), "b", "!begin", pub("/x", "1"), "~100", "a", poll), `^a 0 .*"data":1`, `^a 100 .*"data":1`},
		{"F-WS-31", begun(messages(connect, sub("/x")), "~3000"), `^a 0 .*"/x"`, `^a 2000 .*"/x"`},
		{"F-WS-32", begun("!cut", connect, "~3000"), `^a 2000 .*"c1"`, `^a 0 .*"c1"`},
		{"F-WS-33", twice, ``, `^a 0 .*"c1"`},
		{"F-WS-34", begun(connect, poll, "~3000"), `^a 2000 .*"c1"`, ``},
		{"F-WS-35", begun(connect, "~3000"), `^a 2000 .*"c1"`, `^a 1\d\d\d close 1001`},
		{"F-WS-36", begun("!cut", poll), ``, `402::session_unknown`},
		{"F-WS-37", begun("!cut", "~9000", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
		{"F-WS-38", begun("!cut", "~3500", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
	}
}

// helloAck asks for acknowledging in a handshake.
func helloAck(value string) string {
	return `[{"channel":"/meta/handshake","id":"h","ext":{"ack":` + value + `}}]`
}

// acks is a connect that acknowledges and does not wait.
func acks(id string, n int) string {
	return `[{"channel":"/meta/connect","id":"` + id + `","clientId":"$","connectionType":"long-polling","advice":{"timeout":0},"ext":{"ack":` + strconv.Itoa(n) + `}}]`
}

// acked is a session that acknowledges and has got message 1 with number 2.
func acked(words ...string) script {
	return talk(append([]string{
		"a", helloAck("true"), acks("c0", 0), sub("/x"),
		"b", "!begin", pub("/x", "1"), "a", acks("c1", 1),
	}, words...)...)
}

func timesyncChecks() []check {
	sync := func(ext string) script {
		return begun(`[{"channel":"/meta/connect","id":"c1","clientId":"$","ext":{"timesync":`+ext+`}}]`, "~3000")
	}
	plain, exact := sync(`{"tc":1000}`), sync(`{"tc":1000,"l":0,"o":0}`)
	return []check{
		{"F-TS-01", plain, `"c1".*"tc":1000`, ``},
		{"F-TS-02", plain, `"c1".*"tc":1000`, `"c1".*"tc":0`},
		{"F-TS-03", plain, `"c1".*"ts":\d{12}`, ``},
		{"F-TS-04", plain, `"c1".*"ts":\d{12}`, `"c1".*"ts":\d{9,10}[,}]`},
		{"F-TS-05", plain, `"c1".*"p":2000`, `"c1".*"p":0`},
		{"F-TS-06", plain, ``, `"c1".*"a":0`},
		{"F-TS-07", exact, `"c1".*"a":-\d+`, `"c1".*"a":\d+`},
		{"F-TS-08", exact, `"c1".*"a":`, ``},
	}
}

func ackChecks() []check {
	const again = `(?s)"data":1.*"data":1`
	on := talk("a", helloAck("true"), acks("c0", 0), acks("c1", 1))
	waiting := `[{"channel":"/meta/connect","id":"c2","clientId":"$","connectionType":"long-polling","ext":{"ack":1}}]`
	return []check{
		{"F-ACK-01", talk("a", helloAck(`"true"`)), ``, `"ext":\{"ack":true\}`},
		{"F-ACK-02", talk("a", hello), ``, `"ext":\{"ack":true\}`},
		{"F-ACK-03", on, `"ext":\{"ack":true\}`, ``},
		{"F-ACK-04", on, `"c0".*"ack":1`, ``},
		{"F-ACK-05", talk("a", helloAck("true"), acks("c0", 0), sub("/x"), pub("/x", "1")), ``, `"data":1`},
		{"F-ACK-06", on, `"ack":2`, `"ack":0`},
		{"F-ACK-07", on, `"ack":2`, `(?s)"ack":1.*"ack":3`},
		{"F-ACK-08", on, `"ack":2`, `(?s)"ack":1.*"ack":1`},
		{"F-ACK-09", on, `"c0".*"ack":1`, ``},
		{"F-ACK-10", on, `"ack":1`, `"ack":"1"`},
		{"F-ACK-11", talk("a", helloAck("true"), acks("c0", 0), pub("/x", "1")), ``, `"id":"p".*"ack"`},
		{"F-ACK-12", acked(acks("c2", 0)), again, ``},
		{"F-ACK-13", acked(acks("c2", 2)), ``, again},
		{"F-ACK-14", acked(acks("c2", 1)), again, ``},
		{"F-ACK-15", acked(acks("c2", 999)), ``, again},
		{"F-ACK-16", acked(`[{"channel":"/meta/connect","id":"c2","clientId":"$","advice":{"timeout":0},"ext":{"ack":"5"}}]`), `"c2","successful":true`, `ack_invalid`},
		{"F-ACK-17", acked(asking("c2", `{"timeout":0}`)), again, ``},
		{"F-ACK-18", acked(leave, helloAck("true"), acks("c3", 0)), ``, again},
		{"F-ACK-19", acked("b", pub("/x", "2"), "a", acks("c2", 1)), `"data":1.*"data":2`, `"data":2.*"data":1`},
		{"F-ACK-20", acked(waiting, "~3000"), `^a 0 .*"c2"`, `^a 2000 .*"c2"`},
		{"F-ACK-21", acked(waiting, "~3000"), `"c2".*"advice"`, ``},
		{"F-ACK-22", talk("a", helloAck("true"), acks("c0", 0), sub("/x"), "b", "!begin", pub("/x", "1"), "a", acks("c0", 1)), `"data":1`, ``},
		{"F-ACK-23", acked("b", pub("/x", "2"), "a", acks("c2", 1), acks("c3", 1)), `(?s)"data":1.*"data":1.*"data":1`, ``},
		{"F-ACK-24", acked("!cut", acks("c2", 1)), again, ``},
		{"F-ACK-25", acked(), `"data":1.*"c1"`, `(?s)"c1".*"data":1`},
		{"F-ACK-26", talk("a", helloAck("true"), acks("c0", 0), sub("/x"), waiting, "!abort", "b", "!begin", pub("/x", "1"), "a", acks("c3", 1)), `"data":1`, ``},
	}
}
