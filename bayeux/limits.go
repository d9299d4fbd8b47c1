package bayeux

import "cmp"

// Limits bound what one batch of messages may hold. Zero means the default,
// a negative value no limit.
type Limits struct {
	// Batch is the number of messages of one request or WebSocket message.
	// Default 1,000.
	Batch int
	// Depth is the nesting of JSON arrays and objects, the batch included.
	// Default 64.
	Depth int
	// ChannelBytes is the length of a channel name. Default 1,024.
	ChannelBytes int
	// ChannelSegments is the number of its segments. Default 32.
	ChannelSegments int
}

// defaultDepth is the default of Limits.Depth.
const defaultDepth = 64

// WithDefaults returns a copy with zeros replaced by the defaults.
func (l Limits) WithDefaults() Limits {
	return Limits{
		Batch:           cmp.Or(l.Batch, 1000),
		Depth:           cmp.Or(l.Depth, defaultDepth),
		ChannelBytes:    cmp.Or(l.ChannelBytes, 1024),
		ChannelSegments: cmp.Or(l.ChannelSegments, 32),
	}
}
