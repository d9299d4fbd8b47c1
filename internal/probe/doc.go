// Package probe is the endpoint that `halley doctor` asks: it does on request what a push server does, with known times
// and known bytes, so that whoever sits at the other end can tell what the path between the two has changed. It knows
// nothing of Bayeux. What it can be made to do is bounded in time, bytes, concurrency and rate, and nobody without the
// token can make it do anything.
package probe

import "time"

// The probes, each a GET below the endpoint.
const (
	// PathEcho answers at once with an Echo, and sets CookieSet.
	PathEcho = "echo"
	// PathHold answers after ParamFor with a Held and sends nothing before, as a held poll does.
	PathHold = "hold"
	// PathDrip sends ParamCount lines of ParamBytes each, one every ParamEvery; each begins with a Drop and ends with a
	// newline. Headers go out with the first.
	PathDrip = "drip"
	// PathBody answers at once with ParamBytes bytes that do not compress: those of Fill for ParamSeed.
	PathBody = "body"
	// PathText answers at once with ParamBytes bytes that compress well.
	PathText = "text"
	// PathSocket is a WebSocket. A text frame that is a Silence is obeyed: nothing is sent for its time, then a Silence
	// with the time that it was. Every other frame comes back.
	PathSocket = "socket"
)

// Parameters of the probes, in the query. Times are those of time.ParseDuration.
const (
	ParamFor   = "for"
	ParamEvery = "every"
	ParamCount = "count"
	ParamBytes = "bytes"
	ParamSeed  = "seed"
)

// Below is where the endpoint is, below the path of the server.
const Below = "/doctor/"

// HeaderToken has the token. It is none of HTTP's own fields, so that proxies with a login of their own can have theirs.
const HeaderToken = "Halley-Doctor"

// CookieSet is the cookie that PathEcho sets.
const CookieSet = "halley_doctor"

// Bounds of what may be asked for. What is above is answered with status 400.
const (
	// MaxTime bounds a hold, a silence, a drip, and the life of a WebSocket.
	MaxTime = 6 * time.Minute
	// MinEvery is the shortest pause between two drops.
	MinEvery = 20 * time.Millisecond
	// MaxBytes bounds a body, and all drops together.
	MaxBytes = 16 << 20
	// MaxFrame bounds a frame of a WebSocket.
	MaxFrame = 256 << 10
)

// Bounds of all requests together.
const (
	// MaxAtOnce is how many probes may be in progress; more are answered with status 503.
	MaxAtOnce = 128
	// PerSecond bounds the probes that are begun; more are answered with status 429.
	PerSecond = 40
	// Burst is how many may be begun at once.
	Burst = 400
	// BytesPerSecond bounds the bytes of bodies and drops; more are answered with status 429.
	BytesPerSecond = 4 << 20
	// BytesBurst is how many may be asked for at once.
	BytesBurst = 128 << 20
	// WrongPerSecond bounds how often a wrong token is told so; beyond that the answer is 429. The right one is taken
	// all the same.
	WrongPerSecond = 1
	// WrongBurst is how often at once.
	WrongBurst = 10
	// MinToken is the least length of the token, in bytes.
	MinToken = 16
	// MaxToken is the greatest.
	MaxToken = 4096
)

// writeTime bounds how long a peer may take for what is written to it.
const writeTime = time.Minute

// Echo is what PathEcho answers: what the request looked like when it arrived.
type Echo struct {
	// Time is the server's clock, in milliseconds since 1970.
	Time int64 `json:"time"`
	// Proto is the version of HTTP, such as HTTP/1.1.
	Proto string `json:"proto"`
	// Peer is the address that the request came from: the last proxy's where there is one.
	Peer string `json:"peer"`
	// TLS tells whether it came by TLS.
	TLS bool `json:"tls"`
	// Host is the name that was asked for.
	Host string `json:"host"`
	// Cookies are the names of the cookies that came.
	Cookies []string `json:"cookies"`
	// Headers are the fields that tell of proxies, as they came.
	Headers map[string][]string `json:"headers"`
}

// Held is what PathHold answers.
type Held struct {
	// Millis is how long the answer was held.
	Millis int64 `json:"held"`
}

// Drop begins a line of PathDrip.
type Drop struct {
	// N counts from 0, Millis is when it was written, since the first.
	N      int   `json:"n"`
	Millis int64 `json:"at"`
}

// Silence is asked for by a frame, and answered by one.
type Silence struct {
	Millis int64 `json:"silent"`
}
