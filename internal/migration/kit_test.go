package migration_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started is a server for an example; stop ends it. The zero Config has no
// errors.
func started() (srv *server.Server, stop func()) {
	srv, _ = server.New(server.Config{})
	return srv, func() { _ = srv.Shutdown(context.Background()) }
}

// page is a client by hand, as a browser is one: long-polling with a cookie.
type page struct {
	server http.Handler
	cookie string
	id     string
	header http.Header
}

// open shakes hands; more goes into the handshake.
func open(h http.Handler, more string) *page {
	p := &page{server: h, cookie: "BAYEUX_BROWSER=example", header: http.Header{}}
	_, rest, _ := strings.Cut(p.say(`{"channel":"/meta/handshake"`+more+`}`), `"clientId":"`)
	p.id, _, _ = strings.Cut(rest, `"`)
	return p
}

// say posts messages, in which $ is the clientId, and returns the answer.
func (p *page) say(messages string) string {
	r := httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(strings.ReplaceAll(messages, "$", p.id)))
	r.Header = p.header.Clone()
	r.Header.Set("Cookie", p.cookie)
	w := httptest.NewRecorder()
	p.server.ServeHTTP(w, r)
	return w.Body.String()
}

// publish publishes data, in JSON, and returns the answer.
func (p *page) publish(channel, data string) string {
	return p.say(`{"channel":"` + channel + `","clientId":"$","id":"1","data":` + data + `}`)
}

// subscribe returns the answer to a subscription.
func (p *page) subscribe(channel string) string {
	return p.say(`{"channel":"/meta/subscribe","clientId":"$","subscription":"` + channel + `"}`)
}

// poll connects and returns the answer.
func (p *page) poll() string {
	return p.say(`{"channel":"/meta/connect","clientId":"$","advice":{"timeout":0}}`)
}
