package faults

// Bodies that several checks use.
const (
	noSubscription = `[{"channel":"/meta/subscribe","id":"s","clientId":"$"}]`
	badID          = `[{"channel":"/x","id":"a-b","clientId":"$","data":1}]`
	noChannel      = `[{"id":"p","clientId":"$","data":1}]`
	strangerSub    = `[{"channel":"/meta/subscribe","id":"s","clientId":"nobody","subscription":"/x"}]`
)

// closed is how a request ends that fails as a whole.
const closed = `^a 0 (400|close 1011)`

// begun is a client whose first connect is over, who then says something.
func begun(words ...string) script { return talk(append([]string{"a", "!begin"}, words...)...) }

// published by a itself, fetched by a connect where it does not come at once.
func own(subscription, channel, data string) script {
	return begun(sub(subscription), pub(channel, data), poll)
}

func messageChecks() []check {
	both := messages(sub("/x"), sub("/y"))
	return []check{
		{"F-MSG-01", talk("a", `{"channel":"/meta/handshake","id":"h"}`), `"clientId":"<a1>"`, closed},
		{"F-MSG-02", begun(both), `"subscription":"/y"`, ``},
		{"F-MSG-03", talk("a", hello), `\[\{"channel":"/meta/handshake"`, `[ (]\{"channel":"/meta/handshake"`},
		{"F-MSG-04", begun(both), `"/x".*\},\{.*"/y"`, `"/x".*\}\]\[\{.*"/y"`},
		{"F-MSG-05", begun(both), `"/x".*"/y"`, `"/y".*"/x"`},
		{"F-MSG-06", begun(both), `"/y"`, ``},
		{"F-MSG-07", begun(pub("/x", "1")), ``, `("id":"p","successful":true.*){2}`},
		{"F-MSG-08", begun(messages(noSubscription, sub("/y"))), `"/y"`, ``},
		{"F-MSG-09", begun(sub("/x")), ``, `"/meta/subscribe".*"clientId":"<a1>"`},
		{"F-MSG-10", begun(pub("/x", "1")), ``, `"id":"p","successful":true,"data":1`},
		{"F-MSG-11", begun(), ``, `"error":""`},
		{"F-MSG-12", begun(), `"successful":true`, `"successful":"true"`},
		{"F-MSG-13", begun(noSubscription), `"successful":false`, ``},
		{"F-MSG-14", begun(sub("foo")), `"subscription":"foo"`, ``},
		{"F-MSG-15", begun(`[{"channel":"/x","id":"p","clientId":"$","data":1,"subscription":"/q"}]`), `"subscription":"/q"`, ``},
		{"F-MSG-16", begun(), ``, `"timestamp"`},
		{"F-MSG-17", begun(`[{"channel":"/x","id":"p","clientId":"$","data":1,"ext":{"x":1}}]`), ``, `"id":"p".*"ext":\{"x":1\}`},
		{"F-MSG-18", begun(), `"id":"c0"`, ``},
		{"F-MSG-19", begun(pub("/x", "1")), `"id":"p"`, ``},
		{"F-MSG-20", begun(messages(sub("/q"), pub("/x", "1"))), `"id":"p"`, `"channel":"/x","id":"s"`},
		{"F-MSG-21", begun(noSubscription), `"id":"s"`, ``},
		{"F-MSG-22", begun(`[{"channel":"/x","id":"abcdefghijkl","clientId":"$","data":1}]`), `"id":"abcdefghijkl"`, `"id":"abcdefgh"`},
		{"F-MSG-23", begun(`[{"channel":"/x","clientId":"$","data":1}]`), ``, `"id":""`},
		{"F-MSG-24", begun(`[{"channel":"/x","id":7,"clientId":"$","data":1}]`), `"id":"7"`, `"id":7`},
		{"F-MSG-25", begun(badID), `405::message_id_invalid`, `"id":"a-b","successful":true`},
		{"F-MSG-26", begun(`[{"channel":"/x","id":null,"clientId":"$","data":1}]`), ``, `405::message_id_invalid`},
		{"F-MSG-27", begun(badID), `405::message_id_invalid`, closed},
		{"F-MSG-28", begun(badID), `"a-b"`, ``},
		{"F-MSG-29", begun(noChannel), `400::channel_missing`, closed},
		{"F-MSG-30", begun(noChannel), `400::channel_missing`, `405::channel_invalid`},
		{"F-MSG-31", begun(noChannel), ``, `"channel":""`},
		{"F-MSG-32", begun(pub("/a?b", "1")), `405::channel_invalid`, `"channel":"/a\?b".*"successful":true`},
		{"F-MSG-33", begun(pub("foo", "1")), `405::channel_invalid`, `"channel":"foo".*"successful":true`},
		{"F-MSG-34", begun(pub("/a b", "1")), `"channel":"/a b".*"successful":true`, `"channel":"/a b".*405::channel_invalid`},
		{"F-MSG-35", talk("a", `[{"channel":"/a?","id":"p","clientId":"nobody","data":1}]`), `405::channel_invalid`, `402::session_unknown`},
		{"F-MSG-36", begun(pub("//a", "1")), `405::channel_invalid`, `"channel":"//a".*"successful":true`},
		{"F-MSG-37", begun(`[{"channel":"/x","id":"p","clientId":"$","data":1,"ext":"s"}]`), `"400::`, `"id":"p","successful":true`},
		{"F-MSG-38", own("/x/", "/x", "1"), `"data":1`, ``},
		{"F-MSG-39", own("/x", "/x/", "1"), `"channel":"/x/"`, ``},
		{"F-MSG-40", begun(pub("/meta", "1")), ``, `"channel":"/meta","id":"p".*channel_create_denied`},
		{"F-MSG-41", own("/service", "/service", "1"), `"data":1`, ``},
		{"F-MSG-42", begun(`[{"channel":"/META/connect","id":"c9","clientId":"$"}]`, "~3000"), `^a 0 .*"/META/connect"`, `^a 2000 .*"/META/connect"`},
		{"F-MSG-43", talk("a", strangerSub), `402::`, `"error":"session_unknown"`},
		{"F-MSG-44", talk("a", strangerSub), `402::`, `"error":"402:session_unknown"`},
		{"F-MSG-45", talk("a", strangerSub), `402::`, `"error":402\}`},
		{"F-MSG-46", talk("a", strangerSub), `402::`, `"error":"400::session_unknown"`},
		{"F-MSG-47", talk("a", strangerSub), `402::session`, `"error":"402::0:session_unknown"`},
		{"F-MSG-48", own("/x", "/x", "[1e400,2.50]"), `\[1e400,2\.50\]`, `\[null,2\.5\]`},
		{"F-MSG-49", own("/x", "/x", "99999999999999999999"), `9{20}`, `"data":-1`},
		{"F-MSG-50", own("/x", "/x", `{"b":1,"a":2,"a":3}`), `\{"b":1,"a":2,"a":3\}`, `\{"a":3,"b":1\}`},
		{"F-MSG-51", own("/x", "/x", `"a\/b"`), `a\\/b`, `a/b`},
		{"F-MSG-52", own("/x", "/x", `"é"`), `"é"`, `"\?"`},
		{"F-MSG-53", own("/x", "/x", `" x "`), `" x "`, `"data":"x"`},
	}
}

func handshakeChecks() []check {
	const (
		bare   = `[{"channel":"/meta/handshake","id":"h"}]`
		denied = `[{"channel":"/meta/handshake","id":"h","ext":{"deny":1}}]`
	)
	with := func(more string) string {
		return `[{"channel":"/meta/handshake","id":"h","version":"1.0","supportedConnectionTypes":["long-polling"],` + more + `}]`
	}
	first := talk("a", hello)
	return []check{
		{"F-HS-01", first, `"version":"1.0"`, ``},
		{"F-HS-02", first, `"version":"1.0"`, `"version":"1.1"`},
		{"F-HS-03", first, `"minimumVersion"`, ``},
		{"F-HS-04", first, `"supportedConnectionTypes"`, ``},
		{"F-HS-05", first, `"clientId"`, ``},
		{"F-HS-06", first, ``, `"authSuccessful":true`},
		{"F-HS-07", first, `\["websocket","long-polling","callback-polling"\]`, `\["callback-polling","long-polling","websocket"\]`},
		{"F-HS-08", first, `"supportedConnectionTypes":\["websocket","`, `"supportedConnectionTypes":\["[a-z-]*"\]`},
		{"F-HS-09", first, ``, `"supportedConnectionTypes":"websocket,long`},
		{"F-HS-56", talk("a", with(`"advice":{"timeout":77}`)), ``, `"timeout":77`},
		{"F-HS-10", talk("a", with(`"foo":1,"data":{}`)), ``, `"foo":1,"data":\{\}`},
		{"F-HS-11", talk("a", bare), `"successful":true`, `version_missing`},
		{"F-HS-12", talk("a", `[{"channel":"/meta/handshake","version":"0.1"}]`), `"successful":true`, `version_unsupported`},
		{"F-HS-13", talk("a", with(`"minimumVersion":"9"`)), `"successful":true`, `version_unsupported`},
		{"F-HS-14", talk("a", `[{"channel":"/meta/handshake","supportedConnectionTypes":["foo"]}]`), `"successful":true`, `no_common`},
		{"F-HS-15", talk("a", with(`"id":"h"`)), `\["websocket","long-polling"`, `\["long-polling"\]`},
		{"F-HS-16", talk("a", bare), `"successful":true`, `types_missing`},
		{"F-HS-17", talk("a", messages(hello, strangerSub)), closed, `"clientId":"<a1>"`},
		{"F-HS-18", first, `"advice"`, ``},
		{"F-HS-19", first, `"timeout"`, ``},
		{"F-HS-20", first, `"interval"`, ``},
		{"F-HS-21", first, `"retry"`, `"reconnect":"handshake"`},
		{"F-HS-22", first, ``, `"maxInterval":2000`},
		{"F-HS-23", first, `"timeout":2000`, `"timeout":2\}`},
		{"F-HS-24", first, `"timeout":2000`, `"timeout":"2000"`},
		{"F-HS-25", first, ``, `"x-messages":0`},
		{"F-HS-26", talk("a", hello, hello, poll), `<a2>`, `(?s)"clientId":"<a1>".*"clientId":"<a1>".*"c0","successful":true`},
		{"F-HS-27", talk("a", hello, hello, "!back", "!cut", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-HS-28", talk("a", denied), `^a 0 200`, `^a 0 403`},
		{"F-HS-29", talk("a", denied), `"reconnect":"none"`, ``},
		{"F-HS-30", talk("a", denied), `"reconnect":"none"`, `"reconnect":"retry"`},
		{"F-HS-31", talk("a", denied), ``, `"clientId"`},
		{"F-HS-32", talk("a", denied), ``, `Set-Cookie`},
		{"F-HS-33", talk("a", denied), ``, `^a 0 close 1008`},
		{"F-HS-34", begun(), `<a1>`, `(?s)"clientId":"[0-9a-z]{8}".*"c0","successful":true`},
		{"F-HS-35", begun("b", "!begin"), `<a1>`, `(?s)"clientId":"0{24}1".*"c0","successful":true.*"clientId":"0{24}2"`},
		{"F-HS-36", begun(), `<a1>`, `(?s)"clientId":"[0-9a-z]{8}-.*_=".*"c0","successful":true`},
		{"F-HS-37", begun("b", "!begin"), `<a1>`, `(?s)"7f3kd82nv0w1mzq4x6b9c0007".*"c0","successful":true.*"7f3kd82nv0w1mzq4x6b9c0014"`},
		{"F-HS-38", begun(), `Set-Cookie`, `402::session_unknown`},
		{"F-HS-39", first, ``, `Set-Cookie: .* \| BAYEUX_BROWSER`},
		{"F-HS-40", talk("a", hello, hello), ``, `(?s)Set-Cookie: .*Set-Cookie: `},
		{"F-HS-41", begun(), ``, `(?s)Set-Cookie: .*Set-Cookie: `},
		{"F-HS-42", talk("a", "!cookie 0123456789abcdef", "!begin"), ``, `(?s)Set-Cookie: .*"c0","successful":true`},
		{"F-HS-43", begun(), `Set-Cookie: BAYEUX_BROWSER`, `(?s)Set-Cookie: HALLEYID.*"c0","successful":true`},
		{"F-HS-44", first, `HttpOnly`, ``},
		{"F-HS-45", first, `Path=/;`, `Path=/cometd;`},
		{"F-HS-46", first, `Path=/;`, `BAYEUX_BROWSER=[^;]*; HttpOnly`},
		{"F-HS-47", first, ``, `Max-Age=3600`},
		{"F-HS-48", first, ``, `; Secure`},
		{"F-HS-49", first, ``, `; SameSite=Strict`},
		{"F-HS-50", first, ``, `; Domain=localhost`},
		{"F-HS-51", begun(), `<cookie a>`, `(?s)BAYEUX_BROWSER=[0-9a-z]{4};.*"c0","successful":true`},
		{"F-HS-52", talk("a", hello, sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-HS-53", talk("a", hello, sub("/x"), pub("/x", "1"), poll, poll), `"data":1`, ``},
		{"F-HS-54", talk("a", hello, "~5000", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
		{"F-HS-55", talk("a", hello, "~600", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
	}
}

func identityChecks() []check {
	const (
		other   = `[{"channel":"/meta/subscribe","id":"t","clientId":"$old","subscription":"/y"}]`
		nobody  = `[{"channel":"/meta/connect","id":"c1","clientId":"nobody","connectionType":"long-polling"}]`
		nowhere = `[{"channel":"/meta/disconnect","id":"d","clientId":"nobody"}]`
	)
	moved := func(w *world) {
		from := map[string]string{LongPolling: CallbackPolling, CallbackPolling: LongPolling}[w.on]
		talk("a", "!move "+from, "!begin", "!move "+w.on, sub("/x"))(w)
	}
	return []check{
		{"F-ID-01", talk("a", hello, hello, messages(sub("/x"), other)), `"/y","successful":false`, `"/y","successful":true`},
		{"F-ID-02", begun(messages(strangerSub, sub("/y"))), `"/y","successful":false`, `"/y","successful":true`},
		{"F-ID-03", begun(`[{"channel":"/x","id":"p","data":1}]`), `402::session_unknown`, `"id":"p","successful":true`},
		{"F-ID-04", talk("a", hello, hello, other), `402::session_unknown`, `"/y","successful":true`},
		{"F-ID-05", begun("!cookie 0123456789abcdef", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
		{"F-ID-06", begun("!cookie", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
		{"F-ID-07", begun("!header Cookie: BAYEUX_BROWSER=0123456789abcdef; $cookie", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
		{"F-ID-08", begun("!header Cookie: theme=dark; $cookie", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-ID-09", begun("!cut", poll), ``, `402::session_unknown`},
		{"F-ID-10", talk("a", "!move long-polling", "!begin", "!move websocket", sub("/x")), `"/x","successful":true`, `402::session_unknown`},
		{"F-ID-11", talk("a", "!move websocket", "!begin", "!move long-polling", sub("/x")), `402::session_unknown`, `"/x","successful":true`},
		{"F-ID-12", moved, `402::session_unknown`, `"/x","successful":true`},
		{"F-ERR-01", talk("a", nobody), `^a 0 200`, `^a 0 401`},
		{"F-ERR-02", talk("a", nobody), `"error"`, ``},
		{"F-ERR-03", talk("a", nobody), `"402::`, `"404::session_unknown"`},
		{"F-ERR-04", talk("a", nobody), `"advice"`, ``},
		{"F-ERR-05", talk("a", strangerSub), ``, `"advice":\{"reconnect":"handshake"`},
		{"F-ERR-06", talk("a", nobody), `"reconnect":"handshake"`, `"reconnect":"retry"`},
		{"F-ERR-07", talk("a", nobody), `"reconnect":"handshake"`, `"reconnect":"none"`},
		{"F-ERR-08", talk("a", nobody), `"interval":0`, ``},
		{"F-ERR-09", talk("a", nobody), ``, `"timeout":2000`},
		{"F-ERR-10", talk("a", nowhere), `402::session_unknown`, `"id":"d","successful":true`},
		{"F-ERR-11", talk("a", nowhere), ``, `"reconnect":"handshake"`},
		{"F-ERR-12", begun(messages(leave, connect)), `"reconnect":"none"`, `"reconnect":"handshake"`},
		{"F-ERR-13", begun("~5000", connect), `"reconnect":"handshake"`, `"reconnect":"none"`},
		{"F-ERR-14", begun(leave, connect), `"reconnect":"handshake"`, `"reconnect":"none"`},
		{"F-ERR-15", talk("a", nobody), `"id":"c1"`, ``},
		{"F-ERR-16", talk("a", nobody), `"402::session_unknown"`, `"402::Unknown client"`},
	}
}
