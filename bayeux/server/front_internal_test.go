package server

import "net/http"

// NewFrontInMemory returns a Front that takes connections of any listener.
func NewFrontInMemory(hs *http.Server, path string) *Front {
	f := NewFront(hs, path)
	f.engine.Pumped()
	return f
}
