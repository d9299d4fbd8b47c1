package hostileproxy

import "encoding/binary"

// frames cuts a stream of WebSocket frames at their borders. A header passes only when it is whole.
type frames struct {
	header  []byte // of a frame, as far as it has come.
	left    uint64 // payload of the frame that has not come.
	fin     bool   // the frame ends its message.
	control bool
	message int64 // payload of the message so far, with all of the frame.
}

// frame is a frame or a part of one.
type frame struct {
	data    []byte
	fresh   bool  // begins the frame.
	last    bool  // ends the frame.
	message int64 // payload of the message up to the end of this frame; zero in frames of control.
}

// next takes the next part from the front of b, and says how much of b that was. The part may be empty.
func (f *frames) next(b []byte) (part frame, n int) {
	if f.left == 0 {
		missing := f.missing()
		for missing > 0 && n < len(b) {
			f.header = append(f.header, b[n])
			n++
			missing = f.missing()
		}
		if missing > 0 {
			return frame{}, n
		}
		part = frame{data: f.begin(), fresh: true}
	}
	take := int(min(f.left, uint64(len(b)-n)))
	part.data = append(part.data, b[n:n+take]...)
	f.left -= uint64(take)
	part.last = f.left == 0
	if !f.control {
		part.message = f.message
		if part.last && f.fin {
			f.message = 0
		}
	}
	return part, n + take
}

// missing says how many bytes the header lacks, as far as is known.
func (f *frames) missing() int {
	size := 2
	if len(f.header) >= 2 {
		switch f.header[1] & 0x7f {
		case 126:
			size += 2
		case 127:
			size += 8
		}
		if f.header[1]&0x80 != 0 {
			size += 4
		}
	}
	return size - len(f.header)
}

// begin begins the frame whose header is whole, and returns the header.
func (f *frames) begin() []byte {
	h := f.header
	f.header = nil
	f.left = uint64(h[1] & 0x7f)
	switch f.left {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(h[2:])
	}
	f.fin = h[0]&0x80 != 0
	if f.control = h[0]&0x08 != 0; !f.control {
		f.message += int64(min(f.left, 1<<40))
	}
	return h
}

// rest is a header that never became whole.
func (f *frames) rest() []byte { return f.header }
