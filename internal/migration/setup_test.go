package migration_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
	"github.com/halleypush/halley/clients/bayeuxclient"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/extensions/activity"
	"github.com/halleypush/halley/extensions/timestamp"
	"github.com/halleypush/halley/extensions/timesync"
)

// newServer is what web.xml, ServletContextListener, a Spring configuration or
// an OSGi activator did: it makes the server and what belongs to it.
func newServer() (*server.Server, error) {
	srv, err := server.New(server.Config{
		Options: server.Options{"timeout": "30000", "ws.maxMessageSize": "131072"},
		Policy:  bayeux.NewAuthorizers(nil),
		Extensions: []bayeux.Extension{
			ack.New(),
			timesync.New(timesync.Config{}),
			timestamp.New(timestamp.Config{}),
			activity.New(activity.Config{}), // sessions with a rule of their own
		},
	})
	if err != nil {
		return nil, err
	}
	chat := &chatService{srv: srv, name: "Halley"}
	return srv, chat.start()
}

// The set-up of an application, whose other pages are served beside.
func Example_setUp() {
	srv, err := newServer()
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/cometd", srv)
	mux.Handle("/cometd/", srv)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the application") })

	p := open(mux, "")
	fmt.Println(p.publish("/service/nobody", `1`) != "")
	fmt.Println(srv.Shutdown(context.Background())) // contextDestroyed, preDestroy
	// Output:
	// true
	// <nil>
}

// What JMX showed; /metrics of the program has the same figures.
func Example_stats() {
	srv, stop := started()
	defer stop()

	p := open(srv, "")
	p.subscribe("/news")
	p.publish("/news", `1`)
	s := srv.Stats()
	fmt.Println(s.Sessions, s.Subscriptions, s.Published, s.Delivered)
	// Output: 1 1 1 1
}

// wire joins the nodes of one process. Between machines a message bus does.
type wire struct {
	nodes []func(context.Context, channels.Name, []byte)
}

// node is one end of the wire.
type node struct {
	wire *wire
	self int
}

func (n *node) Publish(ctx context.Context, channel channels.Name, message []byte) error {
	for i, deliver := range n.wire.nodes {
		if i != n.self { // only to the others
			deliver(ctx, channel, message)
		}
	}
	return nil
}

func (n *node) Join(deliver func(context.Context, channels.Name, []byte)) (leave func(), err error) {
	n.self = len(n.wire.nodes)
	n.wire.nodes = append(n.wire.nodes, deliver)
	return func() {}, nil
}

// Broadcasts between nodes, as with Oort's observeChannel("/**").
func Example_broker() {
	bus := &wire{}
	east, err := server.New(server.Config{Broker: &node{wire: bus}})
	if err != nil {
		fmt.Println(err)
		return
	}
	west, err := server.New(server.Config{Broker: &node{wire: bus}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	p := open(west, "")
	p.subscribe("/news")
	_ = east.Publish(ctx, "/news", "from the east")
	fmt.Println(p.publish("/service/nobody", `1`))
	_, _ = east.Shutdown(ctx), west.Shutdown(ctx)
	// Output: [{"channel":"/news","data":"from the east"},{"channel":"/service/nobody","id":"1","successful":true}]
}

// proxy is what stands in front of the old server and the new one.
type proxy struct{ target atomic.Pointer[url.URL] }

func (p *proxy) to(server *httptest.Server) {
	target, _ := url.Parse(server.URL)
	p.target.Store(target)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	httputil.NewSingleHostReverseProxy(p.target.Load()).ServeHTTP(w, r)
}

// The moment of cut-over, as a poll sees it: the new server does not know the
// session, and says what to do.
func Example_cutOverPoll() {
	before, stopBefore := started()
	defer stopBefore()
	after, stopAfter := started()
	defer stopAfter()

	p := open(before, "")
	p.subscribe("/news")
	p.server = after // the proxy has another target
	fmt.Println(p.poll())
	fmt.Println(p.publish("/news", `1`))
	// Output:
	// [{"channel":"/meta/connect","successful":false,"error":"402::session_unknown","advice":{"reconnect":"handshake","interval":0}}]
	// [{"channel":"/news","id":"1","successful":false,"error":"402::session_unknown"}]
}

// A client lives through the cut-over: it shakes hands anew and subscribes
// again.
func Example_cutOver() {
	before, stopBefore := started()
	after, stopAfter := started()
	defer stopAfter()
	old, young := httptest.NewServer(before), httptest.NewServer(after)
	defer old.Close()
	defer young.Close()
	front := &proxy{}
	front.to(old)
	web := httptest.NewServer(front)
	defer web.Close()

	ctx := context.Background()
	moved := make(chan struct{})
	got := make(chan string, 1)
	client, err := bayeuxclient.Dial(ctx, web.URL+"/cometd", bayeuxclient.Options{OnState: func(s bayeuxclient.State, _ error) {
		if s == bayeuxclient.StateRehandshaken {
			close(moved)
		}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Disconnect(ctx) }()
	_, err = client.Subscribe(ctx, "/news", func(m *bayeux.Message) { got <- string(m.Data) })
	fmt.Println(err)

	front.to(young) // nginx -s reload
	stopBefore()    // the old one ends: its WebSockets and polls go
	<-moved
	_ = after.Publish(ctx, "/news", "from the new server")
	fmt.Println(<-got)
	// Output:
	// <nil>
	// "from the new server"
}
