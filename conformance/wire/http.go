package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxBody bounds the body of a response.
const maxBody = 64 << 20

// Request is an HTTP/1.1 request, sent as it stands.
type Request struct {
	Method  string // default POST
	Path    string // path and query; default the target's
	Proto   string // default HTTP/1.1
	Header  [][2]string
	Body    []byte
	Chunked bool // send the body in one chunk, without Content-Length
	Bare    bool // send only Header, nothing of the target and no length
}

// Set replaces a header field, or adds it.
func (r *Request) Set(name, value string) {
	r.Remove(name)
	r.Header = append(r.Header, [2]string{name, value})
}

// Add adds a header field, also a second one of that name.
func (r *Request) Add(name, value string) { r.Header = append(r.Header, [2]string{name, value}) }

// Remove removes the header fields of a name.
func (r *Request) Remove(name string) {
	kept := r.Header[:0:0]
	for _, h := range r.Header {
		if !sameName(h[0], name) {
			kept = append(kept, h)
		}
	}
	r.Header = kept
}

func (r *Request) has(name string) bool {
	for _, h := range r.Header {
		if sameName(h[0], name) {
			return true
		}
	}
	return false
}

// Bytes returns the request as it goes to the target.
func (r *Request) Bytes(t Target) []byte {
	method, path, proto := orElse(r.Method, http.MethodPost), orElse(r.Path, t.URL.RequestURI()), orElse(r.Proto, "HTTP/1.1")
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "%s %s %s\r\n", method, path, proto)
	if !r.Bare && !r.has("Host") {
		_, _ = fmt.Fprintf(&b, "Host: %s\r\n", t.URL.Host)
	}
	for _, h := range r.Header {
		_, _ = fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if !r.Bare {
		for _, h := range t.Header {
			if !r.has(h[0]) {
				_, _ = fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
			}
		}
	}
	switch {
	case r.Chunked:
		_, _ = fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(r.Body), r.Body)
		return b.Bytes()
	case !r.Bare && !r.has("Content-Length") && (len(r.Body) > 0 || method == http.MethodPost || method == http.MethodPut):
		b.WriteString("Content-Length: " + strconv.Itoa(len(r.Body)) + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	return b.Bytes()
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Response is an HTTP response.
type Response struct {
	Status int
	Proto  string
	Header http.Header
	Body   []byte
	Sent   time.Time // before the request was written
	First  time.Time // when the status line had arrived
	Done   time.Time // when the body had arrived
	Keep   bool      // the connection may be used again
}

// Took returns the time from the request to the end of the answer.
func (r *Response) Took() time.Duration { return r.Done.Sub(r.Sent) }

// RoundTrip sends a request and reads its response.
func (c *Conn) RoundTrip(ctx context.Context, t Target, req *Request) (*Response, error) {
	sent, text := time.Now(), req.Bytes(t)
	release := c.watch(ctx)
	_, err := c.Write(text)
	release()
	// A server may answer before it has read all, and close: look for its answer.
	res, rerr := c.ReadResponse(ctx, orElse(req.Method, http.MethodPost))
	if rerr != nil {
		if err == nil || ctx.Err() != nil {
			err = rerr
		}
		return nil, explain(ctx, err)
	}
	res.Sent = sent
	res.Keep = res.Keep && err == nil
	return res, nil
}

// ReadResponse reads the response to a request of that method. Sent is the
// time of the call.
func (c *Conn) ReadResponse(ctx context.Context, method string) (*Response, error) {
	defer c.watch(ctx)()
	out := &Response{Sent: time.Now()}
	//nolint:bodyclose // closing would read on: the connection is ours, the body is read below
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, explain(ctx, noAnswer(err))
	}
	out.Status, out.Proto, out.Header, out.First = res.StatusCode, res.Proto, res.Header, time.Now()
	out.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	out.Done, out.Keep = time.Now(), !res.Close
	switch {
	case err != nil:
		return nil, explain(ctx, fmt.Errorf("body of the response: %w", err))
	case len(out.Body) > maxBody:
		return nil, fmt.Errorf("body of the response is over %d bytes", maxBody)
	}
	return out, nil
}

func noAnswer(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server closed the connection without an answer: %w", err)
	}
	return err
}
