package faults

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// callbackFaults break callback-polling: WIRE 7c.
func callbackFaults() []Fault {
	return slices.Concat(callbackBodies(), callbackNames(), callbackMessages())
}

// onScripts rewrites the bodies of scripts.
func onScripts(f func(x *exchange, text string) string) factory {
	return onAnswers(func(x *exchange) {
		if x.on == CallbackPolling && x.status == http.StatusOK {
			x.setText([]byte(f(x, string(x.text))))
		}
	})
}

func callbackBodies() []Fault {
	return []Fault{
		fault("F-JP-01", "R-JP-2", "Scripts end with a semicolon.", onlyJP(), onScripts(func(_ *exchange, text string) string { return text + ";" })),
		fault("F-JP-02", "R-JP-2", "Scripts begin with a line of comment.", onlyJP(), onScripts(func(_ *exchange, text string) string { return "// bayeux\n" + text })),
		fault("F-JP-03", "R-JP-2", "The content type of scripts is application/json.", onlyJP(), typed("application/json")),
		fault("F-JP-04", "R-JP-2", "The content type of scripts is text/html.", onlyJP(), typed("text/html;charset=UTF-8")),
		fault("F-JP-05", "R-JP-2", "The array comes without the callback around it.", onlyJP(), onScripts(func(x *exchange, text string) string {
			return strings.TrimSuffix(strings.TrimPrefix(text, x.before), x.behind)
		})),
		fault("F-JP-06", "R-JP-2", "The callback is called with a string of JSON.", onlyJP(), onScripts(func(x *exchange, text string) string {
			return x.before + quote(strings.TrimSuffix(strings.TrimPrefix(text, x.before), x.behind)) + x.behind
		})),
		fault("F-JP-07", "R-JP-2 R-JP-3", "The callback has the default name jsonpcallback, whatever the request says.", onlyJP(), onScripts(func(x *exchange, text string) string {
			return strings.Replace(text, x.before, "jsonpcallback(", 1)
		})),
		fault("F-JP-08", "R-JP-6", "The line separators U+2028 and U+2029 are not escaped in scripts.", onlyJP(), onScripts(func(_ *exchange, text string) string {
			return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(text)
		})).tolerated(),
		fault("F-JP-09", "R-JP-6", "Browsers may guess another type of scripts: there is no nosniff.", onlyJP(), onAnswers(func(x *exchange) { x.header.Del("X-Content-Type-Options") })).tolerated(),
	}
}

// alias has the server see a valid callback in place of one that is not, and
// the client get its own.
func alias(when func(names []string) bool) factory {
	return always(hooks{
		request: func(x *exchange) {
			names := x.r.URL.Query()["jsonp"]
			if len(names) == 0 || !when(names) {
				return
			}
			x.callback = names[0]
			x.replaceQuery("jsonp", "callback")
		},
		response: func(x *exchange) {
			if x.callback != "" && x.status == http.StatusOK {
				x.setText([]byte(x.callback + "(" + strings.TrimPrefix(string(x.text), "callback(")))
			}
		},
	})
}

func callbackNames() []Fault {
	refused := func(when func(name string) bool) factory {
		return turnDown(http.StatusBadRequest, func(x *exchange) bool {
			q := x.r.URL.Query()
			return q.Has("jsonp") && when(q.Get("jsonp"))
		})
	}
	return []Fault{
		fault("F-JP-10", "R-JP-3", "Callbacks may have any characters, brackets and parentheses too.", onlyJP(), alias(func(names []string) bool {
			return len(names) == 1 && len(names[0]) <= 64 && strings.ContainsAny(names[0], "[]();<>'\" $")
		})),
		fault("F-JP-11", "R-JP-3", "Callbacks may be of any length.", onlyJP(), alias(func(names []string) bool { return len(names) == 1 && len(names[0]) > 64 })),
		fault("F-JP-12", "R-JP-3", "Of two callbacks the first counts.", onlyJP(), alias(func(names []string) bool { return len(names) > 1 })),
		fault("F-JP-13", "R-JP-3", "Callbacks with dots are refused.", onlyJP(), refused(func(name string) bool { return strings.Contains(name, ".") })),
		fault("F-JP-14", "R-JP-3", "Callbacks of more than 32 characters are refused.", onlyJP(), refused(func(name string) bool { return len(name) > 32 && len(name) <= 64 })),
		fault("F-JP-15", "R-JP-3 R-HT-2", "An empty callback is answered with a bare array.", onlyJP(), always(hooks{
			request: func(x *exchange) {
				if names := x.r.URL.Query()["jsonp"]; len(names) == 1 && names[0] == "" {
					x.naked = true
					x.replaceQuery("jsonp", "callback")
				}
			},
			response: func(x *exchange) {
				if x.naked && x.status == http.StatusOK {
					x.setText(bytes.TrimSuffix(bytes.TrimPrefix(x.text, []byte("callback(")), []byte(")")))
				}
			},
		})),
	}
}

// ownCalls gives each reply a call of its own where the request had several
// messages.
func ownCalls(x *exchange, text string) string {
	if len(x.r.URL.Query()["message"]) < 2 || x.down == nil {
		return text
	}
	var out strings.Builder
	for _, m := range x.down.msgs {
		out.WriteString(x.before + "[" + string(m.bytes()) + "]" + x.behind)
	}
	return out.String()
}

func callbackMessages() []Fault {
	return []Fault{
		fault("F-JP-16", "R-JP-1", "Of several message parameters only the first counts.", onlyJP(), always(hooks{request: func(x *exchange) {
			if all := x.r.URL.Query()["message"]; len(all) > 1 {
				x.replaceQuery("message", all[0])
			}
		}})),
		fault("F-JP-17", "R-JP-1", "Several message parameters are carried out last first.", onlyJP(), always(hooks{request: func(x *exchange) {
			all := x.r.URL.Query()["message"]
			if len(all) < 2 {
				return
			}
			slices.Reverse(all)
			x.replaceQuery("message", all[0])
			for _, m := range all[1:] {
				x.r.URL.RawQuery += "&message=" + url.QueryEscape(m)
			}
		}})),
		fault("F-JP-18", "R-JP-4", "A request without message is answered with an empty array.", onlyJP(), always(hooks{request: func(x *exchange) {
			if q := x.r.URL.Query(); q.Has("jsonp") && !q.Has("message") {
				x.answer(http.StatusOK, "text/javascript;charset=UTF-8", []byte(q.Get("jsonp")+"([])"))
			}
		}})),
		fault("F-JP-19", "R-JP-4 R-HT-7", "Malformed JSON is answered with 200 and an empty array.", onlyJP(), onAnswers(func(x *exchange) {
			if q := x.r.URL.Query(); x.on == CallbackPolling && x.status == http.StatusBadRequest && x.up == nil && q.Has("message") {
				x.answer(http.StatusOK, "text/javascript;charset=UTF-8", []byte(q.Get("jsonp")+"([])"))
			}
		})),
		fault("F-JP-20", "R-JP-1", "A message parameter that is a bare object is refused.", onlyJP(), always(hooks{request: func(x *exchange) {
			for _, m := range x.r.URL.Query()["message"] {
				if strings.HasPrefix(strings.TrimSpace(m), "{") {
					x.answer(http.StatusBadRequest, "text/plain;charset=UTF-8", []byte("an array is needed\n"))
				}
			}
		}})),
		fault("F-JP-21", "R-JP-1 R-MSG-2", "The replies to several message parameters come in calls of their own.", onlyJP(), onScripts(ownCalls)),
	}
}
