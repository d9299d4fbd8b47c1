package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// maxLine bounds a line of an event stream.
const maxLine = 4 << 20

// EventSource is an open stream of server-sent events.
type EventSource struct {
	conn  *Conn
	lines *bufio.Scanner
}

// StreamEvent is one event of a stream.
type StreamEvent struct{ Name, Data, ID string }

// OpenEventSource asks for a stream. If the server answers with something
// else, only the response is returned.
func (t Target) OpenEventSource(ctx context.Context, tape *Tape, req *Request) (*EventSource, *Response, error) {
	c, err := t.Dial(ctx, tape)
	if err != nil {
		return nil, nil, err
	}
	req.Method = http.MethodGet
	req.Set("Accept", "text/event-stream")
	defer c.watch(ctx)()
	if _, err := c.Write(req.Bytes(t)); err != nil {
		_ = c.Close()
		return nil, nil, explain(ctx, err)
	}
	//nolint:bodyclose // the stream owns the connection
	res, err := http.ReadResponse(c.r, &http.Request{Method: http.MethodGet})
	if err != nil {
		_ = c.Close()
		return nil, nil, explain(ctx, noAnswer(err))
	}
	out := &Response{Status: res.StatusCode, Proto: res.Proto, Header: res.Header}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if res.StatusCode != http.StatusOK || kind != "text/event-stream" {
		_ = c.Close()
		return nil, out, nil
	}
	s := &EventSource{conn: c, lines: bufio.NewScanner(res.Body)}
	s.lines.Buffer(nil, maxLine)
	return s, out, nil
}

// Next reads the next event; io.EOF is the end of the stream.
func (s *EventSource) Next(ctx context.Context) (StreamEvent, error) {
	defer s.conn.watch(ctx)()
	var e StreamEvent
	var data []string
	for s.lines.Scan() {
		line := strings.TrimSuffix(s.lines.Text(), "\r")
		if line == "" {
			if data == nil {
				continue
			}
			e.Data = strings.Join(data, "\n")
			return e, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "data":
			data = append(data, value)
		case "event":
			e.Name = value
		case "id":
			e.ID = value
		}
	}
	err := s.lines.Err()
	if err == nil {
		err = io.EOF
	}
	return e, explain(ctx, fmt.Errorf("event stream: %w", err))
}

// Close closes the connection of the stream.
func (s *EventSource) Close() error { return s.conn.Close() }
