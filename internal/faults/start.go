package faults

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/extensions/timesync"
)

// Options say how the server behind a fault is set up. The zero value works.
type Options struct {
	// Timeout is how long a /meta/connect is held. Zero means 2 s.
	Timeout time.Duration
	// MaxInterval is how long a session lives without one. Zero means 2 s.
	MaxInterval time.Duration
	// SweepPeriod is how often unused channels and expired sessions are
	// removed. Zero means 300 ms.
	SweepPeriod time.Duration
	// Path is the path of the URL that Start returns. Zero means "/cometd".
	Path string
	// Config changes the server's configuration, after the times above and
	// before the fault. Nil changes nothing. The configuration begins with the
	// extensions ack and timesync.
	Config func(*server.Config)
	// Prepare sets up the server: lazy channels, services. Nil does nothing.
	Prepare func(*server.Server) error

	// listen is for tests, which have no network; nil listens on a loopback
	// port.
	listen func() (net.Listener, dialer, error)
}

func (o Options) withDefaults() Options {
	for d, def := range map[*time.Duration]time.Duration{
		&o.Timeout: 2 * time.Second, &o.MaxInterval: 2 * time.Second, &o.SweepPeriod: 300 * time.Millisecond,
	} {
		if *d == 0 {
			*d = def
		}
	}
	if o.Path == "" {
		o.Path = "/cometd"
	}
	if o.listen == nil {
		o.listen = listenTCP
	}
	return o
}

func listenTCP() (net.Listener, dialer, error) {
	var c net.ListenConfig
	ln, err := c.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", ln.Addr().String())
	}
	return ln, dial, nil
}

// Start runs a server that has the fault, and returns its URL. It takes a few
// milliseconds; instances share nothing and may run side by side. stop ends
// it, with all its connections and goroutines, and may be called more than
// once; so does the end of ctx, in the background.
func Start(ctx context.Context, f Fault, o Options) (url string, stop func(), err error) {
	i, err := start(ctx, f, o)
	if err != nil {
		return "", nil, fmt.Errorf("start fault %s: %w", f.ID, err)
	}
	unhook := context.AfterFunc(ctx, i.stop)
	return i.url, func() { unhook(); i.stop() }, nil
}

// instance is a server, the proxy in front of it, and what both listen on.
type instance struct {
	url     string
	server  *server.Server
	proxy   *proxy
	backend *http.Server
	front   *http.Server
	dial    dialer // to the front
	serving sync.WaitGroup
	once    sync.Once
	over    context.Context //nolint:containedctx // done when the instance is to end
	end     context.CancelFunc
}

func start(ctx context.Context, f Fault, o Options) (*instance, error) {
	o = o.withDefaults()
	var h hooks
	if f.make != nil {
		h = f.make(o)
	}
	i := &instance{}
	i.over, i.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := i.makeServer(h, o); err != nil { //nolint:contextcheck // the server has none of its own
		return nil, err
	}
	backend, dial, err := o.listen()
	if err != nil {
		i.stop()
		return nil, err
	}
	i.backend = i.serve(backend, i.server)
	i.proxy = newProxy(context.WithoutCancel(ctx), f, o, h, dial)
	front, dial, err := o.listen()
	if err != nil {
		i.stop()
		return nil, err
	}
	i.front, i.dial = i.serve(front, i.proxy), dial
	i.url = "http://" + front.Addr().String() + o.Path
	return i, nil
}

func (i *instance) makeServer(h hooks, o Options) error {
	c := server.Config{
		Extensions: []bayeux.Extension{ack.New(), timesync.New(timesync.Config{})},
		Options: server.Options{
			"timeout": millis(o.Timeout), "maxInterval": millis(o.MaxInterval), "sweepPeriod": millis(o.SweepPeriod),
		},
	}
	if o.Config != nil {
		o.Config(&c)
	}
	if h.config != nil {
		h.config(&c)
	}
	srv, err := server.New(c)
	if err != nil {
		return err
	}
	i.server = srv
	for _, set := range []func(*server.Server) error{o.Prepare, h.attach} {
		if set == nil {
			continue
		}
		if err := set(srv); err != nil {
			i.stop()
			return err
		}
	}
	return nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// serve serves a handler over HTTP/1 and, to those who know, HTTP/2.
func (i *instance) serve(ln net.Listener, h http.Handler) *http.Server {
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	i.serving.Go(func() { _ = s.Serve(ln) })
	return s
}

// stop cuts all connections first, so that nobody is waited for.
func (i *instance) stop() {
	i.once.Do(func() {
		for _, s := range []*http.Server{i.front, i.backend} {
			if s != nil {
				_ = s.Close()
			}
		}
		if i.proxy != nil {
			i.proxy.close()
		}
		i.end()
		_ = i.server.Shutdown(i.over)
		i.serving.Wait()
	})
}
