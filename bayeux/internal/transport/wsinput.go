package transport

// wsInput is what it takes to read a connection. The carrier lends it for as
// long as there is something to read or a frame or message is incomplete.
type wsInput struct {
	reader  pollReader
	frames  frameReader
	stash   [frameMaxHead]byte // an incomplete header
	stashed int
}

// blank tells whether a new input would do as well.
func (in *wsInput) blank() bool { return in.stashed == 0 && in.frames.blank() }

// input returns what the connection is read with, on loan from the carrier if
// need be.
func (c *wsConn) input() *wsInput {
	if c.in == nil {
		c.in = c.carrier.inputs.get()
		c.in.reader.init(c.Conn, c.raw, &c.carrier.buffers)
		c.in.frames.init(int64(c.carrier.o.MaxMessageSize), c.deflate)
	}
	return c.in
}

// restInput gives it back if nothing is half read.
func (c *wsConn) restInput() {
	if c.in != nil && c.in.blank() {
		c.carrier.inputs.put(c.in)
		c.in = nil
	}
}
