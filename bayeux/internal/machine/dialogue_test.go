package machine

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/internal/instant"
	"github.com/halleypush/halley/channels"
)

// The files in testdata are dialogues with one session. A line starts with
//
//	#         a comment
//	session   a new session at time 0
//	via       how messages come from now on: a transport and name=value pairs
//	>         an input: see actor.act
//	<         what came of it: the effects in their order, then the state
//
// Times are relative to the start of the session. With -rewrite the lines that
// start with < are written anew; look at the difference.
var rewrite = flag.Bool("rewrite", false, "write the results into the dialogue files")

const epoch = instant.Time(time.Hour)

func TestDialogues(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			got := play(t, string(want))
			if *rewrite {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
				return
			}
			require.Equal(t, string(want), got)
		})
	}
}

// play runs a dialogue and returns it with its results.
func play(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	a := &actor{t: t, s: New("abc"), via: &Via{}}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "<") {
			continue
		}
		out.WriteString(line)
		line = strings.TrimSuffix(line, "\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "", "#":
		case "session":
			a = &actor{t: t, s: New("abc"), via: &Via{}}
		case "via":
			a.via = a.readVia(rest)
		case ">":
			for _, r := range a.act(rest) {
				out.WriteString("<   " + r + "\n")
			}
		default:
			require.Failf(t, "line not understood", "%q", line)
		}
	}
	return out.String()
}

// actor is the other side of the dialogue.
type actor struct {
	t   *testing.T
	s   *Session
	via *Via
	now time.Duration
}

func (a *actor) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	require.NoError(a.t, err)
	return d
}

func (a *actor) readVia(text string) *Via {
	words := strings.Fields(text)
	v := &Via{Transport: words[0], Push: words[0] == "websocket", Supported: bayeux.Raw(`["websocket","long-polling"]`)}
	v.Times.MaxProcessing = -1
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "timeout":
			v.Times.Timeout = a.duration(value)
		case "interval":
			v.Times.Interval = a.duration(value)
		case "maxInterval":
			v.Times.MaxInterval = a.duration(value)
		case "maxProcessing":
			v.Times.MaxProcessing = a.duration(value)
		case "handshakeReconnect":
			v.HandshakeReconnect = true
		case "capTimeout":
			v.MaxTimeout = a.duration(value)
		case "capInterval":
			v.MaxInterval = a.duration(value)
		default:
			require.Failf(a.t, "no such property", "%q", w)
		}
	}
	return v
}

// act carries out an input line: "+5s" lets time pass and may stand before
// another input; a message is JSON, with what the caller knows of it in front;
// everything else is the name of a method.
func (a *actor) act(line string) []string {
	if strings.HasPrefix(line, "+") {
		step, rest, _ := strings.Cut(line, " ")
		a.now += a.duration(step[1:])
		if line = rest; line == "" {
			return nil
		}
	}
	now := epoch.Add(a.now)
	if at := strings.Index(line, "{"); at >= 0 && !strings.HasPrefix(line, "release") {
		return a.results(a.s.Step(now, a.input(line[:at], line[at:])))
	}
	name, arg, _ := strings.Cut(line, " ")
	switch name {
	case "expire":
		return a.results(a.s.Expire(now))
	case "wake":
		return a.results(a.s.Wake(now))
	case "lost":
		id, err := strconv.ParseUint(arg, 10, 64)
		require.NoError(a.t, err)
		return a.results(a.s.Lost(now, id))
	case "detached":
		return a.results(a.s.Detached(now))
	case "takeover":
		return a.results(a.s.Takeover(now))
	case "written":
		return a.results(a.s.Written(now))
	case "disconnect":
		return a.results(a.s.Disconnect(now, Reason(arg)))
	case "remove":
		return a.results(a.s.Remove(now, Reason(arg)))
	case "release":
		return a.results(a.s.Release(now, a.drain(arg)))
	}
	switch name {
	case "received":
		a.s.Received(now)
	case "setTimeout":
		a.s.SetTimeout(a.duration(arg))
	case "setInterval":
		a.s.SetInterval(a.duration(arg))
	case "setMaxInterval":
		a.s.SetMaxInterval(a.duration(arg))
	case "move":
		a.move(now)
	default:
		require.Failf(a.t, "input not understood", "%q", line)
	}
	return []string{a.standing()}
}

// move goes on with the session as restored from its snapshot.
func (a *actor) move(now instant.Time) {
	raw, err := json.Marshal(a.s.Snapshot(now))
	require.NoError(a.t, err)
	var snap Snapshot
	require.NoError(a.t, json.Unmarshal(raw, &snap))
	a.s, err = Restore(now, snap)
	require.NoError(a.t, err)
}

func (a *actor) drain(arg string) *bayeux.Advice {
	if arg == "" {
		return nil
	}
	interval := a.duration(strings.Trim(arg, "{}"))
	return &bayeux.Advice{Reconnect: bayeux.ReconnectRetry, Interval: &interval}
}

func (a *actor) input(flags, message string) Input {
	batch, err := bayeux.Decode([]byte(message), bayeux.Limits{}.WithDefaults())
	require.NoError(a.t, err)
	require.Len(a.t, batch, 1)
	in := Input{Message: batch[0], Via: a.via, Alone: true}
	for w := range strings.FieldsSeq(flags) {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "among":
			in.Alone = false
		case "pending":
			in.Pending = true
		case "refused":
			in.Refused = a.refusal(value)
		case "refused+none":
			in.Refused = a.refusal(value)
			in.Refused.Advice = &bayeux.Advice{Reconnect: bayeux.ReconnectHandshake}
			in.Refused.Ext = bayeux.Raw(`{"why":1}`)
		case "poll":
			in.Browser, in.MultiInterval = BrowserPoll, a.duration(value)
		case "refuse":
			in.Browser = BrowserRefuse
		case "names":
			for name := range strings.SplitSeq(value, ",") {
				in.Names = append(in.Names, channels.Name(name))
			}
		case "refusals":
			for text := range strings.SplitSeq(value, ",") {
				in.Refusals = append(in.Refusals, a.refusal(text))
			}
		case "most":
			in.MaxSubscriptions, err = strconv.Atoi(value)
			require.NoError(a.t, err)
		default:
			require.Failf(a.t, "no such property", "%q", w)
		}
	}
	return in
}

// refusal reads code:args:text; "ok" allows.
func (a *actor) refusal(text string) *bayeux.Error {
	if text == "ok" {
		return nil
	}
	parts := strings.SplitN(text, ":", 3)
	code, err := strconv.Atoi(parts[0])
	require.NoError(a.t, errors.Join(err))
	return &bayeux.Error{Code: code, Args: parts[1], Text: parts[2]}
}

func (a *actor) at(t instant.Time) string { return t.Sub(epoch).String() }

func (a *actor) results(e Effects) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if e.Reply != nil {
		add("reply %s", bayeux.AppendMessage(nil, e.Reply))
	}
	for _, n := range e.Subscribe {
		add("subscribe %s", n)
	}
	for _, n := range e.Unsubscribe {
		add("unsubscribe %s", n)
	}
	switch h := e.Ended; {
	case h == (Ended{}):
	case h.Reply == nil:
		add("hold %d %s", h.ID, h.Cause)
	default:
		add("hold %d %s %s", h.ID, h.Cause, bayeux.AppendMessage(nil, h.Reply))
	}
	if e.Hold.ID != 0 {
		add("hold %d until %s", e.Hold.ID, a.at(e.Hold.Until))
	}
	if e.Removed != "" {
		add("removed %s", e.Removed)
	}
	require.Equal(a.t, a.s.Deadline(), e.Wake)
	return append(out, a.standing())
}

// standing is the state with what will happen by itself.
func (a *actor) standing() string {
	text := "= " + a.s.State().String()
	if id, until, _, ok := a.s.Held(); ok {
		require.True(a.t, a.s.ExpiresAt().IsZero())
		return text + fmt.Sprintf(", holds %d until %s", id, a.at(until))
	}
	if at := a.s.ExpiresAt(); !at.IsZero() {
		text += ", lives until " + a.at(at)
	}
	return text
}
