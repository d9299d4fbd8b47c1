//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	halley "github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/extensions/ack"
	"github.com/halleypush/halley/extensions/activity"
	"github.com/halleypush/halley/extensions/binary"
	"github.com/halleypush/halley/extensions/timestamp"
	"github.com/halleypush/halley/extensions/timesync"
)

const (
	// skew is how far the servers' clock is ahead: what clients have to find out.
	skew = 90 * time.Minute
	// hold is how long the servers hold a connect.
	hold = 400 * time.Millisecond
	// sane is the most that a client may be wrong in a short run: less than a connect that is taken for network lag would
	// make it in the long run, more than a busy machine does.
	sane = 2 * time.Second
	// precise is the same for a full run.
	precise = 5 * time.Millisecond
	// enough is what a program may take; a wait of its own is shorter.
	enough = 5 * time.Minute
)

// startExtensions serves the published clients in this process, and returns the address: with ack and timesync, and a
// service that answers bytes from back to front and publishes them to /binary/server. It is wrong about the time, so
// that it matters what clients learn of it, and tells it each time.
func startExtensions(t *testing.T, more ...bayeux.Extension) string {
	t.Helper()
	ahead := func() time.Time { return time.Now().Add(skew) }
	srv, err := halley.New(halley.Config{
		Extensions: append([]bayeux.Extension{ack.New(), timesync.New(timesync.Config{Accuracy: -1, Now: ahead})}, more...),
		Options: halley.Options{
			"timeout": strconv.FormatInt(hold.Milliseconds(), 10), "maxInterval": "300000",
			"maxSessionsPerBrowser": "-1", // one program has several clients
		},
	})
	require.NoError(t, err)
	_, err = srv.Listen("/service/reverse", func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		d, err := binary.From(m)
		if err != nil {
			return &bayeux.Error{Code: 400, Text: "binary"}
		}
		if err := srv.Publish(ctx, "/binary/server", d); err != nil {
			return err
		}
		slices.Reverse(d.Bytes)
		return from.Deliver(ctx, m.Channel, d)
	})
	require.NoError(t, err)
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Shutdown(ctx))
		web.Close()
	})
	return web.URL + "/cometd"
}

// startStamped serves them with timestamps, too, and ends sessions that are inactive and say in their handshake that they
// are going to be.
func startStamped(t *testing.T) string {
	t.Helper()
	lazy := bayeux.Funcs{In: func(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
		if _, ok := m.ExtMember("inactive"); ok {
			activity.Set(from, activity.Rule{Mode: activity.ClientServer, Period: 2 * hold})
		}
		return nil
	}}
	return startExtensions(t,
		timestamp.New(timestamp.Config{Format: timestamp.ISO8601, Location: time.UTC}), activity.New(activity.Config{}), lazy)
}

// paces are the options of the programs that take the extensions of a client through their paces.
type paces struct {
	Major     int    `json:"major,omitempty"` // of the CometD client for JavaScript.
	Transport string `json:"transport"`
	Plain     string `json:"plain"`
	Stamped   string `json:"stamped"`
	// Rounds is how often to measure the clock, until the measurement is within Within of Skew; all are milliseconds.
	Rounds int   `json:"rounds"`
	Skew   int64 `json:"skew"`
	Within int64 `json:"within"`
}

func newPaces(t *testing.T, transport string) paces {
	t.Helper()
	p := paces{Transport: transport, Plain: startExtensions(t), Stamped: startStamped(t), Rounds: 5, Skew: skew.Milliseconds(), Within: sane.Milliseconds()}
	if os.Getenv(depthVariable) == "full" {
		p.Rounds, p.Within = 100, precise.Milliseconds() // as many as a busy machine needs
	}
	return p
}

// seen is what such a program tells. A program leaves out what its client does not have.
type seen struct {
	Version  string        `json:"version"`
	Timesync []measurement `json:"timesync"`
	Plain    stamps        `json:"plain"`
	Stamped  stamps        `json:"stamped"`
	Binary   *byteSets     `json:"binary"`
	Reload   *reloaded     `json:"reload"`
	Activity *farewell     `json:"activity"`
	Acks     []int         `json:"acks"`
}

// measurement is what a client takes for the difference of the clocks and the lag of the network, and for how long it
// was told that a connect was held; all are milliseconds.
type measurement struct {
	Offset int64 `json:"offset"`
	Lag    int64 `json:"lag"`
	Held   int64 `json:"held"`
}

// stamps are timestamps of a handshake reply, a message and a publish reply.
type stamps struct {
	Handshake string `json:"handshake"`
	Message   string `json:"message"`
	Reply     string `json:"reply"`
}

// byteSets are binary messages by the way they came: through the server, in parts, reversed by a service, and
// published by the server.
type byteSets struct {
	Relayed   []byteSet `json:"relayed"`
	Parts     []byteSet `json:"parts"`
	Reversed  []byteSet `json:"reversed"`
	Published []byteSet `json:"published"`
}

// byteSet is the content of a binary message.
type byteSet struct {
	Length int             `json:"length"`
	Hash   string          `json:"hash"` // SHA-256.
	Last   bool            `json:"last"`
	Meta   json.RawMessage `json:"meta"`
}

// reloaded is a session over the reload of its page: the clientId and the numbers received before and after.
type reloaded struct {
	Before   string `json:"before"`
	After    string `json:"after"`
	Replayed bool   `json:"replayed"`
	First    []int  `json:"first"`
	Second   []int  `json:"second"`
	Said     int    `json:"said"`
	Acks     []int  `json:"acks"`
}

// farewell is how an inactive client ends.
type farewell struct {
	Status     string `json:"status"`
	Handshakes int    `json:"handshakes"`
	Pushed     int    `json:"pushed"`
}

// see runs such a program.
func see(t *testing.T, dir string, p paces, command ...string) seen {
	t.Helper()
	arg, err := json.Marshal(p)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	proc := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], string(arg))...)
	var said bytes.Buffer
	proc.Dir, proc.Stderr = dir, &said
	endWithParent(proc)
	out, err := proc.Output()
	require.NoError(t, err, "%s", &said)
	var s seen
	require.NoError(t, json.Unmarshal(out, &s), "%s", out)
	t.Logf("%s %s: clock %+v", s.Version, p.Transport, s.Timesync)
	return s
}

// TestExtensionsJavaScript takes the extensions of the JavaScript client of all majors through their paces; in a short run
// only the oldest and the newest on both transports.
func TestExtensionsJavaScript(t *testing.T) {
	touchSources(t)
	everything := os.Getenv(depthVariable) == "full"
	both := []string{"long-polling", "websocket"}
	for i, major := range []int{3, 4, 5, 7, 8, 9} {
		transports := both
		if !everything && major != 3 && major != 9 {
			transports = both[i%2 : i%2+1]
		}
		for _, transport := range transports {
			t.Run(fmt.Sprintf("cometd %d %s", major, transport), func(t *testing.T) {
				t.Parallel()
				p := newPaces(t, transport)
				p.Major = major
				s := see(t, "js", p, "node", "extensions.mjs")
				s.knowsTheTime(t, p)
				s.isStamped(t)
				s.hasBytes(t)
				s.survivesReload(t)
				require.Equal(t, &farewell{Status: "disconnected", Handshakes: 1, Pushed: 1}, s.Activity)
			})
		}
	}
}

// knowsTheTime checks that the client has found the server's clock, and was told how long its connects were held.
func (s seen) knowsTheTime(t *testing.T, p paces) {
	t.Helper()
	require.NotEmpty(t, s.Timesync)
	best := int64(1 << 62)
	for _, m := range s.Timesync {
		best = min(best, max(m.Offset-p.Skew, p.Skew-m.Offset))
		require.GreaterOrEqual(t, m.Held, hold.Milliseconds())
		require.GreaterOrEqual(t, m.Lag, int64(-1), "half a millisecond, rounded")
	}
	require.LessOrEqual(t, best, p.Within, "milliseconds; measured: %+v", s.Timesync)
}

// isStamped checks that the client's own timestamp passes through a server without the extension, and that one with it
// stamps everything.
func (s seen) isStamped(t *testing.T) {
	t.Helper()
	require.Empty(t, s.Plain.Handshake)
	require.Empty(t, s.Plain.Reply)
	at, err := time.Parse(timestamp.HTTP, s.Plain.Message)
	require.NoError(t, err, "the client's format")
	require.WithinDuration(t, time.Now(), at, 10*time.Minute)
	for _, text := range []string{s.Stamped.Handshake, s.Stamped.Message, s.Stamped.Reply} {
		at, err := time.Parse(timestamp.ISO8601, text)
		require.NoError(t, err, "the server's format")
		require.WithinDuration(t, time.Now(), at, 10*time.Minute)
	}
}

// made are the bytes that programs send with a number.
func made(number, length int) []byte {
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(number*31 + i*7 + i>>8)
	}
	return b
}

func set(b []byte, last bool, meta string) byteSet {
	hash := sha256.Sum256(b)
	s := byteSet{Length: len(b), Hash: hex.EncodeToString(hash[:]), Last: last}
	if meta != "" {
		s.Meta = json.RawMessage(meta)
	}
	return s
}

// hasBytes checks all lengths from 0 to 64, on each way, and 1 MiB in parts of 32 KiB.
func (s seen) hasBytes(t *testing.T) {
	t.Helper()
	var small, reversed, parts []byteSet
	for n := range 65 {
		b, meta := made(n, n), fmt.Sprintf(`{"n":%d}`, n)
		small = append(small, set(b, n%2 == 0, meta))
		slices.Reverse(b)
		reversed = append(reversed, set(b, n%2 == 0, meta))
	}
	for n := range 32 {
		parts = append(parts, set(made(n, 32<<10), n == 31, ""))
	}
	require.NotNil(t, s.Binary)
	require.Equal(t, &byteSets{Relayed: small, Parts: parts, Reversed: reversed, Published: small}, s.Binary)
}

// survivesReload checks that the session is the same after the reload of its page, that its subscription was kept, that
// nothing is lost, and that only what the old page may not have acknowledged comes again.
func (s seen) survivesReload(t *testing.T) {
	t.Helper()
	r := s.Reload
	require.NotNil(t, r)
	require.True(t, r.Replayed, "the handshake was the client's own")
	require.NotEmpty(t, r.Before)
	require.Equal(t, r.Before, r.After)
	require.NoError(t, inOrder(r.First, r.Second, r.Said))
	require.NotEmpty(t, r.Acks)
	for i := 1; i < len(r.Acks); i++ { // one on its way to the old page may be lost
		require.Greater(t, r.Acks[i], r.Acks[i-1], "numbers go on: %v", r.Acks)
	}
}

// inOrder checks that the numbers from 1 came to two pages without a gap, and that the second page has none twice.
func inOrder(first, second []int, last int) error {
	if len(first) == 0 || len(second) == 0 {
		return fmt.Errorf("a page got nothing: %v and %v", first, second)
	}
	for i, n := range first {
		if n != i+1 {
			return fmt.Errorf("the first page got %v", first)
		}
	}
	for i, n := range second {
		if n != second[0]+i {
			return fmt.Errorf("the second page got %v", second)
		}
	}
	if second[0] > len(first)+1 || second[len(second)-1] != last {
		return fmt.Errorf("of %d: %v and %v", last, first, second)
	}
	return nil
}

func TestInOrder(t *testing.T) {
	for _, c := range []struct {
		first, second []int
		fine          bool
	}{
		{[]int{1, 2, 3}, []int{4, 5}, true},
		{[]int{1, 2, 3}, []int{3, 4, 5}, true},
		{[]int{1, 2, 3}, []int{1, 2, 3, 4, 5}, true},
		{[]int{1, 2, 3}, []int{5}, false},
		{[]int{1, 3}, []int{4, 5}, false},
		{[]int{1, 2, 3}, []int{4, 4, 5}, false},
		{[]int{1, 2, 3}, []int{4}, false},
		{[]int{1, 2, 3}, nil, false},
	} {
		if err := inOrder(c.first, c.second, 5); c.fine {
			require.NoError(t, err)
		} else {
			require.Error(t, err, "%v %v", c.first, c.second)
		}
	}
}

// TestExtensionsJava does the same with the Java client, as far as it has them: version 2 knows no binary data.
func TestExtensionsJava(t *testing.T) {
	touchSources(t)
	for _, c := range []struct {
		module, class, transport string
		binary                   bool
	}{
		{"cometd8", "interop.Extensions8", "long-polling", true},
		{"cometd8", "interop.Extensions8", "websocket", true},
		{"cometd2", "interop.Extensions2", "long-polling", false},
	} {
		t.Run(c.module+" "+c.transport, func(t *testing.T) {
			t.Parallel()
			d := javaDriver(c.module, c.class)
			_, err := os.Stat(filepath.Join(d.dir, d.needs))
			require.NoError(t, err, "run `make deps`")
			p := newPaces(t, c.transport)
			s := see(t, d.dir, p, d.args...)
			s.knowsTheTime(t, p)
			s.isStamped(t)
			if c.binary {
				s.hasBytes(t)
			}
			require.Greater(t, len(s.Acks), 2)
			for i, n := range s.Acks {
				require.Equal(t, i+1, n, "%v", s.Acks)
			}
		})
	}
}
