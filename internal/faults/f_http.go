package faults

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// httpFaults break HTTP and long-polling: WIRE 7a and 7b.
func httpFaults() []Fault {
	return slices.Concat(httpPaths(), httpMethods(), httpHeaders(), httpStatus(), httpBodies(), httpVersions(), pollingFaults())
}

// turnDown answers requests in the server's stead.
func turnDown(status int, when func(x *exchange) bool) factory {
	return always(hooks{request: func(x *exchange) {
		if when(x) {
			x.answer(status, "text/plain;charset=UTF-8", []byte(http.StatusText(status)+"\n"))
		}
	}})
}

func httpPaths() []Fault {
	return []Fault{
		fault("F-HT-01", "R-HT-1", "Paths below the mount point are not found: 404.", overHTTP(), func(o Options) hooks {
			return turnDown(http.StatusNotFound, func(x *exchange) bool {
				return strings.HasPrefix(x.r.URL.Path, o.Path+"/") && len(x.r.URL.Path) > len(o.Path)+1
			})(o)
		}),
		fault("F-HT-02", "R-HT-1", "A slash behind the path is redirected.", overHTTP(), func(o Options) hooks {
			return hooks{request: func(x *exchange) {
				if x.r.URL.Path == o.Path+"/" {
					x.answer(http.StatusMovedPermanently, "text/plain;charset=UTF-8", nil)
					x.header.Set("Location", o.Path)
				}
			}}
		}),
		fault("F-HT-03", "R-HT-1", "A POST with a query is refused.", onlyLP(), turnDown(http.StatusBadRequest, func(x *exchange) bool {
			return x.r.Method == http.MethodPost && x.r.URL.RawQuery != ""
		})),
	}
}

func httpMethods() []Fault {
	return []Fault{
		fault("F-HT-04", "R-HT-2", "A GET without a callback is answered with an empty array.", onlyLP(), always(hooks{request: func(x *exchange) {
			if x.r.Method == http.MethodGet && !x.r.URL.Query().Has("jsonp") {
				x.answer(http.StatusOK, "application/json", []byte("[]"))
			}
		}})),
		fault("F-HT-05", "R-HT-2", "PUT and PATCH are served like POST.", onlyLP(), always(hooks{request: func(x *exchange) {
			if x.r.Method == http.MethodPut || x.r.Method == http.MethodPatch {
				x.r.Method = http.MethodPost
			}
		}})),
		fault("F-HT-06", "R-HT-2", "HEAD and DELETE are answered with 200.", onlyLP(), always(hooks{request: func(x *exchange) {
			if x.r.Method == http.MethodHead || x.r.Method == http.MethodDelete {
				x.answer(http.StatusOK, "text/plain;charset=UTF-8", nil)
			}
		}})),
		fault("F-HT-07", "R-HT-3", "OPTIONS is answered with 405.", onlyLP(), turnDown(http.StatusMethodNotAllowed, func(x *exchange) bool { return x.r.Method == http.MethodOptions })),
		fault("F-HT-08", "R-HT-3 R-HT-4", "OPTIONS is answered with CORS headers for everybody.", onlyLP(), onAnswers(func(x *exchange) {
			if x.r.Method == http.MethodOptions {
				x.header.Set("Access-Control-Allow-Origin", "*")
				x.header.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
			}
		})),
	}
}

func httpHeaders() []Fault {
	return []Fault{
		fault("F-HT-09", "R-HT-4", "Responses have CORS headers for the origin of each request.", overHTTP(), onAnswers(func(x *exchange) {
			if origin := x.r.Header.Get("Origin"); origin != "" && x.on != "" {
				x.header.Set("Access-Control-Allow-Origin", origin)
				x.header.Set("Access-Control-Allow-Credentials", "true")
			}
		})),
		fault("F-HT-10", "R-HT-4", "Requests with an Origin are refused: 403.", overHTTP(), turnDown(http.StatusForbidden, func(x *exchange) bool { return x.r.Header.Get("Origin") != "" })),
		fault("F-HT-11", "R-HT-5", "Responses have Cache-Control and Expires.", overHTTP(), onAnswers(func(x *exchange) {
			if x.status == http.StatusOK && x.on != "" {
				x.header.Set("Cache-Control", "no-cache, no-store")
				x.header.Set("Expires", "0")
			}
		})),
		fault("F-HT-12", "R-HT-5", "Responses have no Content-Type.", overHTTP(), onAnswers(func(x *exchange) {
			if x.status == http.StatusOK && x.on != "" {
				x.header["Content-Type"] = nil
			}
		})),
		fault("F-HT-13", "R-HT-11", "Responses are compressed with gzip whether that was asked for or not.", overHTTP(), onAnswers(func(x *exchange) {
			if x.status == http.StatusOK && x.down != nil {
				x.setText(zipped(x.text))
				x.header.Set("Content-Encoding", "gzip")
			}
		})),
	}
}

func httpStatus() []Fault {
	failed := func(x *exchange) bool {
		return x.down != nil && x.status == http.StatusOK && slices.ContainsFunc(x.down.replies(), func(m *message) bool { return !m.ok() })
	}
	return []Fault{
		fault("F-HT-14", "R-HT-6 R-HT-10", "A response with a failed message has the status 500.", overHTTP(), onAnswers(func(x *exchange) {
			if failed(x) {
				x.status = http.StatusInternalServerError
			}
		})),
		fault("F-HT-15", "R-HT-5", "Successful responses have the status 202.", overHTTP(), onAnswers(func(x *exchange) {
			if x.down != nil && x.status == http.StatusOK && !failed(x) {
				x.status = http.StatusAccepted
			}
		})),
		fault("F-HT-16", "R-HT-5 R-DL-3", "Responses that have only replies to publishes are empty, with status 204.", onlyLP(), onAnswers(func(x *exchange) {
			if x.down != nil && !failed(x) && len(x.down.msgs) > 0 && !slices.ContainsFunc(x.down.msgs, func(m *message) bool { return !m.reply() || !about(published, m) }) {
				x.status, x.text, x.length = http.StatusNoContent, nil, 0
				x.header.Del("Content-Length")
			}
		})),
		fault("F-HT-17", "R-HT-13", "A held connect is cut with its connection after half its time, as by an idle time-out.", overHTTP(), func(o Options) hooks {
			return hooks{in: func(u *unit) {
				if u.polls() {
					u.x.deadline = o.Timeout / 2
				}
			}}
		}),
		fault("F-HT-18", "R-HT-13", "Connects that are held for long are answered with HTTP 504 after half their time.", overHTTP(), func(o Options) hooks {
			return hooks{
				in: func(u *unit) {
					if u.polls() {
						u.x.deadline, u.x.overdue = o.Timeout/2, http.StatusGatewayTimeout
					}
				},
			}
		}),
	}
}

// badBody tells whether a request was refused for its body.
func badBody(x *exchange) bool {
	return x.on == LongPolling && x.status == http.StatusBadRequest && x.up == nil
}

// punished ends the sessions of a browser that has sent a bad body.
func punished(o Options) hooks {
	h := buried(func(Options, *unit) {})(o)
	h.response = func(x *exchange) {
		if !badBody(x) {
			return
		}
		for _, s := range x.p.sessions {
			if s.cookie != "" && s.cookie == cookieOf(x.r) {
				ended(s)
			}
		}
	}
	return h
}

// httpBodies are what the server makes of request bodies.
func httpBodies() []Fault {
	valid := func(x *exchange) bool { return json.Valid(x.body) }
	return []Fault{
		fault("F-HT-19", "R-HT-7", "Malformed JSON is answered with 200 and an empty array.", onlyLP(), onAnswers(func(x *exchange) {
			if badBody(x) && len(x.body) > 0 && !valid(x) {
				x.answer(http.StatusOK, "application/json", []byte("[]"))
			}
		})),
		fault("F-HT-20", "R-HT-7 R-HT-6", "Malformed JSON is answered with 500.", onlyLP(), onAnswers(func(x *exchange) {
			if badBody(x) && len(x.body) > 0 && !valid(x) {
				x.status = http.StatusInternalServerError
			}
		})),
		fault("F-HT-21", "R-HT-7", "Malformed JSON ends the sessions of the browser that has sent it.", onlyLP(), punished),
		fault("F-HT-22", "R-HT-8", "An empty body is answered with 200 and an empty array.", onlyLP(), onAnswers(func(x *exchange) {
			if badBody(x) && len(bytes.TrimSpace(x.body)) == 0 {
				x.answer(http.StatusOK, "application/json", []byte("[]"))
			}
		})),
		fault("F-HT-23", "R-HT-8 R-MSG-16", "What follows the array of messages in a body is ignored.", onlyLP(), always(hooks{request: func(x *exchange) {
			d := json.NewDecoder(bytes.NewReader(x.body))
			var first json.RawMessage
			if x.r.Method == http.MethodPost && d.Decode(&first) == nil {
				x.body = first
			}
		}})),
		fault("F-HT-24", "R-HT-8", "Bodies that are JSON but no messages, such as 5, are answered with 200 and an empty array.", onlyLP(), onAnswers(func(x *exchange) {
			if badBody(x) && valid(x) {
				x.answer(http.StatusOK, "application/json", []byte("[]"))
			}
		})),
		fault("F-HT-25", "R-HT-11", "Bodies that are compressed with gzip are understood.", onlyLP(), always(hooks{request: func(x *exchange) {
			if strings.EqualFold(x.r.Header.Get("Content-Encoding"), "gzip") {
				x.body = unzipped(x.body)
				x.r.Header.Del("Content-Encoding")
			}
		}})).tolerated(),
		fault("F-HT-26", "R-HT-9", "Bodies may be of any size.", onlyLP(), option("long-polling.maxMessageSize", "-1")),
	}
}

func httpVersions() []Fault {
	return []Fault{
		fault("F-HT-27", "R-HT-12", "HTTP/1.0 is refused: 505.", onlyLP(), turnDown(http.StatusHTTPVersionNotSupported, func(x *exchange) bool {
			return x.r.ProtoMajor == 1 && x.r.ProtoMinor == 0
		})),
		fault("F-HT-28", "R-HT-12", "HTTP/2 is refused: 505.", onlyLP(), turnDown(http.StatusHTTPVersionNotSupported, func(x *exchange) bool { return x.r.ProtoMajor == 2 })),
		fault("F-HT-29", "R-HT-5", "Answers are in chunks, however short they are.", onlyLP(), onAnswers(func(x *exchange) {
			x.length = -1
			x.header.Del("Content-Length")
		})),
		fault("F-HT-30", "R-HT-7", "What is no JSON comes back in a page of HTML.", onlyLP(), onAnswers(func(x *exchange) {
			if x.status == http.StatusBadRequest {
				x.header.Set("Content-Type", "text/html")
				x.setText(slices.Concat([]byte("<h1>Bad request</h1>"), x.body))
			}
		})),
	}
}

func pollingFaults() []Fault {
	kind := func(x *exchange) string {
		name, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
		return strings.TrimSpace(name)
	}
	post := func(x *exchange) bool { return x.r.Method == http.MethodPost }
	return []Fault{
		fault("F-LP-01", "R-LP-1", "Content types other than application/json are refused: 415.", onlyLP(), turnDown(http.StatusUnsupportedMediaType, func(x *exchange) bool {
			return post(x) && kind(x) != "application/json"
		})),
		fault("F-LP-02", "R-LP-1", "JSON that calls itself a form is refused: 415.", onlyLP(), turnDown(http.StatusUnsupportedMediaType, func(x *exchange) bool {
			return post(x) && kind(x) == "application/x-www-form-urlencoded"
		})),
		fault("F-LP-03", "R-LP-2", "The content type of responses is text/html.", onlyLP(), typed("text/html;charset=UTF-8")),
		fault("F-LP-04", "R-LP-2", "The content type of responses says ISO-8859-1, which they are not.", onlyLP(), typed("application/json;charset=ISO-8859-1")),
		fault("F-LP-05", "R-LP-3", "The charset of a request is ignored.", onlyLP(), always(hooks{request: func(x *exchange) {
			if post(x) && strings.Contains(x.r.Header.Get("Content-Type"), "charset") {
				x.r.Header.Set("Content-Type", kind(x))
			}
		}})),
		fault("F-LP-06", "R-LP-4 R-HT-2", "The method post in lower case is served like POST.", onlyLP(), always(hooks{request: func(x *exchange) {
			x.r.Method = strings.ToUpper(x.r.Method)
		}})),
		fault("F-LP-07", "R-OUT-1", "Responses are padded with blanks to a kilobyte.", onlyLP(), onAnswers(func(x *exchange) {
			if x.down != nil && x.status == http.StatusOK && len(x.text) < 1024 {
				x.setText(append(slices.Clone(x.text), bytes.Repeat([]byte{' '}, 1024-len(x.text))...))
			}
		})),
	}
}
