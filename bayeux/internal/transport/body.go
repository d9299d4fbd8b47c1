package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// firstRead bounds the memory that an announced Content-Length gets before its
// bytes have come.
const firstRead = 4 << 10

var errTooLarge = errors.New("too large")

func badRequest(reason string) *StatusError {
	return &StatusError{Status: http.StatusBadRequest, Reason: reason}
}

// readBody reads the whole body, to its end: only then does net/http watch the
// connection and tell us that the client has gone ([R-CN-21]).
func (t *turn) readBody() ([]byte, error) {
	if t.r.Body == nil { // Only where no server made the request.
		return nil, nil
	}
	limit := t.bounds.MaxMessageSize
	if t.r.ContentLength > int64(limit) {
		return nil, t.tooLarge()
	}
	t.input, _ = t.h.buffers.Get().(*[]byte)
	body, err := readAll((*t.input)[:0], t.r.Body, t.r.ContentLength, limit)
	*t.input = body
	t.h.o.Observer.Bytes(len(body), 0)
	if err != nil {
		return nil, t.bodyError(err)
	}
	if t.unread {
		// Holds and extensions may last longer, and a read that times out in the
		// background looks like a client that has gone ([R-HT-13]).
		_ = t.rc.SetReadDeadline(time.Time{})
		t.unread = false
	}
	return body, nil
}

// readAll appends all of r to body, of which size bytes are announced.
func readAll(body []byte, r io.Reader, size int64, limit int) ([]byte, error) {
	body = slices.Grow(body, int(max(0, min(size, firstRead)))+16)
	for {
		if len(body) == cap(body) {
			body = slices.Grow(body, cap(body))
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return body, errTooLarge
		case err == io.EOF:
			return body, nil
		case err != nil:
			return body, err
		}
	}
}

// bodyError says what a failed read means for the client.
func (t *turn) bodyError(err error) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, errTooLarge) {
		if ok { // Somebody in front has a limit of his own.
			return &StatusError{
				Status: http.StatusRequestEntityTooLarge,
				Reason: fmt.Sprintf("the body exceeds %d bytes", tooLarge.Limit),
			}
		}
		return t.tooLarge()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.h.o.Observer.Limit(limitBodyTimeout)
		return &StatusError{Status: http.StatusRequestTimeout, Reason: "the body did not arrive in time"}
	}
	return badRequest("the body is incomplete or malformed")
}

// tooLarge names the limit ([R-HT-9]).
func (t *turn) tooLarge() error {
	t.h.o.Observer.Limit(limitBody)
	return &StatusError{
		Status: http.StatusRequestEntityTooLarge,
		Reason: fmt.Sprintf("the request exceeds maxMessageSize, which is %d bytes", t.bounds.MaxMessageSize),
	}
}

// checkEncoding refuses compressed bodies by name ([R-HT-11]).
func checkEncoding(header http.Header) error {
	for _, v := range header["Content-Encoding"] {
		for name := range strings.SplitSeq(v, ",") {
			name = strings.Trim(name, " \t")
			if name != "" && !strings.EqualFold(name, "identity") {
				return badRequest(fmt.Sprintf("Content-Encoding %.40q is not supported", name))
			}
		}
	}
	return nil
}

// messages returns the JSON texts of a POST body: one, or those of the message
// fields of a form, as old Dojo clients send it. A JSON body that came with
// the type of a form is still JSON ([R-LP-1], WIRE 16).
func (t bodyType) messages(body []byte) ([][]byte, error) {
	texts := [][]byte{body}
	if t.form && !looksLikeJSON(body) {
		fields, err := formValues(string(body), "message")
		if err != nil {
			return nil, err
		}
		if len(fields) == 0 {
			return nil, badRequest("the form has no field message")
		}
		texts = texts[:0]
		for _, f := range fields {
			texts = append(texts, []byte(f))
		}
	}
	for i, text := range texts {
		var err error
		if texts[i], err = t.toUTF8(text); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func looksLikeJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && (body[0] == '[' || body[0] == '{')
}

// formValues returns the values of all fields of that name, in their order.
// Unlike net/url it lets semicolons be, as CometD does.
func formValues(form, name string) ([]string, error) {
	var values []string
	for pair := range strings.SplitSeq(form, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			decoded, err := url.QueryUnescape(key)
			if err != nil || decoded != name {
				continue
			}
		}
		decoded, err := url.QueryUnescape(value)
		if err != nil {
			return nil, badRequest(fmt.Sprintf("the value of %q is not well encoded", name))
		}
		values = append(values, decoded)
	}
	return values, nil
}

// decode decodes the texts into one batch, their messages in order. What it
// returns keeps nothing of them.
func (t *turn) decode(texts [][]byte) ([]*bayeux.Message, error) {
	limits := t.h.o.MaxLimits
	var batch []*bayeux.Message
	for _, text := range texts {
		messages, err := bayeux.Decode(text, limits)
		if err != nil {
			return nil, t.decodeError(err)
		}
		if batch == nil {
			batch = messages
		} else {
			batch = append(batch, messages...)
		}
		if limits.Batch >= 0 && len(batch) > limits.Batch {
			return nil, t.tooMany()
		}
	}
	return batch, nil
}

// decodeError tells the client what is wrong with its JSON ([R-HT-7],
// [R-HT-8]).
func (t *turn) decodeError(err error) error {
	if e, ok := errors.AsType[*bayeux.DecodeError](err); ok {
		switch e.Kind {
		case bayeux.DecodeBatch:
			return t.tooMany()
		case bayeux.DecodeDepth:
			t.h.o.Observer.Limit(limitDepth)
			return badRequest(fmt.Sprintf("the request is nested deeper than %d", t.h.o.MaxLimits.Depth))
		case bayeux.DecodeSyntax, bayeux.DecodeShape:
		}
	}
	return badRequest(err.Error())
}

// tooMany names the limit.
func (t *turn) tooMany() error {
	t.h.o.Observer.Limit(limitBatch)
	return badRequest(fmt.Sprintf("the request has more than %d messages", t.h.o.MaxLimits.Batch))
}
