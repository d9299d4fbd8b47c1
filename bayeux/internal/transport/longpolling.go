package transport

import "net/http"

// longPolling serves a POST ([R-LP-1]).
func (h *handler) longPolling(w http.ResponseWriter, r *http.Request) {
	t := h.newTurn(w, r, h.o.LongPolling)
	t.format = h.plain
	t.from = h.newOrigin(r, LongPolling)
	if h.guarded(w, r, t.from) {
		return
	}
	texts, err := t.readPost()
	if err != nil {
		t.refuse(err)
		return
	}
	t.serve(r.Context(), texts)
}

func (t *turn) readPost() ([][]byte, error) {
	if err := checkEncoding(t.r.Header); err != nil {
		return nil, err
	}
	if t.h.o.CheckContentType && !knownType(t.r.Header.Get("Content-Type")) {
		t.h.o.Observer.Count(EventTypeRefused)
		return nil, &StatusError{
			Status: http.StatusUnsupportedMediaType,
			Reason: "checkContentType: want the Content-Type application/json",
		}
	}
	kind, err := parseContentType(t.r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	body, err := t.readBody()
	if err != nil {
		return nil, err
	}
	return kind.messages(body)
}
