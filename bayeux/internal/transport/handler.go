package transport

import (
	"net/http"
	"sync"
	"time"
)

// unknownTransport is what requests get that no carrier takes ([R-HT-2]).
const unknownTransport = "Unknown Bayeux Transport"

type handler struct {
	// immutable after construction
	hub  Hub
	o    Options
	hold holder
	// Values of headers, shared by the answers and not to be changed.
	nosniff []string
	script  []string // the Content-Type of callback-polling
	plain   format   // that of long-polling

	unbuffered []string // the X-Accel-Buffering of answers that trickle

	buffers sync.Pool // of *[]byte: bodies of requests and responses
}

// NewHandler returns the carriers over net/http as one handler. The path of a
// request does not matter, nor does the query but for callback-polling
// ([R-HT-1]). Cross-origin requests get no headers of their own: that is the
// business of a handler in front ([R-HT-4]).
//
// Read and write deadlines are set by http.ResponseController, which needs
// wrapped ResponseWriters to have a method Unwrap; without it there are none.
func NewHandler(hub Hub, o Options) http.Handler {
	return &handler{
		hub:     hub,
		o:       o.withDefaults(),
		hold:    park,
		nosniff: []string{"nosniff"},                               // [R-JP-6]
		script:  []string{"text/javascript;charset=UTF-8"},         // [R-JP-2]
		plain:   format{contentType: []string{"application/json"}}, // [R-LP-2]

		unbuffered: []string{"no"},

		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}
}

// ServeHTTP chooses the carrier.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	upgrade := isUpgrade(r)
	if upgrade && h.o.WebSocket != nil && h.o.allows(WebSocket) {
		from := h.newOrigin(r, WebSocket)
		if !h.guarded(w, r, from) {
			h.o.WebSocket(w, r, from)
		}
		return
	}
	w.Header()["X-Content-Type-Options"] = h.nosniff
	switch {
	case r.Method == http.MethodOptions:
		w.WriteHeader(http.StatusOK) // [R-HT-3]
		return
	case r.Method == http.MethodPost && h.o.allows(LongPolling):
		h.longPolling(w, r)
		return
	case r.Method == http.MethodGet && !upgrade && h.o.allows(CallbackPolling):
		if callback, ok := h.callback(r); ok {
			h.callbackPolling(w, r, callback)
			return
		}
	}
	// Methods in lower case are here too ([R-LP-4]), and upgrades that nobody
	// wants ([R-WS-4]).
	h.newTurn(w, r, h.o.LongPolling).refuse(badRequest(unknownTransport)) // [R-HT-2]
}

// deadline returns the time d from now, and none where d is negative.
func deadline(d time.Duration) time.Time {
	if d < 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}
