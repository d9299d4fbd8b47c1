package serve

import (
	"errors"
	"strconv"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/extensions/activity"
	"github.com/halleypush/halley/extensions/timestamp"
	"github.com/halleypush/halley/extensions/timesync"
)

// Extensions say which extensions the server has. Those that act when a client
// asks for them are on by default, those that act on all clients are off
// (DESIGN 4.9). Binary data needs none: it is passed on as it is.
type Extensions struct {
	Ack, Timesync bool
	// Timestamp is a format of its package, empty for off.
	Timestamp string
	// Activity has its say where Watch is on.
	Watch    bool
	Activity activity.Rule
}

// off turns an extension off that has no flag of its own.
const off = "off"

// extensionTable lists the settings of the extensions in the order of
// --print-config.
func extensionTable() []named[Extensions] {
	return []named[Extensions]{
		{"ack", "true", "acknowledged messages, for clients that ask: what was sent stays until the client has it", switched(func(x *Extensions) *bool { return &x.Ack })},
		{"timesync", "true", "clients that ask learn the server's clock and the lag of the network", switched(func(x *Extensions) *bool { return &x.Timesync })},
		{"timestamp.format", off, "all messages tell when they left: off, cometd, iso8601 or http", applyTimestamp},
		{"activity.mode", off, "inactive sessions end: off, client (the client only connects) or client-server (and is sent nothing)", applyActivity},
		{"activity.period", "15m", "how long a session may be inactive", applyPeriod},
	}
}

func defaultExtensions() Extensions {
	return Extensions{Ack: true, Timesync: true, Activity: activity.Rule{Period: 15 * time.Minute}}
}

func switched(field func(*Extensions) *bool) func(*Extensions, string) error {
	return func(x *Extensions, text string) error {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("want true or false")
		}
		*field(x) = on
		return nil
	}
}

func applyTimestamp(x *Extensions, text string) error {
	formats := map[string]string{off: "", "cometd": timestamp.CometD, "iso8601": timestamp.ISO8601, "http": timestamp.HTTP}
	if err := oneOf(text, off, "cometd", "iso8601", "http"); err != nil {
		return err
	}
	x.Timestamp = formats[text]
	return nil
}

func applyActivity(x *Extensions, text string) error {
	if err := oneOf(text, off, activity.Client.String(), activity.ClientServer.String()); err != nil {
		return err
	}
	if x.Watch = text != off; !x.Watch {
		return nil
	}
	return x.Activity.Mode.UnmarshalText([]byte(text))
}

func applyPeriod(x *Extensions, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("want a duration such as 15m")
	}
	x.Activity.Period = d
	return nil
}

// build makes the extensions.
func (x Extensions) build() []bayeux.Extension {
	var all []bayeux.Extension
	if x.Ack {
		all = append(all, ack.New())
	}
	if x.Timesync {
		all = append(all, timesync.New(timesync.Config{}))
	}
	if x.Watch {
		all = append(all, activity.New(activity.Config{Rule: x.Activity}))
	}
	if x.Timestamp != "" {
		c := timestamp.Config{Format: x.Timestamp}
		if c.Format == timestamp.ISO8601 {
			c.Location = time.UTC
		}
		all = append(all, timestamp.New(c))
	}
	return all
}
