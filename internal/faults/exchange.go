package faults

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// exchange is one HTTP request and its answer.
type exchange struct {
	p  *proxy
	r  *http.Request // a hook may change method, URL and header
	on string        // the transport; empty where it is none

	body []byte    // of the request, which a hook may change
	rest io.Reader // what was too much to be decoded; nil mostly
	up   *unit     // nil when the body is no batch

	// The answer. A hook that sets status on the way in is the answer.
	status int
	header http.Header
	text   []byte
	down   *unit
	length int64 // as the server declared it
	close  bool
	broken bool // its end is missing

	wait time.Duration // before the answer leaves
	cut  bool          // the connection ends instead of an answer
	// keep lets the server go on with a request whose client has gone.
	keep bool
	// early takes an answer that does not wait for the server's.
	early chan []*message
	// deadline, if set, cuts the exchange after that time.
	deadline time.Duration
	// overdue, if set, is the status that answers it then.
	overdue int

	before, behind string // of the array, in an answer
	// callback is the one that the client has named where the server sees
	// another; naked tells that it has named none.
	callback string
	naked    bool
}

var errCut = errors.New("the answer is cut")

// ServeHTTP carries a request to the server and its answer back.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{p: p, r: r, header: http.Header{}, early: make(chan []*message, 1)}
	if opensSocket(r) {
		p.serveSocket(r.Context(), w, x)
		return
	}
	if !x.read() {
		return
	}
	hook(p, p.hooks.request, x)
	x.decode()
	if x.up != nil && x.status == 0 {
		p.enter(x.up)
		x.encode()
	}
	defer p.locked(func() { p.forget(x, nil) })
	if x.status == 0 && !x.forward(r.Context()) {
		x.abort()
		return
	}
	x.answered()
	x.sendAlso(r.Context())
	if !p.pause(r.Context(), x.wait) {
		return
	}
	if x.cut || x.write(w) != nil {
		x.abort()
	}
}

// abort ends the connection, as net/http wants it to be done.
func (x *exchange) abort() {
	if x.r.Context().Err() == nil {
		panic(http.ErrAbortHandler) //nolint:forbidigo // the documented way to cut a connection, with HTTP/2 too
	}
}

// read reads the body, up to the bound.
func (x *exchange) read() bool {
	body, err := io.ReadAll(io.LimitReader(x.r.Body, maxText+1))
	if err != nil {
		x.abort()
		return false
	}
	x.body = body
	if len(body) > maxText {
		x.rest = x.r.Body
	}
	return true
}

// decode finds the batch in the request.
func (x *exchange) decode() {
	switch {
	case x.rest != nil || x.status != 0:
	case x.r.Method == http.MethodPost:
		x.on = LongPolling
		x.up = newUnit(x.p, x.on, x.body)
	case x.r.Method == http.MethodGet && x.r.URL.Query().Has("jsonp"):
		x.on = CallbackPolling
		x.up = queryUnit(x.p, x.r.URL)
	}
	if x.up != nil {
		x.up.x = x
	}
}

// queryUnit joins the message parameters of a URL to one unit.
func queryUnit(p *proxy, u *url.URL) *unit {
	var all *unit
	for _, text := range u.Query()["message"] {
		one := newUnit(p, CallbackPolling, []byte(text))
		if one == nil {
			return nil
		}
		if all == nil {
			all = one
			continue
		}
		all.msgs = append(all.msgs, one.msgs...)
		all.first = slices.Clone(all.msgs)
		all.array, all.whole = true, true
	}
	return all
}

// encode puts the unit back into the request, if a hook has changed it.
func (x *exchange) encode() {
	if x.up.drop {
		x.cut = true
	}
	if x.up.same() || x.status != 0 {
		return
	}
	text := bytes.Join(x.up.texts(), nil)
	if x.on == LongPolling {
		x.body = text
		return
	}
	x.replaceQuery("message", string(text))
}

// replaceQuery replaces the parameters of that name by one.
func (x *exchange) replaceQuery(name, value string) {
	var kept []string
	for pair := range strings.SplitSeq(x.r.URL.RawQuery, "&") {
		if key, _, _ := strings.Cut(pair, "="); key != name {
			kept = append(kept, pair)
		}
	}
	x.r.URL.RawQuery = strings.Join(append(kept, name+"="+url.QueryEscape(value)), "&")
}

// answer makes the answer without the server.
func (x *exchange) answer(status int, contentType string, text []byte) {
	x.status, x.text, x.length = status, text, int64(len(text))
	x.header = http.Header{"Content-Type": {contentType}}
}

// answerWith answers with messages, in the form of the transport.
func (x *exchange) answerWith(msgs []*message) {
	if x.on == CallbackPolling {
		text := x.r.URL.Query().Get("jsonp") + "(" + string(encodeBatch(msgs)) + ")"
		x.answer(http.StatusOK, "text/javascript;charset=UTF-8", []byte(text))
	} else {
		x.answer(http.StatusOK, "application/json", encodeBatch(msgs))
	}
	x.header.Set("X-Content-Type-Options", "nosniff")
}

// forward asks the server, and reports whether there is an answer. The request
// is the proxy's own, for it may go on when the client has gone.
func (x *exchange) forward(client context.Context) bool {
	if x.cut {
		return false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(client))
	over := x.p.atEnd(cancel)
	got := make(chan bool, 1)
	x.p.wg.Go(func() {
		defer over()
		defer cancel()
		got <- x.roundTrip(ctx) == nil
	})
	var limit <-chan time.Time
	if x.deadline > 0 {
		t := time.NewTimer(x.deadline)
		defer t.Stop()
		limit = t.C
	}
	select {
	case ok := <-got:
		return ok
	case msgs := <-x.early:
		cancel()
		<-got
		x.answerWith(msgs)
		return true
	case <-limit:
		cancel()
		<-got
		if x.overdue != 0 {
			x.answer(x.overdue, "text/plain;charset=UTF-8", []byte("overdue\n"))
		}
		return x.overdue != 0
	case <-client.Done():
		if x.p.fault.ActsOn(x.on) {
			hook(x.p, x.p.hooks.aborted, x)
		}
		if !x.keep {
			cancel()
			<-got
		}
		return false
	}
}

// roundTrip carries the request to the server and reads the answer.
func (x *exchange) roundTrip(ctx context.Context) error {
	resp, err := x.p.send(ctx, x.r, x.body, x.rest)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	x.status, x.header, x.text = resp.StatusCode, resp.Header, text
	x.length, x.close, x.broken = resp.ContentLength, resp.Close, err != nil
	return nil
}

// send makes a request of the server like one that a client has made.
func (p *proxy) send(ctx context.Context, r *http.Request, body []byte, rest io.Reader) (*http.Response, error) {
	out := r.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.RequestURI, out.Close = "http", "bayeux.test", "", false
	out.Body = http.NoBody
	switch {
	case rest != nil:
		out.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), rest))
	case len(body) > 0 || r.ContentLength != 0:
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		out.TransferEncoding = nil
		if r.ContentLength < 0 {
			out.ContentLength = -1
		}
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // none, instead of net/http's own
	}
	out.Header.Del("Connection")
	if r.ProtoMajor == 2 {
		return p.http2.RoundTrip(out)
	}
	return p.http1.RoundTrip(out)
}

// sendAlso sends the server what a hook has for it, by the way of the request.
// Messages that come with the answers are lost.
func (x *exchange) sendAlso(ctx context.Context) {
	if x.down == nil || len(x.down.extra) == 0 {
		return
	}
	text := encodeBatch(x.down.extra)
	body := text
	if x.on == CallbackPolling {
		x.replaceQuery("message", string(text))
		body = nil
	}
	if resp, err := x.p.send(ctx, x.r, body, nil); err == nil {
		_ = resp.Body.Close()
	}
}

// answered takes the answer through the hooks.
func (x *exchange) answered() {
	p := x.p
	x.find()
	if x.down != nil {
		x.down.x = x
		if x.up != nil {
			x.down.s = x.up.s
			p.leave(x.down, x.asked())
		}
		if !x.down.same() {
			x.setText([]byte(x.before + string(bytes.Join(x.down.texts(), nil)) + x.behind))
		}
		x.wait, x.cut = max(x.wait, x.down.wait), x.cut || x.down.drop
	}
	if x.on == "" || p.fault.ActsOn(x.on) {
		hook(p, p.hooks.response, x)
	}
}

// asked returns the requests as they came.
func (x *exchange) asked() []*message {
	all := make([]*message, 0, len(x.up.first))
	for _, m := range x.up.first {
		all = append(all, &message{raw: m.raw, fields: original(m)})
	}
	return all
}

// original returns the fields of a message before hooks changed it.
func original(m *message) []field {
	if fields, err := parseObject(m.raw); err == nil {
		return fields
	}
	return m.fields
}

// find finds the batch in the answer: all of it, or what a callback gets.
func (x *exchange) find() {
	if x.on == "" || x.status != http.StatusOK {
		return
	}
	start, end := 0, len(x.text)
	if x.on == CallbackPolling {
		start, end = bytes.IndexByte(x.text, '('), bytes.LastIndexByte(x.text, ')')
		if start < 0 || end < start {
			return
		}
		start++
	}
	x.before, x.behind = string(x.text[:start]), string(x.text[end:])
	x.down = newUnit(x.p, x.on, bytes.Clone(x.text[start:end]))
}

// setText replaces the body of the answer.
func (x *exchange) setText(text []byte) {
	x.text = text
	if x.length >= 0 {
		x.length = int64(len(text))
		x.header.Set("Content-Length", strconv.Itoa(len(text)))
	}
}

// cookie returns the browser cookie that counts from this exchange on.
func (x *exchange) cookie() string {
	for _, c := range (&http.Response{Header: x.header}).Cookies() {
		if c.Name == cookieName {
			return c.Value
		}
	}
	return cookieOf(x.r)
}

// write writes the answer.
func (x *exchange) write(w http.ResponseWriter) error {
	maps.Copy(w.Header(), x.header)
	// What net/http writes by itself it writes in the same place for us.
	w.Header().Del("Date")
	if w.Header().Del("Connection"); x.close && x.r.ProtoMajor == 1 && !x.r.Close {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(x.status)
	if _, err := w.Write(x.text); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return err
	}
	if !x.broken && x.length >= 0 {
		return nil
	}
	err := http.NewResponseController(w).Flush()
	if x.broken {
		err = errCut
	}
	return err
}
