package hostileproxy

import (
	"net/netip"
	"time"
)

// End says how the proxy ends what breaks a rule.
type End int

// The ways to end. What is on its way to the client in the proxy is sent first, except with ByReset.
const (
	// ByFIN closes both connections in order. A response that has begun is truncated.
	ByFIN End = iota
	// ByReset closes both connections by RST; their ends may lose what was on the way.
	ByReset
	// ByAnswer has the proxy answer itself with the status that the rule names, while nothing of the response has
	// left; after that, and where there is no request, it is ByFIN. The client's connection stays usable.
	ByAnswer
	// BySilence tells nobody: both connections stay open and what comes is thrown away, the end of either included,
	// until both ends have gone or the proxy is closed. So do address translators that forget a connection.
	BySilence
)

// Upgrades says what becomes of requests for an upgrade, those for a WebSocket included.
type Upgrades int

// What becomes of an upgrade.
const (
	UpgradesPass Upgrades = iota
	// UpgradesStripped removes Upgrade and Connection: the server sees an ordinary request.
	UpgradesStripped
	// UpgradesRefused has the proxy answer with Rules.RefuseStatus; the server sees nothing.
	UpgradesRefused
)

// Rotation says which of several targets gets what.
type Rotation int

// The kinds of rotation.
const (
	// RotateNever uses the first target for everything.
	RotateNever Rotation = iota
	// RotateConns takes the next target for each connection of a client.
	RotateConns
	// RotateRequests takes the next target for each request, on whatever connection.
	RotateRequests
)

// Rules is what a network does to those who use it. The zero value does nothing; any rules may be combined, and a value
// below zero counts as zero. Where nothing else is said, a request obeys the rules that are in force when its head
// has come. Limits of time, Latency, Loss and all that concerns upgraded connections ("tunnels") are obeyed by what runs
// already, as soon as they change.
//
// A response passes the rules in this order: MaxResponse, Gzip, Store, HoldFirst, HoldLast, Latency and Loss.
type Rules struct {
	// MaxDuration is the longest time from the end of a request's head to the end of its response; zero is without limit.
	// It does not count for tunnels. DurationEnd ends it; the answer is 504.
	MaxDuration time.Duration
	DurationEnd End
	// MaxTunnel is the longest life of a tunnel, busy or not, from its 101; zero is without limit.
	MaxTunnel time.Duration
	TunnelEnd End
	// IdleCut ends a connection or tunnel on which for so long no byte has come from either side, with a request waiting
	// or without; zero is never. Bytes that the proxy holds back have come. IdleEnd ends it; the answer is 504.
	IdleCut time.Duration
	IdleEnd End

	// MaxResponse bounds the body of a response, in bytes as the server sent them; zero is without limit. ByFIN and
	// ByReset let that many bytes pass. ByAnswer answers 502, for which it stores a response of unknown length.
	MaxResponse int64
	ResponseEnd End
	// MaxMessage bounds the payload of a WebSocket message to the client, in bytes; zero is without limit. The frame that
	// goes beyond it does not pass. ByAnswer sends the client a close frame with the code 1009.
	MaxMessage int64
	MessageEnd End
	// MaxTunnelBytes bounds the bytes to the client in one tunnel, behind the 101; zero is without limit.
	MaxTunnelBytes int64
	TunnelBytesEnd End

	// Store releases a response, head included, only when it is whole, with a Content-Length. Beyond 64 MiB the answer is
	// 502. Tunnels pass.
	Store bool
	// HoldFirst holds back the head and the first bytes of a response, or of what a tunnel brings to the client, until so
	// many bytes of the body have come, or it ends, or HoldTime is over; zero holds nothing.
	HoldFirst int
	// HoldLast holds back each piece of a response, and the head with the first, until the next comes, or it ends, or
	// HoldTime is over. A piece is what the server sent at a time, on a WebSocket a frame.
	HoldLast bool
	// HoldTime bounds HoldFirst and HoldLast, counted from the first byte that is held; zero is without limit.
	HoldTime time.Duration

	// Upgrades says what becomes of requests for an upgrade.
	Upgrades Upgrades
	// RefuseStatus is the status for UpgradesRefused; zero is 403.
	RefuseStatus int
	// BlackHole lets upgrades pass, and then nothing more in either direction, from the 101 on, or once HoleFrames
	// frames or HoleBytes bytes have passed to the client, whichever comes first of those that are above zero. What is
	// sent is taken and thrown away; so is the end of a connection, unless HoleEnds.
	BlackHole  bool
	HoleFrames int
	HoleBytes  int64
	HoleEnds   bool

	// MaxConns bounds the connections of one client address at a time; zero is without limit. More of them wait their
	// turn if ConnsWait, else ConnsEnd ends them when they come; the answer is 503, for the first request.
	MaxConns  int
	ConnsWait bool
	ConnsEnd  End

	// StripCookies removes Cookie from requests, StripSetCookies Set-Cookie from responses.
	StripCookies    bool
	StripSetCookies bool
	// HTTP10 speaks HTTP/1.0 with the server: one request for each connection, bodies of known length (so the proxy stores
	// them; beyond 64 MiB the answer is 413), no upgrades. The client gets Connection: close.
	HTTP10 bool
	// Gzip compresses response bodies for clients that accept it, where the server has not, and passes on each piece at once.
	Gzip bool

	// Latency delays each byte between client and proxy by so much each way. Nothing overtakes; 256 KiB may be on the way.
	Latency time.Duration
	// Loss is the share of segments (each up to 1,460 bytes of one direction between client and proxy) that are lost, from
	// 0 to 1. TCP hides a loss and delivers late: the segment and all behind it stall for LossDelay, for twice that when
	// the repetition is lost too, and so on, five times at most. Lost acknowledgements and congestion windows are not modelled.
	Loss float64
	// LossDelay is the first wait for a lost segment; zero is 200 ms.
	LossDelay time.Duration

	// HalfCloseServer ends the proxy's half of the connection to the server as soon as a request is sent, or, for an upgrade,
	// at the 101. Most servers take that for the end of the client. Either way, no connection is used for a second request.
	HalfCloseServer bool
	// HalfCloseClient ends the proxy's half of the connection to the client as soon as a request has been sent to the
	// server, or at the 101: the client sees an end, while the server is answered for and sees none.
	HalfCloseClient bool

	// Rotation says which target gets what.
	Rotation Rotation
	// RewriteHost sends the target's host and port as Host, as nginx does by default; otherwise the client's is kept.
	RewriteHost bool
	// Unannounced leaves out X-Forwarded-For and Via, which the proxy otherwise adds; what others have added stays.
	Unannounced bool
	// Source is the address from which servers are dialled; the zero value is the client's own where both are IPv4
	// loopback addresses, so that the server sees each of 127.0.1.x as another network, and else the system's choice.
	Source netip.Addr
}

// plain is r with values below zero replaced by zero.
func (r Rules) plain() Rules {
	for _, d := range []*time.Duration{&r.MaxDuration, &r.MaxTunnel, &r.IdleCut, &r.HoldTime, &r.Latency, &r.LossDelay} {
		*d = max(*d, 0)
	}
	for _, n := range []*int64{&r.MaxResponse, &r.MaxMessage, &r.MaxTunnelBytes, &r.HoleBytes} {
		*n = max(*n, 0)
	}
	for _, n := range []*int{&r.HoldFirst, &r.HoleFrames, &r.MaxConns} {
		*n = max(*n, 0)
	}
	r.Loss = min(max(r.Loss, 0), 1)
	return r
}
