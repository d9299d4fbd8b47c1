package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// HTTP2 sends requests over one HTTP/2 connection: with prior knowledge to an
// http URL, by ALPN to an https one. The tape holds messages, not frames.
type HTTP2 struct {
	target    Target
	tape      *Tape
	id        int
	transport *http.Transport
}

// NewHTTP2 prepares a client; it connects at the first request.
func NewHTTP2(t Target, tape *Tape) *HTTP2 {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &HTTP2{target: t, tape: tape, id: tape.next(), transport: &http.Transport{
		Protocols: &protocols, TLSClientConfig: t.tls("h2"), DisableCompression: true,
	}}
}

// RoundTrip sends a request and reads its response. Proto, Bare and Chunked
// of the request mean nothing here.
func (h *HTTP2) RoundTrip(ctx context.Context, req *Request) (*Response, error) {
	path, err := url.Parse(orElse(req.Path, h.target.URL.RequestURI()))
	if err != nil {
		return nil, err
	}
	method := orElse(req.Method, http.MethodPost)
	hr, err := http.NewRequestWithContext(ctx, method, h.target.URL.ResolveReference(path).String(), bytes.NewReader(req.Body))
	if err != nil {
		return nil, err
	}
	for _, f := range h.target.Header {
		hr.Header.Add(f[0], f[1])
	}
	for _, f := range req.Header {
		hr.Header.Add(f[0], f[1])
	}
	sent := time.Now()
	h.tape.add(Event{Conn: h.id, Kind: Sent, What: "HTTP/2 " + method + " " + hr.URL.RequestURI()}, req.Body)
	res, err := h.transport.RoundTrip(hr)
	if err != nil {
		return nil, explain(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	out := &Response{Status: res.StatusCode, Proto: res.Proto, Header: res.Header, Sent: sent, First: time.Now(), Keep: true}
	out.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	out.Done = time.Now()
	h.tape.add(Event{Conn: h.id, Kind: Received, What: fmt.Sprintf("%s %d", res.Proto, res.StatusCode)}, out.Body)
	return out, explain(ctx, err)
}

// Close closes the connection.
func (h *HTTP2) Close() { h.transport.CloseIdleConnections() }
