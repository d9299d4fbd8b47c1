package serve

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/certs"
	"github.com/halleypush/halley/internal/demo"
)

// Bounds of what a connection may cost before a request is read. There is no
// write timeout: held polls are answered late by design, and the carriers have
// deadlines of their own.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// daemon is a running server.
type daemon struct {
	settings *Settings
	log      zerolog.Logger
	engine   Engine
	front    *http.Server
	way      *server.Front // to front; nil without --park
	admin    *http.Server
	plain    []*http.Server // redirects and ACME challenges
	certs    *certs.Keeper  // nil without TLS
	ready    atomic.Bool
	// stopProbes ends what the endpoint of halley doctor does.
	stopProbes func()
	// reload is what SIGHUP has read again.
	reload reloaders
	// failed gets the error of each listener that ends by itself.
	failed chan error
}

// serve runs a server until a signal, the end of ctx or a failure.
func serve(ctx context.Context, s *Settings, env Env) error {
	log := newLog(env.Stderr, s.LogFormat, s.LogLevel)
	env = env.withManager()
	prepareProcess(s, log, env.Lookup)
	keeper, err := s.openTLS(log)
	if err != nil {
		return err
	}
	open, err := openAll(ctx, s, env, log)
	if err != nil {
		return err
	}
	engine, err := env.Build(s.config(log))
	if err != nil {
		open.close()
		return &UsageError{Reason: err.Error()}
	}
	page, closeDemo, err := s.openDemo(ctx, engine)
	if err != nil {
		open.close()
		return errors.Join(err, engine.Shutdown(ctx))
	}
	defer closeDemo()
	d, err := newDaemon(s, log, engine, page, keeper)
	if err != nil {
		open.close()
		return errors.Join(err, engine.Shutdown(ctx))
	}
	d.start(context.WithoutCancel(ctx), open)
	defer d.keepCertificates(ctx)()
	env.tell(log, notifyReady)
	s.tellDemo(log, demo.Complete())
	d.keepPermissions(ctx)
	cause := d.wait(ctx, env)
	env.tell(log, notifyStopping)
	return errors.Join(cause, d.stop(context.WithoutCancel(ctx), env))
}

// keepCertificates looks after them until the function that it returns is
// called.
func (d *daemon) keepCertificates(ctx context.Context) func() {
	if d.certs == nil {
		return func() {}
	}
	d.reload.add("certificates", d.certs.Reload)
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { d.certs.Run(ctx) })
	return func() {
		cancel()
		group.Wait()
	}
}

// wait returns when the server is to stop, with the reason if it is a failure.
// Meanwhile it reloads on SIGHUP.
func (d *daemon) wait(ctx context.Context, env Env) error {
	_, managed := env.Lookup("NOTIFY_SOCKET")
	hangups, stop := d.reload.signals(env.Hangups, managed)
	defer stop()
	for {
		select {
		case <-hangups:
			d.reload.run()
		case sig := <-env.Signals:
			d.log.Info().Stringer("signal", sig).Msg("stopping")
			return nil
		case <-ctx.Done():
			d.log.Info().Msg("stopping")
			return nil
		case err := <-d.failed:
			d.log.Error().Err(err).Msg("a listener failed, stopping")
			return err
		}
	}
}

func newDaemon(s *Settings, log zerolog.Logger, engine Engine, page http.Handler, keeper *certs.Keeper) (*daemon, error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	bayeux, stopProbes, err := s.openProbe(s.crossOrigin(engine), log)
	if err != nil {
		return nil, err
	}
	d := &daemon{settings: s, log: log, engine: engine, certs: keeper, reload: reloaders{log: log}, stopProbes: stopProbes}
	d.front = &http.Server{
		Handler:           s.overTLS(route(s.Path, bayeux, page)),
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          httpLog(log),
	}
	if s.Park {
		d.way = server.NewFront(d.front, s.Path)
	}
	d.admin = &http.Server{
		Handler:           d.adminHandler(),
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      idleTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          httpLog(log),
	}
	return d, nil
}

// route passes requests for path and what is below it to h, others to rest. It
// is no http.ServeMux, which would redirect unclean paths and so lose POST
// bodies.
func route(path string, h, rest http.Handler) http.Handler {
	below := strings.TrimSuffix(path, "/") + "/"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path && !strings.HasPrefix(r.URL.Path, below) {
			rest.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (d *daemon) start(ctx context.Context, open listeners) {
	d.failed = make(chan error, len(open.front)+len(open.admin)+len(open.redirect)+len(open.challenges))
	for _, l := range open.front {
		secure := d.certs != nil && !l.Plain
		served := l.Listener
		if secure {
			served = d.certs.Listen(ctx, served)
		}
		go func() { d.failed <- d.serveFront(served) }()
		d.log.Info().Stringer("address", l.Addr()).Str("path", d.settings.Path).Bool("tls", secure).
			Str("posture", string(d.settings.Posture)).Str("proxy", l.Proxy).Msg("listening")
	}
	for _, l := range open.admin {
		go func() { d.failed <- d.admin.Serve(l) }()
		d.log.Info().Stringer("address", l.Addr()).Msg("admin listening")
	}
	d.startPlain(open)
	d.ready.Store(true)
}

// serveFront, shutdownFront and closeFront do what http.Server does, with or
// without the engine that keeps idle connections.
func (d *daemon) serveFront(l net.Listener) error {
	if d.way == nil {
		return d.front.Serve(l)
	}
	return d.way.Serve(l)
}

func (d *daemon) shutdownFront(ctx context.Context) error {
	if d.way == nil {
		return d.front.Shutdown(ctx)
	}
	return d.way.Shutdown(ctx)
}

func (d *daemon) closeFront() error {
	if d.way == nil {
		return d.front.Close()
	}
	return d.way.Close()
}

// stop ends the server within the deadline, in this order: not ready, held
// polls answered, listeners and connections closed. A second signal ends it at
// once.
func (d *daemon) stop(ctx context.Context, env Env) error {
	d.ready.Store(false)
	d.stopProbes()
	ctx, cancel := context.WithTimeout(ctx, d.settings.ShutdownTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- errors.Join(d.engine.Shutdown(ctx), d.shutdownFront(ctx)) }()
	var err error
	select {
	case err = <-done:
	case sig := <-env.Signals:
		err = fmt.Errorf("ended at once by a second signal: %s", sig)
		cancel()
	}
	err = errors.Join(err, d.closeFront(), d.admin.Close(), d.closePlain())
	if err != nil {
		d.log.Warn().Err(err).Msg("stopped before all connections had ended")
		return err
	}
	d.log.Info().Msg("stopped")
	return nil
}

// httpLog takes the lines of http.Server: a panic is an error, what peers do
// wrong is for debugging only.
func httpLog(log zerolog.Logger) *stdlog.Logger {
	return stdlog.New(lineWriter(func(line string) {
		level := zerolog.DebugLevel
		if strings.Contains(line, "panic serving") {
			level = zerolog.ErrorLevel
		}
		log.WithLevel(level).Str("component", "http").Msg(line)
	}), "", 0)
}

// lineWriter is an io.Writer for whole lines.
type lineWriter func(line string)

// Write implements io.Writer.
func (w lineWriter) Write(p []byte) (int, error) {
	w(strings.TrimSpace(string(p)))
	return len(p), nil
}
