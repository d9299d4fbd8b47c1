package demo

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var embedded embed.FS

// security is the Content-Security-Policy of the page. Nothing comes from
// elsewhere and nothing is inline. The CometD client keeps its timers in a
// worker made of a blob, so that they run on in a hidden tab.
const security = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// file is an asset ready to be served.
type file struct {
	kind, tag string
	text      []byte
}

// Handler serves the page at / and what it needs below /demo/; bayeuxPath is
// where the page finds the Bayeux endpoint. Other paths get 404. A program
// built without the CometD client serves a page that says how to get it.
func Handler(bayeuxPath string) (http.Handler, error) {
	assets, err := fs.Sub(embedded, "assets")
	if err != nil {
		return nil, err
	}
	return handler(assets, bayeuxPath)
}

// Complete tells whether the program was built with the CometD client.
func Complete() bool { return complete(embedded, "assets/") }

func complete(assets fs.FS, prefix string) bool {
	_, err := fs.Stat(assets, prefix+"vendor/cometd/cometd.js")
	return err == nil
}

func handler(assets fs.FS, bayeuxPath string) (http.Handler, error) {
	files := map[string]file{}
	err := fs.WalkDir(assets, ".", func(name string, entry fs.DirEntry, err error) error {
		kind := contentType(name)
		if err != nil || entry.IsDir() || kind == "" {
			return err
		}
		text, err := fs.ReadFile(assets, name)
		if path.Ext(name) == ".html" {
			text = bytes.ReplaceAll(text, []byte("{{bayeux}}"), []byte(html.EscapeString(bayeuxPath)))
		}
		sum := sha256.Sum256(text)
		files["/demo/"+name] = file{kind, `"` + hex.EncodeToString(sum[:8]) + `"`, text}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	files["/"] = files["/demo/index.html"]
	if !complete(assets, "") {
		files["/"] = files["/demo/missing.html"]
	}
	delete(files, "/demo/index.html")
	delete(files, "/demo/missing.html")
	return serve(files), nil
}

func serve(files map[string]file) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", f.kind)
		h.Set("Content-Security-Policy", security)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", f.tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.text))
	})
}

// contentType does not ask the machine's tables; empty means not served.
func contentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return ""
	}
}
