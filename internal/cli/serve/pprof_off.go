//go:build !pprof

package serve

import "net/http"

// serveProfiles does nothing: what profiles need would be one part in fifteen of an
// empty server. Build with the tag pprof to have them.
func serveProfiles(*http.ServeMux) {}
