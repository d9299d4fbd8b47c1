// Package drive is what the tests of the folder above and the program networks share to drive published clients: the
// language of browser/chromium.mjs, the files of pages, and the last words of programs.
package drive

import (
	"encoding/json"
	"net/http"
	"sync"
)

// Envelope carries the lines of one page of the browser, both ways.
type Envelope struct {
	Page   int             `json:"page"`
	Open   *Opening        `json:"open,omitempty"`
	Line   json.RawMessage `json:"line,omitempty"`
	Said   string          `json:"said,omitempty"`
	Gone   string          `json:"gone,omitempty"`
	Reload bool            `json:"reload,omitempty"`
	Close  bool            `json:"close,omitempty"`
}

// Opening says which page, and where it has its files if the server at its address has not.
type Opening struct {
	Address string `json:"address"`
	Files   string `json:"files"`
}

// Files serves the folder of the interop tests, at /interop/, to pages of whatever server.
func Files(folder string) http.Handler {
	files := http.StripPrefix("/interop/", http.FileServer(http.Dir(folder)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		files.ServeHTTP(w, r)
	})
}

// Tail keeps the last bytes written to it, at most Limit. It is safe for concurrent use.
type Tail struct {
	Limit int

	mu   sync.Mutex
	data []byte
}

// Write implements io.Writer.
func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, b...)
	if n := len(t.data) - t.Limit; n > 0 {
		t.data = append(t.data[:0:0], t.data[n:]...)
	}
	return len(b), nil
}

// String returns what is kept.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.data)
}
