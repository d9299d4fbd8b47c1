package floors

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 has it so
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"

	"github.com/halleypush/halley/internal/peers/envelope"
)

var (
	errFrame   = errors.New("a frame that the floor does not take")
	errRequest = errors.New("a request that the floor does not take")
)

const (
	opText, opClose, opPing, opPong = 1, 8, 9, 10

	maskSize = 4
	final    = 0x80
	masked   = 0x80
)

// webSocket is the floor of WebSocket: a session is a connection.
type webSocket struct {
	*Floor
	topics  topics
	replies []byte
	answers []byte // scratch, while replies are collected
	body    []byte
	frame   []byte
}

func (w *webSocket) input(c *conn, b []byte) (int, error) {
	used := 0
	if !c.open {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return 0, nil
		}
		used = end + 4
		key := header(b[:end], "Sec-WebSocket-Key")
		if key == nil {
			return 0, errRequest
		}
		c.open = true
		w.send(c, upgrade(key))
	}
	for !c.gone {
		n, err := w.take(c, b[used:])
		if n == 0 || err != nil {
			return used, err
		}
		used += n
	}
	return used, nil
}

func upgrade(key []byte) []byte {
	sum := sha1.Sum(append(slices.Clip(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...)) //nolint:gosec // RFC 6455
	return []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n")
}

// take takes a frame and returns its length, 0 if it is not complete.
func (w *webSocket) take(c *conn, b []byte) (int, error) {
	if len(b) < 2 {
		return 0, nil
	}
	if b[0]&^0x0f != final || b[1]&masked == 0 {
		return 0, errFrame
	}
	size, at := int(b[1]&0x7f), 2
	switch {
	case size == 126 && len(b) >= 4:
		size, at = int(binary.BigEndian.Uint16(b[2:])), 4
	case size == 127 && len(b) >= 10:
		wide := binary.BigEndian.Uint64(b[2:])
		if wide > MaxInput {
			return 0, errFrame
		}
		size, at = int(wide), 10
	case size > 125:
		return 0, nil
	}
	end := at + maskSize + size
	if len(b) < end {
		return 0, nil
	}
	body := b[at+maskSize : end]
	unmask(body, b[at:at+maskSize])
	switch b[0] & 0x0f {
	case opText:
		w.text(c, body)
	case opPing:
		w.frame = appendFrame(w.frame[:0], opPong, body)
		w.send(c, w.frame)
	case opPong:
	case opClose:
		w.frame = appendFrame(w.frame[:0], opClose, body)
		w.send(c, w.frame)
		w.Floor.flush(c)
		w.Floor.close(c)
	default:
		return 0, errFrame
	}
	return end, nil
}

func unmask(b, key []byte) {
	k := uint64(binary.LittleEndian.Uint32(key))
	k |= k << 32
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// text takes the messages of a frame and answers them by one frame.
func (w *webSocket) text(c *conn, b []byte) {
	w.replies = w.replies[:0]
	for {
		m, rest, ok := envelope.Next(b)
		if !ok {
			break
		}
		b = rest
		w.message(c, &m)
	}
	w.reply(c)
}

func (w *webSocket) reply(c *conn) {
	if len(w.replies) > 0 {
		w.send(c, w.wrap(w.replies))
	}
}

// wrap makes a frame with an array; it is good until the next.
func (w *webSocket) wrap(objects []byte) []byte {
	w.body = append(append(append(w.body[:0], '['), objects...), ']')
	w.frame = appendFrame(w.frame[:0], opText, w.body)
	return w.frame
}

func (w *webSocket) message(c *conn, m *envelope.Message) {
	switch m.Kind() {
	case envelope.Handshake:
		if m.Acknowledges() {
			c.acks = new(acks)
		}
	case envelope.Connect:
		if c.held != nil { // the next connect ends the one before
			w.answerHeld(c)
		}
		if !m.AtOnce() {
			w.hold(c, m.ID)
			w.deliverWaiting(c)
			return
		}
	case envelope.Subscribe:
		if t := w.topics.get(m.Subscription); !slices.Contains(c.topics, t) {
			t.conns = append(t.conns, c)
			c.topics = append(c.topics, t)
		}
	case envelope.Unsubscribe:
		if t := w.topics[string(m.Subscription)]; t != nil {
			w.leave(c, t)
			c.topics = without(c.topics, t)
		}
	case envelope.Publish:
		w.deliver(m)
	default:
	}
	id := append(strconv.AppendInt([]byte(`"floor`), int64(c.fd), 10), '"')
	w.replies = appendReply(w.replies, m, WebSocket, id, w.cfg.Hold, c.acks)
}

func (w *webSocket) leave(c *conn, t *topic) {
	t.conns = without(t.conns, c)
	w.topics.prune(t)
}

// deliver sends one frame to each subscriber. To those with acknowledged messages it
// is the reply to their connect as well, as the servers have it: nothing is kept for
// who does not acknowledge.
func (w *webSocket) deliver(m *envelope.Message) {
	t := w.topics[string(m.Channel)]
	if t == nil {
		return
	}
	delivery := appendDelivery(nil, m)
	frame := slices.Clone(w.wrap(delivery))
	for _, c := range slices.Backward(t.conns) { // one that is closed leaves the list, one that was served takes its place
		if c.acks == nil {
			w.send(c, frame)
			continue
		}
		if len(c.acks.waiting) > MaxQueue {
			continue
		}
		c.acks.waiting = append(comma(c.acks.waiting), delivery...)
		w.deliverWaiting(c)
	}
}

// deliverWaiting ends the connect of a client with acknowledged messages that is held,
// if there are some.
func (w *webSocket) deliverWaiting(c *conn) {
	if c.acks == nil || c.held == nil || len(c.acks.waiting) == 0 {
		return
	}
	before := w.replies
	w.replies = append(w.answers[:0], c.acks.waiting...)
	c.acks.waiting = c.acks.waiting[:0]
	w.answerHeld(c)
	w.reply(c)
	w.answers, w.replies = w.replies, before
}

func (w *webSocket) answerHeld(c *conn) {
	m := envelope.Message{Channel: []byte(`"/meta/connect"`)}
	if len(c.held) > 0 {
		m.ID = c.held
	}
	c.held = nil
	w.replies = appendReply(w.replies, &m, WebSocket, nil, w.cfg.Hold, c.acks)
}

func (w *webSocket) release(c *conn) {
	w.replies = w.replies[:0]
	w.answerHeld(c)
	w.reply(c)
}

func (w *webSocket) closed(c *conn) {
	for _, t := range c.topics {
		w.leave(c, t)
	}
	c.topics, c.held = nil, nil
}

func (*webSocket) round() {}

// appendFrame appends a frame as a server sends it.
func appendFrame(b []byte, op byte, payload []byte) []byte {
	b = append(b, final|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

// header returns the value of a header of a request, nil if it is not there.
func header(head []byte, name string) []byte {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}
