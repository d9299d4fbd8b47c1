package serve

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// Words for the service manager (sd_notify).
const (
	notifyReady    = sd.SdNotifyReady
	notifyStopping = sd.SdNotifyStopping
)

// withManager fills what an Env leaves open of the service manager.
func (e Env) withManager() Env {
	if e.Sockets == nil {
		e.Sockets = activation.ListenersWithNames
	}
	if e.Notify == nil {
		e.Notify = func(state string) error {
			_, err := sd.SdNotify(false, state)
			return err
		}
	}
	return e
}

// tell tells the service manager, where there is one, how things stand.
func (e Env) tell(log zerolog.Logger, state string) {
	if err := e.Notify(state); err != nil {
		log.Warn().Err(err).Str("state", state).Msg("the service manager was not told")
	}
}

// bound is a listener and the address it was asked for.
type bound struct {
	net.Listener
	Address
}

// listeners are what a daemon serves on; all but front may be nil.
type listeners struct {
	front []bound
	admin []net.Listener
	// Plain HTTP for TLS's sake.
	redirect, challenges []net.Listener
}

func (l listeners) close() {
	for _, one := range l.front {
		_ = one.Close()
	}
	for _, one := range slices.Concat(l.admin, l.redirect, l.challenges) {
		_ = one.Close()
	}
}

// opener opens addresses: those of the machine, and sockets that the service
// manager has opened.
type opener struct {
	names   []string                  // of all that were passed
	passed  map[string][]net.Listener // not taken yet
	trusted []netip.Prefix
}

// openAll opens all addresses of the settings. What was passed and is in no
// setting is closed: nobody would answer there.
func openAll(ctx context.Context, s *Settings, env Env, log zerolog.Logger) (open listeners, err error) {
	passed, err := env.Sockets()
	if err != nil {
		return open, fmt.Errorf("sockets of the service manager: %w", err)
	}
	o := opener{slices.Sorted(maps.Keys(passed)), maps.Clone(passed), s.TrustedProxies}
	defer func() {
		o.drop(log)
		if err != nil {
			open.close()
		}
	}()
	for _, a := range s.Listen {
		all, err := o.open(ctx, a)
		if err != nil {
			return open, fmt.Errorf("listen %s: %w", a, err)
		}
		for _, l := range all {
			open.front = append(open.front, bound{l, a})
		}
	}
	if err := o.openPlain(ctx, s, &open); err != nil {
		return open, err
	}
	if s.AdminListen == (Address{}) {
		return open, nil
	}
	if open.admin, err = o.open(ctx, s.AdminListen); err != nil {
		return open, fmt.Errorf("admin-listen %s: %w", s.AdminListen, err)
	}
	return open, nil
}

// open starts to listen, or takes the sockets of that name.
func (o opener) open(ctx context.Context, a Address) ([]net.Listener, error) {
	if a.Socket == "" {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.String())
		if err != nil {
			return nil, err
		}
		return []net.Listener{a.withProxy(l, o.trusted)}, nil
	}
	all, ok := o.passed[a.Socket]
	if !ok {
		return nil, o.missing(a.Socket)
	}
	for _, l := range all {
		if _, tcp := l.Addr().(*net.TCPAddr); !tcp {
			return nil, fmt.Errorf("want a TCP socket, this one is %s", l.Addr().Network())
		}
	}
	delete(o.passed, a.Socket)
	served := make([]net.Listener, 0, len(all))
	for _, l := range all {
		served = append(served, a.withProxy(l, o.trusted))
	}
	return served, nil
}

func (o opener) missing(name string) error {
	if len(o.names) == 0 {
		return fmt.Errorf("the service manager has passed no socket; start the socket unit with the name %q first", name)
	}
	return fmt.Errorf("the service manager has passed no socket %q; the names (FileDescriptorName= of a socket unit) are %s",
		name, strings.Join(o.names, ", "))
}

// drop closes what was not taken.
func (o opener) drop(log zerolog.Logger) {
	for _, name := range slices.Sorted(maps.Keys(o.passed)) {
		log.Warn().Str("socket", name).Msg("a passed socket is in no setting; it is closed")
		for _, l := range o.passed[name] {
			_ = l.Close()
		}
	}
}
