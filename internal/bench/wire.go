package bench

// maxIdleRest is how much buffer a quiet connection keeps.
const maxIdleRest = 4 << 10

// wire is one connection of a client: bytes go in, bytes come out. One
// goroutine at a time calls it.
type wire struct {
	c    *client
	kind string // the transport
	post bool   // of a polling publisher: carries publishes only
	open bool   // the WebSocket is there
	rest []byte // of a payload that is not whole
	part []byte // of a message in fragments
}

// start returns the first bytes to send.
func (w *wire) start(now int64, out []byte) []byte {
	switch {
	case w.post:
		return out
	case w.kind == WebSocket:
		return append(out, w.c.eng.target.upgradeRequest()...)
	default:
		return w.c.begin(w, now, out)
	}
}

// send appends a body in the clothes of the transport.
func (w *wire) send(out, body []byte) []byte {
	if w.kind == WebSocket {
		return appendFrame(out, 1, body)
	}
	return w.appendRequest(out, body)
}

// feed takes what was read and appends what is to be written to out. It keeps
// nothing of in.
func (w *wire) feed(in []byte, now int64, out []byte) ([]byte, error) {
	data := in
	if len(w.rest) > 0 {
		w.rest = append(w.rest, in...)
		data = w.rest
	}
	for len(data) > 0 {
		payload, more, n, err := w.next(data, out)
		out = more
		if err != nil {
			return out, err
		}
		if n == 0 {
			break
		}
		data = data[n:]
		switch {
		case w.kind == WebSocket && !w.open:
			w.open = true
			out = w.c.begin(w, now, out)
		case payload != nil:
			if out, err = w.c.take(w, payload, now, out); err != nil {
				return out, err
			}
		}
	}
	if len(data) == 0 && cap(w.rest) > maxIdleRest {
		w.rest = nil
		return out, nil
	}
	w.rest = append(w.rest[:0], data...)
	return out, nil
}

// next takes the first payload of data; n is 0 where it is not whole.
func (w *wire) next(data, out []byte) (payload, more []byte, n int, err error) {
	switch {
	case w.kind != WebSocket:
		payload, n, err = w.nextResponse(data)
		return payload, out, n, err
	case !w.open:
		n, err = nextUpgrade(data)
		return nil, out, n, err
	default:
		return w.nextFrame(data, out)
	}
}
