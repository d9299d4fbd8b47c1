package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// socket echoes frames and keeps silent when asked to.
func (h *Handler) socket(w http.ResponseWriter, r *http.Request) {
	if !upgrades(r) {
		// What the client sent as an upgrade, if it did, was not one any more when it arrived.
		refuse(w, http.StatusUpgradeRequired, "want a WebSocket")
		return
	}
	// The token says who may do this; a page's origin says nothing here.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(MaxFrame)
	// The request's own context may end with the handler's claim on the connection.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), MaxTime)
	defer cancel()
	go func() { // ends with ctx
		select {
		case <-h.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	h.frames(ctx, conn)
}

// frames reads on while it is silent, so that it learns when the peer has gone.
func (h *Handler) frames(ctx context.Context, conn *websocket.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	var silence sync.WaitGroup
	defer silence.Wait()
	defer cancel()
	silent := make(chan struct{}, 1)
	for {
		kind, body, err := h.next(ctx, conn)
		if err != nil {
			return
		}
		asked := silenceOf(kind, body)
		if asked == 0 {
			if write(ctx, conn, kind, body) != nil {
				return
			}
			continue
		}
		select {
		case silent <- struct{}{}:
		default:
			return // one silence at a time
		}
		if asked > MaxTime {
			return
		}
		silence.Go(func() {
			begun := time.Now()
			if !wait(ctx, asked) {
				return
			}
			<-silent
			answer, _ := json.Marshal(Silence{Millis: time.Since(begun).Milliseconds()}) // a number
			if write(ctx, conn, websocket.MessageText, answer) != nil {
				cancel()
			}
		})
	}
}

// next reads a frame, no faster than probes may be begun.
func (h *Handler) next(ctx context.Context, conn *websocket.Conn) (websocket.MessageType, []byte, error) {
	kind, body, err := conn.Read(ctx)
	if err == nil {
		err = h.begun.Wait(ctx)
	}
	if err == nil {
		err = h.bytes.WaitN(ctx, len(body)+1)
	}
	return kind, body, err
}

// silenceOf is how long a frame asks for silence; 0: it does not.
func silenceOf(kind websocket.MessageType, body []byte) time.Duration {
	var s Silence
	if kind != websocket.MessageText || json.Unmarshal(body, &s) != nil || s.Millis <= 0 {
		return 0
	}
	return time.Duration(min(s.Millis, 2*MaxTime.Milliseconds())) * time.Millisecond
}

func write(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return conn.Write(ctx, kind, body)
}

// wait tells whether the time has passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
