package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/bayeux/internal/machine"
	"github.com/halleypush/halley/bayeux/internal/pathprofile"
	"github.com/halleypush/halley/bayeux/internal/queue"
	"github.com/halleypush/halley/bayeux/internal/router"
	"github.com/halleypush/halley/bayeux/internal/transport"
	"github.com/halleypush/halley/channels"
)

// Clock tells the time; it is time.Now outside tests.
type Clock func() time.Time

// Server is a Bayeux server and an http.Handler. Mount it on any router: the
// path below its mount point does not matter ([R-HT-1]). It is safe for
// concurrent use. Shutdown must be called to end its goroutines.
type Server struct {
	// Immutable after New.
	config               Config
	log                  zerolog.Logger
	now                  Clock
	settings             map[string]*settings
	supported            []string
	broadcastToPublisher bool
	relayReplyFields     bool
	permissive           bool // the policy is bayeux.DefaultPolicy
	closed               bool // the policy is bayeux.ClosedPolicy
	quiet                *quiet
	maxSubscriptions     int
	maxSessions          int
	sweepPeriod          time.Duration
	clock                instant.Clock
	moment               func() instant.Time // the time as sessions keep it
	sweepZero            instant.Time
	extensions           []extension
	sessionExtensions    []bayeux.SessionExtension
	handler              http.Handler
	paths                *pathprofile.Book // nil: nothing is learned of networks
	trickle              trickle
	pinnedHold           time.Duration // no hold is longer; 0: none
	pinnedResponse       int           // no response is larger, in bytes; 0: none
	sockets              *transport.WebSocketCarrier
	poller               transport.Poller // nil: none

	registry  *registry
	epitaphs  epitaphs
	users     *users
	browsers  browsers
	router    *router.Router[session]
	listeners listenerTable
	inits     attached[ChannelInit]
	lifecycle lifecycle
	maxed     registered[maxedHook]
	slow      slowCounters
	total     *queue.Total
	admission *rate.Limiter
	addresses *addresses
	deadlines *deadlines
	leave     func() // leaves the broker
	receivers sync.Pool
	// What is not in use.
	deliveries sync.Pool // of *delivery
	queues     sync.Pool // of *queue.Queue with nothing in them
	letters    sync.Pool // of *letter
	mails      sync.Pool // of *mail
	passes     sync.Pool // of *pass
	stats      counters

	opening atomic.Int64 // handshakes being processed
	reviews atomic.Int64 // how often all subscriptions were reviewed
	// unconnected counts the sessions whose first connect has not come.
	unconnected atomic.Int64
	ending      atomic.Int64 // sessions that have ended, as listeners are being told
	draining    atomic.Bool
	// closedHint is when the log was last told what adviseClosed says.
	closedHint atomic.Int64
	// watchChannels tells that somebody wants to know of channels.
	watchChannels atomic.Bool
	stop          chan struct{}
	stopOnce      sync.Once
	loops         sync.WaitGroup
}

// New makes a server and starts its two goroutines: one serves all deadlines,
// one sweeps channels. Shutdown ends them.
func New(config Config) (*Server, error) { return newWith(config, nil) }

// newWith is New with a poller, nil for the one that the configuration asks for.
func newWith(config Config, poller transport.Poller) (*Server, error) {
	c := config.withDefaults()
	if err := errors.Join(c.validate(), c.Options.Check(), c.validateOptions()); err != nil {
		return nil, fmt.Errorf("configure the server: %w", err)
	}
	srv := &Server{
		config: c, log: c.Logger, now: time.Now, poller: poller,
		registry: newRegistry(), users: newUsers(), router: router.New[session](), total: queue.NewTotal(),
		addresses: newAddresses(c.Limits, time.Now),
		stop:      make(chan struct{}), quiet: newQuiet(c.Logger, c.Limits.LogsPerSecond, time.Now),
	}
	srv.router.Attend(router.Births{Init: srv.initOf, Born: func(n channels.Name) { srv.channelChanged(n, true) }})
	srv.lifecycle.prepare(srv)
	srv.users.changed = srv.lifecycle.presence.Changed
	srv.configure()
	if k, ok := c.Policy.(bayeux.ChannelKeeper); ok {
		k.Keep(srv.keepChannel)
	}
	for name, o := range c.Channels {
		o.Persistent = true
		if err := srv.Configure(name, o); err != nil {
			return nil, err
		}
	}
	if err := srv.park(); err != nil {
		return nil, err
	}
	srv.handler, srv.sockets = srv.carriers()
	srv.adviseClosed("nobody can do more than handshake and connect")
	srv.deadlines = newDeadlines(srv.moment, (*session).tick)
	srv.loops.Go(srv.deadlines.run)
	srv.loops.Go(srv.sweep)
	srv.leave = func() {}
	if err := srv.join(); err != nil {
		_ = srv.Shutdown(context.Background())
		return nil, err
	}
	return srv, nil
}

// configure resolves the options.
func (srv *Server) configure() {
	c := srv.config
	l := c.lookup("")
	srv.settings = make(map[string]*settings)
	for _, name := range append(allTransports(), TransportLocal) {
		srv.settings[name] = resolve(c, name)
		srv.settings[name].srv = srv
	}
	srv.supported = allTransports()
	if list := splitList(l.text("allowedTransports", "")); len(list) > 0 {
		srv.supported = list // in the order of the option [R-HS-5]
	}
	supported, _ := json.Marshal(srv.supported) // strings always marshal
	for _, st := range srv.settings {
		st.via.Supported = supported
	}
	srv.broadcastToPublisher = l.flag("broadcastToPublisher", true)
	srv.relayReplyFields = l.flag("relayReplyFields", false)
	_, srv.permissive = c.Policy.(bayeux.DefaultPolicy)
	_, srv.closed = c.Policy.(bayeux.ClosedPolicy)
	srv.maxSubscriptions = l.number("maxSubscriptions", c.Limits.Subscriptions)
	srv.maxSessions = l.number("maxSessions", c.Limits.Sessions)
	srv.sweepPeriod = max(10*time.Millisecond, l.millis("sweepPeriod", 997*time.Millisecond))
	srv.clock = instant.New(srv.now())
	srv.moment = srv.clock.Now
	srv.paths, srv.pinnedHold, srv.pinnedResponse = l.book()
	srv.trickle = l.trickle()
	srv.sweepZero = srv.moment()
	if c.Limits.HandshakesPerSecond > 0 {
		srv.admission = rate.NewLimiter(rate.Limit(c.Limits.HandshakesPerSecond), c.Limits.HandshakesPerSecond)
	}
	for _, e := range c.Extensions {
		one := extension{Extension: e}
		one.selects, _ = e.(bayeux.Selective)
		_, one.prompt = e.(bayeux.Prompt)
		srv.extensions = append(srv.extensions, one)
		if x, ok := e.(bayeux.SessionExtension); ok {
			srv.sessionExtensions = append(srv.sessionExtensions, x)
		}
	}
	srv.receivers.New = func() any { return new([]router.Receiver[session]) }
	srv.deliveries.New = newDelivery
	srv.queues.New = func() any { return queue.New(queue.Limits{}, srv.total) }
}

// ServeHTTP implements http.Handler.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { srv.handler.ServeHTTP(w, r) }

// newSession makes a session that does not exist yet: the handshake decides.
func (srv *Server) newSession(browser string, st *settings) *session {
	return srv.sessionOf(srv.config.NodePrefix+newID(sessionIDChars), browser, st)
}

// sessionOf makes a session with that id.
func (srv *Server) sessionOf(id, browser string, st *settings) *session {
	s := &session{
		srv: srv, made: st, used: st, browser: browser, left: srv.moment(),
	}
	s.machine.Begin(id)
	for _, x := range srv.sessionExtensions {
		if e := x.NewSession(s); e != nil {
			s.rare().extensions = append(s.rare().extensions, e)
		}
	}
	return s
}

// removed notes the end of a session. Its subscriptions and its place in the
// registry are gone ([R-EX-5]).
func (srv *Server) removed(s *session, reason machine.Reason) {
	srv.deadlines.drop(s)
	s.leaveAddress()
	if s.isLocal() {
		s.wake()
	}
	srv.stats.end(string(reason))
	srv.quiet.notice("end").Str("session", s.id()).Str("transport", s.Transport()).
		Str("user", s.User()).Str("reason", string(reason)).Msg("session ends")
}

// nextSweep rounds a time up to the next sweep ([R-EX-1]).
func (srv *Server) nextSweep(at instant.Time) instant.Time {
	past := at.Sub(srv.sweepZero) % srv.sweepPeriod
	if past == 0 {
		return at
	}
	return at.Add(srv.sweepPeriod - past)
}

// sweep removes unused channels ([R-SB-13]) and keeps the sum of all queues
// below its bound, until the server stops.
func (srv *Server) sweep() {
	ticker := time.NewTicker(srv.sweepPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, n := range srv.router.Sweep() {
				srv.channelChanged(n, false)
			}
			srv.relieve()
			srv.epitaphs.forget(srv.now())
			if srv.paths != nil {
				srv.paths.Sweep(srv.moment())
			}
		case <-srv.stop:
			return
		}
	}
}

// relieve ends the sessions with the largest queues while all queues together
// are over their bound.
func (srv *Server) relieve() {
	limit := srv.config.Limits.TotalQueueBytes
	if limit <= 0 || srv.total.Bytes() <= limit {
		return
	}
	type load struct {
		s     *session
		bytes int64
	}
	var loads []load
	for _, s := range srv.registry.all() {
		s.mu.Lock()
		n := s.queue.Bytes()
		s.mu.Unlock()
		if n > 0 {
			loads = append(loads, load{s, n})
		}
	}
	slices.SortFunc(loads, func(a, b load) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, l := range loads {
		if srv.total.Bytes() <= limit {
			return
		}
		srv.endSlow(l.s, totalLimit, limit)
	}
}

// flushTime bounds how long a stop waits for clients to fetch what is queued
// for them, and how long a client may have been away before: a browser on a
// busy machine takes more than a second from one poll to the next. flushTick is
// how often the stop looks.
const (
	flushTime = 5 * time.Second
	flushTick = 10 * time.Millisecond
)

// Shutdown stops the server gracefully: for five seconds at most it goes on, so
// that clients between two polls fetch what is queued for them; then held
// connects are answered with retry advice and a jittered interval, sockets get
// 1001 after that (WIRE 16 on [R-CN-24] and [R-WS-26]), and new handshakes are
// refused. It returns when all goroutines have ended or ctx is done; then
// connections are cut, and calls of server code that do not return are left.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.flush(ctx)
	srv.draining.Store(true)
	spread := srv.spreadTime()
	// Sessions that were removed with a connect held are known to the deadlines
	// only.
	for _, s := range append(srv.registry.all(), srv.deadlines.all()...) {
		s.step(func(now instant.Time) machine.Effects {
			wait := jitter(spread)
			return s.machine.Release(now, &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: &wait})
		})
	}
	err := srv.sockets.Shutdown(ctx)
	if srv.poller != nil {
		err = errors.Join(err, srv.poller.Wait(ctx))
	}
	srv.stopOnce.Do(func() {
		srv.leave()
		close(srv.stop)
		close(srv.deadlines.stop)
	})
	srv.loops.Wait()
	return errors.Join(err, srv.lifecycle.tasks.Wait(ctx))
}

// spreadTime is the time over which clients are asked to come back: two
// milliseconds for each session, so that a few are not kept waiting and many
// do not come at once. It is short for few because there is a client (aiocometd)
// that takes the interval for seconds.
func (srv *Server) spreadTime() time.Duration {
	n := srv.registry.count.Load()
	return min(time.Duration(2*max(n, 1))*time.Millisecond, 5*time.Second)
}

// flush waits until nothing is queued that wants to leave. Clients that went
// away keep it waiting until flushTime after they did, or until ctx is done.
func (srv *Server) flush(ctx context.Context) {
	if srv.draining.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	tick := time.NewTicker(flushTick)
	defer tick.Stop()
	for slices.ContainsFunc(srv.registry.all(), (*session).waiting) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Draining tells whether Shutdown has begun to turn clients away.
func (srv *Server) Draining() bool { return srv.draining.Load() }

// jitter returns a duration between d/2 and 3d/2, so that clients do not come
// back all at once.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // spreads load, guards nothing
}
