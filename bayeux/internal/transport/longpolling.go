package transport

import "net/http"

// longPolling serves a POST ([R-LP-1]).
func (h *handler) longPolling(w http.ResponseWriter, r *http.Request) {
	t := h.newTurn(w, r, h.o.LongPolling)
	t.format = format{contentType: "application/json"} // [R-LP-2]
	texts, err := t.readPost()
	if err != nil {
		t.refuse(err)
		return
	}
	t.serve(r.Context(), LongPolling, texts)
}

func (t *turn) readPost() ([][]byte, error) {
	if err := checkEncoding(t.r.Header); err != nil {
		return nil, err
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
