package serve

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"
)

// reloader is a part of the settings that can be read again while the server
// runs.
type reloader struct {
	// name is what the log calls it.
	name string
	// reload reads it. When it fails, what was there stays.
	reload func() error
}

// reloaders are read again on SIGHUP, in their order. One that fails keeps
// none of the others from it.
type reloaders struct {
	log zerolog.Logger
	all []reloader
}

// add is for the start alone.
func (r *reloaders) add(name string, reload func() error) {
	r.all = append(r.all, reloader{name, reload})
}

func (r *reloaders) run() {
	if len(r.all) == 0 {
		r.log.Info().Msg("there is nothing to reload; new settings need a restart")
	}
	for _, one := range r.all {
		if err := one.reload(); err != nil {
			r.log.Error().Err(err).Str("what", one.name).Msg("reload failed; what was there stays")
			continue
		}
		r.log.Info().Str("what", one.name).Msg("reloaded")
	}
}

// signals is where SIGHUP arrives, and what stops that. A server with nothing
// to read again ends on a hang-up, as any program whose terminal is closed;
// but not under a service manager, whose reload must not end it.
func (r *reloaders) signals(given <-chan os.Signal, managed bool) (from <-chan os.Signal, stop func()) {
	if given != nil || len(r.all) == 0 && !managed {
		return given, func() {}
	}
	own := make(chan os.Signal, 1)
	signal.Notify(own, syscall.SIGHUP)
	return own, func() { signal.Stop(own) }
}
