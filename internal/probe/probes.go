package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// proxyHeaders are the fields that Echo tells of.
func proxyHeaders() []string {
	return []string{
		"Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-Ip",
		"Connection", "Upgrade", "Accept-Encoding", "X-Amzn-Trace-Id", "Cf-Ray",
	}
}

// maxShown bounds a value of a header, and their number, in an Echo.
const (
	maxShown  = 512
	maxValues = 16
)

func (*Handler) echo(w http.ResponseWriter, r *http.Request) {
	e := Echo{
		Time: time.Now().UnixMilli(), Proto: r.Proto, Peer: r.RemoteAddr, TLS: r.TLS != nil, Host: r.Host,
		Cookies: []string{}, Headers: map[string][]string{},
	}
	for _, c := range r.Cookies() {
		if len(e.Cookies) < maxValues && len(c.Name) <= maxShown {
			e.Cookies = append(e.Cookies, c.Name)
		}
	}
	for _, name := range proxyHeaders() {
		for _, v := range r.Header.Values(name) {
			if len(e.Headers[name]) < maxValues {
				e.Headers[name] = append(e.Headers[name], v[:min(len(v), maxShown)])
			}
		}
	}
	//nolint:gosec // it says nothing, and must come where the last proxy speaks plain HTTP, too
	http.SetCookie(w, &http.Cookie{Name: CookieSet, Value: strconv.FormatInt(e.Time, 36), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	answer(w, e)
}

func (h *Handler) hold(w http.ResponseWriter, r *http.Request) {
	d, err := span(r.URL.Query(), ParamFor, 0)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	begun := time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		answer(w, Held{Millis: time.Since(begun).Milliseconds()})
	case <-h.ended:
		refuse(w, http.StatusServiceUnavailable, "the server stops")
	case <-r.Context().Done():
	}
}

func (h *Handler) drip(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	every, err := span(q, ParamEvery, MinEvery)
	count, errCount := number(q, ParamCount, 1, int64(MaxTime/MinEvery))
	size, errSize := number(q, ParamBytes, minDrop, MaxFrame)
	if err = errors.Join(err, errCount, errSize); err == nil && (time.Duration(count) > MaxTime/every || count*size > MaxBytes) {
		err = fmt.Errorf("want at most %v and %d bytes in all", MaxTime, MaxBytes)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if !h.spend(w, count*size) {
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	control := http.NewResponseController(w)
	begun := time.Now()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := range count {
		if n > 0 {
			select {
			case <-ticker.C:
			case <-h.ended:
				return
			case <-r.Context().Done():
				return
			}
		}
		now := time.Now()
		_ = control.SetWriteDeadline(now.Add(writeTime))                                                            // what has no deadlines has bounds of its own
		if _, err := w.Write(line(Drop{N: int(n), Millis: now.Sub(begun).Milliseconds()}, int(size))); err != nil { //nolint:gosec // plain text, two numbers
			return
		}
		_ = control.Flush() // the same
	}
}

// minDrop is room for a Drop.
const minDrop = 48

// line is a drop with blanks up to its size.
func line(d Drop, size int) []byte {
	p, _ := json.Marshal(d) // two numbers
	p = append(p, strings.Repeat(" ", max(0, size-len(p)-1))...)
	return append(p, '\n')
}

func (h *Handler) body(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size, err := number(q, ParamBytes, minBody, MaxBytes)
	seed, errSeed := strconv.ParseInt(q.Get(ParamSeed), 10, 64)
	if errSeed != nil {
		err = errors.Join(err, fmt.Errorf("%s: want a number", ParamSeed))
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	h.send(w, r, size, NewFill(size, seed).Next)
}

func (h *Handler) text(w http.ResponseWriter, r *http.Request) {
	size, err := number(r.URL.Query(), ParamBytes, minBody, MaxBytes)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	left, blanks := size, bytes.Repeat([]byte(" "), pieceBytes)
	h.send(w, r, size, func(p []byte) int {
		n := int(min(int64(len(p)), left))
		copy(p[:n], blanks)
		if left == size {
			p[0] = '['
		}
		if left -= int64(n); left == 0 && n > 0 {
			p[n-1] = ']'
		}
		return n
	})
}

// pieceBytes are written at a time.
const pieceBytes = 32 << 10

// send writes a body of a known length.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, size int64, next func([]byte) int) {
	if !h.spend(w, size) {
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8") // as answers to polls have
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	p := make([]byte, pieceBytes)
	for r.Context().Err() == nil {
		n := next(p)
		if n == 0 {
			return
		}
		if _, err := w.Write(p[:n]); err != nil {
			return
		}
	}
}

// spend takes bytes from the common bound.
func (h *Handler) spend(w http.ResponseWriter, n int64) bool {
	if h.bytes.AllowN(time.Now(), int(n)) {
		return true
	}
	refuse(w, http.StatusTooManyRequests, "too many bytes asked for, bound "+fmt.Sprint(BytesBurst))
	return false
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_ = json.NewEncoder(w).Encode(v) // to a peer that may have gone
}

// span reads a time of at least low and at most MaxTime.
func span(q url.Values, name string, low time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(q.Get(name))
	if err != nil || d < low || d > MaxTime {
		return 0, fmt.Errorf("%s: want a time from %v to %v", name, low, MaxTime)
	}
	return d, nil
}

func number(q url.Values, name string, low, high int64) (int64, error) {
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s: want a number from %d to %d", name, low, high)
	}
	return n, nil
}

// upgrades tells whether the request arrived as that of a WebSocket.
func upgrades(r *http.Request) bool {
	return r.ProtoAtLeast(1, 1) && slices.ContainsFunc(r.Header.Values("Upgrade"), func(v string) bool { return strings.EqualFold(v, "websocket") })
}
