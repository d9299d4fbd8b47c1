package timesync_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/timesync"
)

// A server with the extension answers clients that ask for the time.
func Example() {
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	srv, err := server.New(server.Config{Extensions: []bayeux.Extension{
		timesync.New(timesync.Config{Now: func() time.Time { return noon }}), // a clock for the example only
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	// The client's clock is a minute late.
	ask := fmt.Sprintf(`[{"channel":"/meta/handshake","ext":{"timesync":{"tc":%d,"l":0,"o":0}}}]`, noon.Add(-time.Minute).UnixMilli())
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(ask)))
	_, ext, _ := strings.Cut(w.Body.String(), `"ext":`)
	ext, _, _ = strings.Cut(ext, "}}")
	fmt.Println(ext + "}}")
	// Output: {"timesync":{"tc":1772366340000,"ts":1772366400000,"p":0,"a":-60000}}
}
