package activity_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/activity"
)

// patient gives those who say that they are administrators more time.
type patient struct{ bayeux.DefaultPolicy }

func (patient) CanHandshake(_ context.Context, s bayeux.Session, m *bayeux.Message) error {
	if role, _ := m.ExtMember("role"); string(role) == `"admin"` {
		activity.Set(s, activity.Rule{Period: 8 * time.Hour})
	}
	return nil
}

// A server that ends sessions after a quarter of an hour in which nothing but
// connects went to and fro, those of administrators much later.
func Example() {
	now := time.Now()
	srv, err := server.New(server.Config{
		Policy: patient{},
		Extensions: []bayeux.Extension{activity.New(activity.Config{
			Rule: activity.Rule{Mode: activity.ClientServer, Period: 15 * time.Minute},
			Now:  func() time.Time { return now }, // a clock for the example only
		})},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = srv.Shutdown(context.Background()) }()

	say := func(message string) string {
		r := httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(message))
		r.Header.Set("Cookie", "BAYEUX_BROWSER=example")
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		return w.Body.String()
	}
	for _, role := range []string{"admin", "guest"} {
		_, rest, _ := strings.Cut(say(`{"channel":"/meta/handshake","ext":{"role":"`+role+`"}}`), `"clientId":"`)
		id, _, _ := strings.Cut(rest, `"`)
		now = now.Add(time.Hour) // without a message
		fmt.Println(role, say(`{"channel":"/meta/connect","clientId":"`+id+`"}`))
	}
	// Output:
	// admin [{"channel":"/meta/connect","successful":true}]
	// guest [{"channel":"/meta/disconnect","successful":true},{"channel":"/meta/connect","successful":false,"error":"402::session_unknown","advice":{"reconnect":"none","interval":0}}]
}
