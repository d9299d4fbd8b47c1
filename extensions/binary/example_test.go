package binary_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/binary"
)

// A service that takes bytes, and answers with bytes.
func Example() {
	srv, err := server.New(server.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()
	_, err = srv.Listen("/service/upload", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		d, err := binary.From(m)
		if err != nil {
			return &bayeux.Error{Code: 400, Args: "bytes_expected", Text: "upload_denied"}
		}
		fmt.Printf("% x, last: %t, %s\n", d.Bytes, d.Last, d.Meta)
		return from.Deliver(ctx, m.Channel, binary.Data{Bytes: []byte{0xCA, 0xFE}, Last: true})
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	say := func(message string) string {
		r := httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(message))
		r.Header.Set("Cookie", "BAYEUX_BROWSER=example")
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		return w.Body.String()
	}
	_, rest, _ := strings.Cut(say(`{"channel":"/meta/handshake"}`), `"clientId":"`)
	id, _, _ := strings.Cut(rest, `"`)
	fmt.Println(say(`{"channel":"/service/upload","clientId":"` + id + `","ext":{"binary":{}},"data":{"data":"HelloWorld","last":true,"meta":{"name":"x"}}}`))
	// Output:
	// 86 4f d2 6f b5 59 f7 5b, last: true, {"name":"x"}
	// [{"channel":"/service/upload","ext":{"binary":{}},"data":{"data":"+kI","last":true}},{"channel":"/service/upload","successful":true}]
}
