package serve

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/channels"
)

// channelTable lists what can be set for a channel, by --channel and in the file.
func channelTable() []named[server.ChannelOptions] {
	return []named[server.ChannelOptions]{
		{"lazy", "false", "messages may wait for others, or for lazyTimeout", func(o *server.ChannelOptions, text string) (err error) {
			o.Lazy, err = parseBool(text)
			return err
		}},
		{"lazyTimeout", "maxLazyTimeout", "how long they may wait", func(o *server.ChannelOptions, text string) error {
			d, err := parseWait(text)
			o.LazyTimeout = d
			return err
		}},
		{"broadcastToPublisher", "true", "publishers receive their own messages by subscriptions to this channel", func(o *server.ChannelOptions, text string) error {
			echo, err := parseBool(text)
			o.NoBroadcastToPublisher = !echo
			return err
		}},
		{"slowConsumer", "the option", "what becomes of a message that its session's queue has no room for", func(o *server.ChannelOptions, text string) (err error) {
			if err = oneOf(text, bayeux.SlowConsumerNames()...); err == nil {
				o.SlowConsumer, err = bayeux.ParseSlowConsumer(text)
			}
			return err
		}},
	}
}

func parseBool(text string) (bool, error) {
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("want true or false")
	}
	return on, nil
}

// parseWait reads a time as options have it: milliseconds or a duration.
func parseWait(text string) (time.Duration, error) {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errors.New("want milliseconds, or a duration such as 20s")
	}
	return d, nil
}

// loadChannels reads the properties of channels. A name is the channel's or the
// pattern's, a dot and the property's.
func (s *Settings) loadChannels(c *Command, lookup func(string) (string, bool), file fileSettings) error {
	given, err := pairs("channel", c.Channel, lookup, file.channels)
	if err != nil {
		return err
	}
	table := channelTable()
	known := names(table)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		e := given[name]
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 || !strings.HasPrefix(name, "/") {
			return usagef(e.source, "channel %q: want a channel or pattern, a dot and a property, such as /stock/**.lazy", name)
		}
		channel, property := name[:dot], name[dot+1:]
		if _, err := channels.Parse(channel); err != nil {
			return usagef(e.source, "channel %q: %v", channel, err)
		}
		at := slices.Index(known, property)
		if at < 0 {
			return unknown(e.source, "property", property, known)
		}
		o := s.Channels[channel]
		if err := table[at].apply(&o, e.values[0]); err != nil {
			return usagef(e.source, "channel %s: %s=%q: %v", channel, property, e.values[0], err)
		}
		if s.Channels == nil {
			s.Channels = map[string]server.ChannelOptions{}
		}
		s.Channels[channel] = o
		s.shown = append(s.shown, shown{"channels." + name, e.values[0], table[at].def, e.source})
	}
	return nil
}
