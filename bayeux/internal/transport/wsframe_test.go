package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
)

func TestFrameAppend(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65_535, 65_536, 100_000} {
		payload := bytes.Repeat([]byte("x"), size)
		got := append(frameAppendHead(nil, frameFin|byte(ws.OpText), size), payload...)
		want, err := ws.CompileFrame(ws.NewTextFrame(payload))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), size)
	}
	require.Equal(t, "\x81\x04[{}]", string(frameBuild([]byte("{}"))))
	require.Equal(t, "[]", string(frameAppendArray(nil, nil)))
	require.Equal(t, 2, frameArraySize(nil))
}

func TestFrameClose(t *testing.T) {
	require.Equal(t, "\x88\x05\x03\xe8bye", string(frameAppendClose(nil, 1000, "bye")))
	require.Equal(t, "\x88\x00", string(frameAppendClose(nil, 1005, "x")))
	require.Equal(t, "\x88\x00", string(frameAppendClose(nil, 1006, "x")))
	long := frameAppendClose(nil, 1000, "a"+strings.Repeat("€", 60))
	require.Len(t, long, 2+2+121) // whole characters only
	require.True(t, utf8.Valid(long[4:]))
	require.Equal(t, "\x88\x02\x03\xe8", string(frameAppendClose(nil, 1000, "\xff")))
}

// frameModel reads frames in the simplest way, for comparison: the texts up to
// the first thing that is wrong.
func frameModel(p []byte, limit int) (texts []string, code int) {
	var message []byte
	var opcode ws.OpCode
	for {
		r := bytes.NewReader(p)
		h, err := ws.ReadHeader(r)
		if err != nil {
			if errors.Is(err, ws.ErrHeaderLengthMSB) {
				return texts, 1002
			}
			return texts, 0
		}
		head := len(p) - r.Len()
		size := 2 + 4*int(p[1]>>7)
		switch {
		case h.Length >= 1<<16:
			size += 8
		case h.Length >= 126:
			size += 2
		}
		state := ws.StateServerSide
		if opcode != 0 {
			state |= ws.StateFragmented
		}
		if head != size || ws.CheckHeader(h, state) != nil {
			return texts, 1002
		}
		if !h.OpCode.IsControl() && h.Length > int64(limit-len(message)) {
			return texts, 1009
		}
		if int64(r.Len()) < h.Length {
			return texts, 0
		}
		payload := append([]byte(nil), p[head:head+int(h.Length)]...)
		p = p[head+int(h.Length):]
		for i := range payload {
			payload[i] ^= h.Mask[i%4]
		}
		if h.OpCode.IsControl() {
			continue
		}
		if opcode == 0 {
			opcode = h.OpCode
		}
		message = append(message, payload...)
		if h.Fin {
			if opcode == ws.OpText {
				texts = append(texts, string(message))
			}
			message, opcode = nil, 0
		}
	}
}

// The reader finds what the model finds, however the bytes are cut.
func FuzzFrameReader(f *testing.F) {
	frag := append(wsMasked(byte(ws.OpText), "ab"), wsMasked(frameFin|byte(ws.OpPing), "p")...)
	f.Add(append(frag, wsMasked(frameFin, "cd")...), byte(3))
	f.Add(wsMasked(frameFin|byte(ws.OpText), strings.Repeat("x", 300)), byte(200))
	f.Add(wsMasked(frameFin|byte(ws.OpBinary), "x"), byte(1))
	f.Add(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, 1<<40), byte(4))
	f.Add([]byte{0x81, 0xfe, 0, 1, 1, 1, 1, 1, 1}, byte(4))
	f.Fuzz(func(t *testing.T, p []byte, step byte) {
		const limit = 1000
		want, code := frameModel(p, limit)
		r := frameReader{limit: limit}
		var got []string
		var fault *frameFault
		for rest, have := p, 0; fault == nil; {
			n, event, bad := r.next(rest[:have])
			fault = bad
			rest, have = rest[n:], have-n
			if event == frameText {
				body, _ := r.take()
				got = append(got, string(body))
			}
			if n == 0 && event == frameNone && bad == nil || have == 0 {
				if have == len(rest) {
					break
				}
				have = min(len(rest), have+int(step)+1)
			}
		}
		require.Equal(t, want, got)
		if code == 0 {
			require.Nil(t, fault)
			return
		}
		require.NotNil(t, fault)
		require.Equal(t, code, fault.code)
	})
}

// Whatever a client sends after the upgrade, nothing panics or hangs and the
// port hears of the end, once.
func FuzzWebSocketPath(f *testing.F) {
	fin, text := byte(frameFin), byte(ws.OpText)
	seeds := [][]byte{
		nil,
		wsMasked(fin|text, `[{"channel":"/meta/connect","id":"1"}]`),
		append(wsMasked(text, `[{"channel":`), wsMasked(fin, `"/a"}]`)...),
		wsMasked(fin|frameRSV1|text, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
		wsMasked(fin|byte(ws.OpPing), "ping"),
		wsMasked(fin|byte(ws.OpClose), "\x03\xe8bye"),
		frameAppendControl(nil, ws.OpText, []byte("unmasked")),
		bytes.Repeat(wsMasked(fin|byte(ws.OpPing), strings.Repeat("p", 125)), 100),
		{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	}
	for _, s := range seeds {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, p []byte, deflate bool) {
		e := newWSEnv(t, WSOptions{Deflate: deflate, CloseTimeout: time.Millisecond, WriteTimeout: time.Second})
		e.hub.receive = func(p *wsPort, batch []*bayeux.Message) error {
			p.push(Output{Replies: wsReplies([]string{`{}`})})
			p.link.Wake()
			return nil
		}
		e.dialPipe("Sec-WebSocket-Extensions: permessage-deflate\r\n", func(c net.Conn) net.Conn { return c })
		drained := make(chan struct{})
		go func() { // ends with the connection
			defer close(drained)
			for {
				if _, err := e.client.next(); err != nil {
					return
				}
			}
		}()
		_, _ = e.client.conn.Write(p)
		e.end()
		<-drained
	})
}
