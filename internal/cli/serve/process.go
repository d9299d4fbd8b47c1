package serve

import (
	"io"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/rs/zerolog"
)

// memoryShare is the part of the machine's or the control group's memory that
// the garbage collector aims to stay below.
const memoryShare = 0.9

// prepareProcess adapts the process to the machine: as many descriptors as it
// may have, a memory goal for the garbage collector, and a quarter of the
// memory for all queues together unless the settings say otherwise. An
// explicit GOMEMLIMIT, or GOGC, is respected.
func prepareProcess(s *Settings, log zerolog.Logger, lookup func(string) (string, bool)) {
	log.Debug().Uint64("descriptors", raiseDescriptors()).Msg("process limits")
	keepRoom(lookup)
	if _, set := lookup("GOMEMLIMIT"); set {
		return
	}
	limit, err := memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)()
	if err != nil {
		log.Debug().Err(err).Msg("no memory limit found")
		return
	}
	if s.Limits.TotalQueueBytes == 0 {
		s.Limits.TotalQueueBytes = int64(min(limit, 1<<62) / 4)
	}
	applied, err := memlimit.Set(memlimit.WithProvider(memlimit.Limit(limit)), memlimit.WithRatio(memoryShare))
	if err != nil {
		log.Warn().Err(err).Msg("memory limit")
		return
	}
	log.Debug().Int64("bytes", applied).Msg("memory limit")
}

func newLog(w io.Writer, format string, level zerolog.Level) zerolog.Logger {
	if format == "console" {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000"}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}
