package timestamp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/timestamp"
)

// A server that tells the time as the Bayeux specification has it.
func Example() {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{timestamp.New(timestamp.Config{
		Format: timestamp.ISO8601, Location: time.UTC,
		Now: func() time.Time { return noon }, // a clock for the example only
	})}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(`[{"channel":"/meta/connect"}]`)))
	_, stamp, _ := strings.Cut(w.Body.String(), `"timestamp":`)
	fmt.Println(stamp)
	// Output: "2026-03-01T12:00:00.000Z"}]
}
