package conformtest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/halleypush/halley/conformance"
	"github.com/halleypush/halley/conformance/conformtest"
)

// handler is the server under test.
func handler(w http.ResponseWriter, r *http.Request) {
	var in []map[string]any
	if json.NewDecoder(r.Body).Decode(&in) != nil || len(in) != 1 || in[0]["channel"] != "/meta/handshake" {
		http.Error(w, "this server only shakes hands", http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(w).Encode([]any{map[string]any{
		"channel": "/meta/handshake", "id": in[0]["id"], "successful": true, "clientId": "c0ffee",
		"version": "1.0", "supportedConnectionTypes": []string{"long-polling"},
	}})
}

// A test of a server: each case is a subtest.
func Example() {
	TestBayeux := func(t *testing.T) {
		s := httptest.NewServer(http.HandlerFunc(handler))
		defer s.Close()
		conformtest.Test(t, s.URL+"/cometd", conformance.Options{Profile: "cometd"})
	}
	_ = TestBayeux // go test finds it by its name
}

// TestSubtests checks on a server that can only shake hands that its cases of
// that pass as subtests of their names.
func TestSubtests(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(handler))
	defer s.Close()
	rep := conformtest.Test(t, s.URL, conformance.Options{Only: []string{"BX-HS-0[12]"}})
	if rep.Summary.Pass != 2 || rep.Summary.Skipped != 0 {
		t.Errorf("%+v", rep.Summary)
	}
}
