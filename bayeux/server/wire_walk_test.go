package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
	"github.com/halleypush/halley/internal/testkit"
)

// The walk sets every option by every one of its names and looks at what that
// does on the wire, for each transport ([R-JP-7], WIRE 11). Rows are in
// wire_walk_rows_test.go.

const (
	viaSocket   = "websocket"
	viaPoll     = "long-polling"
	viaCallback = "callback-polling"
)

// walkPrefixes are the prefixes of each transport, the nearest first.
func walkPrefixes(via string) []string {
	return map[string][]string{
		viaSocket:   {"ws."},
		viaPoll:     {"long-polling.json.", "long-polling."},
		viaCallback: {"callback-polling.jsonp.", "callback-polling.", "long-polling.jsonp.", "long-polling."},
	}[via]
}

// walkRow is what is known of an option.
type walkRow struct {
	values [2]string // two values of it
	want   [2]string // what each looks like from outside
	probe  func(w *walker) string
	with   []string // other options that are needed, name and value in turn
	change func(*server.Config)
}

// walkScope returns the transports of a scope, and whether the bare name is an
// option too.
func walkScope(scope string) (vias []string, bare bool) {
	switch scope {
	case "all":
		return []string{viaSocket, viaPoll, viaCallback}, true
	case "http":
		return []string{viaPoll, viaCallback}, true
	case "jsonp":
		return []string{viaCallback}, true
	case "ws":
		return []string{viaSocket}, false
	default: // the server's own
		return []string{viaPoll}, true
	}
}

// walkExceptions are the options that do nothing, with the reason.
// docs/OPERATIONS.md has them too.
func walkExceptions() map[string]string {
	return map[string]string{
		"validateMessageFields": "false is refused",
		"cometdURLMapping":      "the path decides",
		"bufferSize":            "buffers are pooled",
	}
}

// walkFixed tells of what a transport always does, whatever the option says.
func walkFixed(option, via string) (always int, fixed bool) {
	if option == "metaConnectDeliverOnly" && via == viaCallback {
		return 1, true // [R-JP-5]
	}
	return 0, false
}

// TestOptionsHaveEffects walks all options. Each must have a row, or a reason in
// the documentation.
func TestOptionsHaveEffects(t *testing.T) {
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "### Options without an effect\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n#")
	rows, exceptions := walkRows(), walkExceptions()
	for _, o := range server.OptionTable() {
		require.NotEmpty(t, o.Help, o.Name)
		row, known := rows[o.Name]
		if reason, excused := exceptions[o.Name]; excused {
			require.False(t, known, o.Name)
			require.Contains(t, section, o.Name)
			require.Contains(t, section, reason)
			continue
		}
		require.True(t, known, "option %q: nothing shows its effect", o.Name)
		t.Run(o.Name, func(t *testing.T) { walkOption(t, o, row) })
	}
	require.Len(t, rows, len(server.OptionTable())-len(exceptions))
}

func walkOption(t *testing.T, o server.OptionInfo, row walkRow) {
	vias, bare := walkScope(o.Scope)
	for _, via := range vias {
		names := walkPrefixes(via)
		if o.Scope == "server" {
			names = nil
		}
		if bare {
			names = append(slices.Clip(names), "")
		}
		for i, prefix := range names {
			t.Run(via+" by "+prefix, func(t *testing.T) {
				options := map[string]string{prefix + o.Name: row.values[1]}
				for _, farther := range names[i+1:] { // the nearest wins
					options[farther+o.Name] = row.values[0]
				}
				want := row.want[1]
				require.Equal(t, want, walkProbe(t, via, row, options))
				if i == len(names)-1 { // and the other value does something else
					want = row.want[0]
					if always, fixed := walkFixed(o.Name, via); fixed {
						want = row.want[always]
					}
					require.Equal(t, want, walkProbe(t, via, row, map[string]string{prefix + o.Name: row.values[0]}))
				}
				walkOthers(t, o, row, options, prefix)
			})
		}
	}
}

// walkOthers checks that a prefix of one transport does nothing to the others.
func walkOthers(t *testing.T, o server.OptionInfo, row walkRow, options map[string]string, prefix string) {
	vias, bare := walkScope(o.Scope)
	if prefix == "" || !bare {
		return
	}
	for _, other := range vias {
		if slices.Contains(walkPrefixes(other), prefix) {
			continue
		}
		want := row.want[0]
		if always, fixed := walkFixed(o.Name, other); fixed {
			want = row.want[always]
		}
		require.Equal(t, want, walkProbe(t, other, row, options), "%s must not change", other)
	}
}

// walkProbe starts a server with the options and returns what a client of that
// transport sees.
func walkProbe(t *testing.T, via string, row walkRow, options map[string]string) (seen string) {
	change := func(c *server.Config) {
		option(row.with...)(c)
		maps.Copy(c.Options, options)
		if row.change != nil {
			row.change(c)
		}
	}
	bubble(t, change, func(t *testing.T, r *rig) {
		seen = row.probe(&walker{r: r, via: via})
	})
	return seen
}

// walker is a client of any transport.
type walker struct {
	r      *rig
	via    string
	client *http.Client // nil: the rig's
	id     string
	cookie string
	header http.Header // of answers
	status int
	sock   *testkit.Socket
	close  int // the socket's close code
	frames int // that the last answer took
}

// like returns another client of the same transport and browser.
func (w *walker) like() *walker {
	return &walker{r: w.r, via: w.via, client: w.client, cookie: w.cookie}
}

func (w *walker) fill(body string) string { return strings.ReplaceAll(body, "$", w.id) }

// ask sends a batch and returns all that came up to the replies.
func (w *walker) ask(body string) []testkit.Msg {
	w.r.t.Helper()
	if w.via == viaSocket {
		if w.sock == nil {
			w.sock = w.r.Dial(nil)
		}
		w.sock.Send(w.fill(body))
		return w.answer(func(m testkit.Msg) bool { return m["successful"] != nil })
	}
	return w.post(body)
}

// answer reads frames until one has such a message.
func (w *walker) answer(last func(testkit.Msg) bool) (all []testkit.Msg) {
	for w.frames = 1; ; w.frames++ {
		f := w.sock.Next(time.Minute)
		if w.close = int(f.Close); w.close != 0 {
			return all
		}
		all = append(all, f.Messages...)
		if slices.ContainsFunc(f.Messages, last) {
			return all
		}
	}
}

func (w *walker) post(body string) (all []testkit.Msg) {
	req := testkit.Request{Body: w.fill(body), Cookie: w.cookie, Header: http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-For": {"192.0.2.1"}}}
	if w.via == viaCallback {
		req.Method, req.Query, req.Body = http.MethodGet, "jsonp=cb&message="+escape(w.fill(body)), ""
	}
	var text string
	if w.client == nil {
		reply, err := w.r.Do(req)
		require.NoError(w.r.t, err)
		w.status, w.header, text = reply.Status, reply.Header, reply.Body
	} else {
		text = w.fetch(req)
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "cb("), ")")
	_ = json.Unmarshal([]byte(text), &all)
	return all
}

// fetch sends a request by a client of its own.
func (w *walker) fetch(r testkit.Request) string {
	if r.Method == "" {
		r.Method = http.MethodPost
	}
	req, err := http.NewRequest(r.Method, "http://memory/cometd?"+r.Query, strings.NewReader(r.Body))
	require.NoError(w.r.t, err)
	req.Header = r.Header
	req.Header.Set("Cookie", r.Cookie)
	resp, err := w.client.Do(req)
	require.NoError(w.r.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(w.r.t, err)
	w.status, w.header = resp.StatusCode, resp.Header
	return string(body)
}

// hello makes a session and returns the handshake reply and what came with it.
func (w *walker) hello(more string) []testkit.Msg {
	w.r.t.Helper()
	batch := w.ask(`[{"channel":"/meta/handshake"` + join(more) + `}]`)
	require.NotEmpty(w.r.t, batch, "status %d", w.status)
	w.id = text(batch[0]["clientId"])
	if set := w.header.Get("Set-Cookie"); set != "" {
		w.cookie, _, _ = strings.Cut(set, ";")
	}
	return batch
}

// connected makes a session that has connected once.
func (w *walker) connected() *walker {
	w.r.t.Helper()
	w.hello("")
	w.ask(connectNow)
	return w
}

func (w *walker) subscribed(ch string) *walker {
	w.r.t.Helper()
	w.ask(fmt.Sprintf(`[{"channel":"/meta/subscribe","clientId":"$","subscription":%q}]`, ch))
	return w
}

// backlog publishes five messages and returns the data that one connect brings.
func (w *walker) backlog() string {
	w.r.t.Helper()
	w.connected().subscribed("/a")
	for i := range 5 {
		require.NoError(w.r.t, w.r.srv.Publish(w.r.t.Context(), "/a", i))
	}
	return walkData(w.ask(connectNow))
}

// walkData joins the data of a batch.
func walkData(batch []testkit.Msg) string {
	var all []string
	for _, m := range batch {
		if m["data"] != nil {
			all = append(all, fmt.Sprint(m["data"]))
		}
	}
	return strings.Join(all, " ")
}

// walkAdvice returns a field of the advice of the last message.
func walkAdvice(batch []testkit.Msg, field string) string {
	if len(batch) == 0 {
		return "nothing"
	}
	advice, _ := batch[len(batch)-1]["advice"].(map[string]any)
	return fmt.Sprint(advice[field])
}

// walkTook is how long something took, to a tenth of a second.
func walkTook(f func()) string {
	start := time.Now()
	f()
	return time.Since(start).Round(100 * time.Millisecond).String()
}
