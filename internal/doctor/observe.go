package doctor

import (
	"fmt"
	"time"

	"github.com/halleypush/halley/internal/probe"
)

// Seconds are a time, as they stand in the JSON of a report.
type Seconds float64

func seconds(d time.Duration) Seconds { return Seconds(d.Round(time.Millisecond).Seconds()) }

// Mode says how the server was asked.
type Mode string

// The modes.
const (
	// ModeProbe: by the probe endpoint of halley serve --doctor-token.
	ModeProbe Mode = "probe"
	// ModeBayeux: by messages that any Bayeux server understands.
	ModeBayeux Mode = "bayeux"
)

// Outcome is how a request ended.
type Outcome string

// The outcomes.
const (
	// OK: with the answer that was due, when it was due.
	OK Outcome = "ok"
	// Early: with a good answer before it was due; the server holds no longer.
	Early Outcome = "early"
	// Refused: with another answer; the status says which.
	Refused Outcome = "refused"
	// Cut: without a whole answer, because the connection ended.
	Cut Outcome = "cut"
	// Late: not at all, as long as we waited.
	Late Outcome = "late"
	// Altered: with other bytes than the server had sent.
	Altered Outcome = "altered"
	// Skipped: it was not made.
	Skipped Outcome = "skipped"
)

// Try is one request that was to take its time.
type Try struct {
	Outcome Outcome `json:"outcome"`
	// Asked is how long it was to take, Took how long it took.
	Asked Seconds `json:"asked"`
	Took  Seconds `json:"took"`
	// Status is that of HTTP; 0 where none came.
	Status int `json:"status,omitempty"`
	// Count is how many pieces or frames came in that time, Last when the last
	// of them did.
	Count int     `json:"count,omitempty"`
	Last  Seconds `json:"last,omitempty"`
	Error string  `json:"error,omitempty"`
}

// Drip is an answer in pieces.
type Drip struct {
	Try
	Every Seconds `json:"every"`
	Bytes int64   `json:"bytes"`
	// Sent and Came are when each piece left the server, since the first, and when it came, since the request.
	Sent []Seconds `json:"sent"`
	Came []Seconds `json:"came"`
}

// Body is an answer of a size.
type Body struct {
	Outcome Outcome `json:"outcome"`
	// Asked is how large it was to be, Got what came of it, in bytes.
	Asked  int64  `json:"asked"`
	Got    int64  `json:"got"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Socket is what became of WebSockets.
type Socket struct {
	// Opened is the upgrade, Echoed the first frame, Again a second try of both, where the first failed.
	Opened Try  `json:"opened"`
	Echoed Try  `json:"echoed"`
	Again  *Try `json:"again,omitempty"`
	// Stripped: the request arrived, and was no upgrade any more.
	Stripped bool `json:"stripped,omitempty"`
	// Silences are WebSockets on which nothing was sent for a time, Lively one on which frames went to and fro.
	Silences []Try `json:"silences,omitempty"`
	Lively   *Try  `json:"lively,omitempty"`
	// Frames are frames of a size, there and back.
	Frames []Body `json:"frames,omitempty"`
}

// Cookies is what became of cookies.
type Cookies struct {
	// Sent tells whether one that we sent came back as seen by the server, Set whether one that the server set came
	// here; nil where it could not be seen.
	Sent *bool `json:"sent,omitempty"`
	Set  *bool `json:"set,omitempty"`
}

// Clock is the server's clock beside ours.
type Clock struct {
	// Offset is how far the server's is ahead; the truth lies within Error of it.
	Offset Seconds `json:"offset"`
	Error  Seconds `json:"error"`
	// From is where it was read: probe, timesync or Date.
	From string `json:"from"`
}

// Observations are all that was seen.
type Observations struct {
	Mode Mode `json:"mode"`
	// Proto is the version of HTTP of the answers, ServerProto that in which requests arrived at the server.
	Proto       string `json:"proto"`
	ServerProto string `json:"serverProto,omitempty"`
	// Server and Via are fields of the answers.
	Server string   `json:"server,omitempty"`
	Via    []string `json:"via,omitempty"`
	// Echo is how a request looked when it arrived.
	Echo *probe.Echo `json:"echo,omitempty"`
	// RoundTrip is the fastest of several requests, KeptAlive whether they shared a connection.
	RoundTrip Seconds `json:"roundTrip"`
	KeptAlive bool    `json:"keptAlive"`
	Cookies   Cookies `json:"cookies"`
	Clock     *Clock  `json:"clock,omitempty"`
	// Encoding is the Content-Encoding of an answer that the server had not compressed.
	Encoding string `json:"encoding,omitempty"`
	// Advised is the hold that the server's advice promises, in plain Bayeux.
	Advised Seconds `json:"advised,omitempty"`
	Holds   []Try   `json:"holds"`
	Flow    *Drip   `json:"flow,omitempty"`
	Drips   []Drip  `json:"drips,omitempty"`
	Bodies  []Body  `json:"bodies"`
	Socket  *Socket `json:"socket,omitempty"`
	// Untested are what could not be seen, and why.
	Untested []string `json:"untested"`
}

// skipped counts what was not made, and gives the first reason.
func (o *Observations) skipped() (n int, why string) {
	look := func(outcome Outcome, err string) {
		if outcome == Skipped {
			if n++; why == "" {
				why = err
			}
		}
	}
	for _, t := range o.Holds {
		look(t.Outcome, t.Error)
	}
	for _, d := range o.Drips {
		look(d.Outcome, d.Error)
	}
	for _, b := range o.Bodies {
		look(b.Outcome, b.Error)
	}
	if o.Flow != nil {
		look(o.Flow.Outcome, o.Flow.Error)
	}
	if o.Socket != nil {
		look(o.Socket.Opened.Outcome, o.Socket.Opened.Error)
		for _, t := range o.Socket.Silences {
			look(t.Outcome, t.Error)
		}
	}
	return n, why
}

func (o *Observations) untested(format string, args ...any) {
	o.Untested = append(o.Untested, fmt.Sprintf(format, args...))
}
