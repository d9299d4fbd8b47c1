package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSession is a session that keeps what is delivered to it.
type fakeSession struct {
	bayeux.Session

	id   string
	got  map[string][]any
	fail error
}

func (s *fakeSession) ID() string { return s.id }

func (s *fakeSession) Deliver(_ context.Context, channel string, data any) error {
	s.got[channel] = append(s.got[channel], data)
	return s.fail
}

// fakeServer keeps what is published, and calls the listeners by hand.
type fakeServer struct {
	mu        sync.Mutex
	refuse    string
	listeners map[string]bayeux.Listener
	end       func(bayeux.Session, string)
	sessions  map[string]*fakeSession
	published []publication
}

type publication struct {
	channel string
	data    any
	at      time.Time
}

func newFakeServer() *fakeServer {
	return &fakeServer{listeners: map[string]bayeux.Listener{}, sessions: map[string]*fakeSession{}}
}

func (f *fakeServer) Listen(channel string, l bayeux.Listener) (func(), error) {
	if channel == f.refuse {
		return nil, errors.New("no")
	}
	f.listeners[channel] = l
	return func() { delete(f.listeners, channel) }, nil
}

func (f *fakeServer) OnSession(_ func(bayeux.Session), end func(bayeux.Session, string)) func() {
	f.end = end
	return func() { f.end = nil }
}

func (f *fakeServer) Session(id string) (bayeux.Session, bool) {
	s, ok := f.sessions[id]
	return s, ok
}

func (f *fakeServer) Publish(_ context.Context, channel string, data any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published = append(f.published, publication{channel, data, time.Now()})
	return nil
}

// on returns what was published to channels with that prefix.
func (f *fakeServer) on(prefix string) []publication {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []publication
	for _, p := range f.published {
		if strings.HasPrefix(p.channel, prefix) {
			all = append(all, p)
		}
	}
	return all
}

func (f *fakeServer) add(id string) *fakeSession {
	s := &fakeSession{id: id, got: map[string][]any{}}
	f.sessions[id] = s
	return s
}

// send is a client's message; it returns the data that the others get.
func (f *fakeServer) send(t *testing.T, from *fakeSession, channel, data string) (string, error) {
	t.Helper()
	m := &bayeux.Message{Channel: channel, Data: bayeux.Raw(data)}
	var s bayeux.Session
	if from != nil {
		s = from
	}
	err := f.listeners[channel](t.Context(), s, m)
	return string(m.Data), err
}

func (f *fakeServer) join(t *testing.T, s *fakeSession, name string) welcome {
	t.Helper()
	_, err := f.send(t, s, "/service/demo/join", fmt.Sprintf(`{"name":%q}`, name))
	require.NoError(t, err)
	all := s.got["/service/demo/join"]
	return all[len(all)-1].(welcome)
}

// inBubble runs a test with a started demo under synthetic time.
func inBubble(t *testing.T, test func(t *testing.T, f *fakeServer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer()
		stop, err := Start(t.Context(), f)
		require.NoError(t, err)
		test(t, f)
		stop()
		stop()
		require.Empty(t, f.listeners)
		require.Nil(t, f.end)
	})
}

func TestPolicy(t *testing.T) {
	tests := []struct {
		channel            string
		subscribe, publish bool
	}{
		{"/demo/chat", true, true},
		{"/demo/sketch", true, true},
		{"/demo/own/thing", true, true},
		{"/service/demo/join", true, true},
		{"/demo/**", true, true},
		{"/demo/*", true, true},
		{"/demo/feed/*", true, false},
		{"/demo/feed/aurora", true, false},
		{"/demo/members", true, false},
		{"/demo", false, false},
		{"/demonstration", false, false},
		{"/**", false, false},
		{"/*", false, false},
		{"/chat/demo", false, false},
		{"/service/**", false, false},
		{"/service/echo", false, false},
		{"/meta/connect", false, false},
		{"/meta/demo/x", false, false},
	}
	for _, tt := range tests {
		name, err := channels.Parse(tt.channel)
		require.NoError(t, err)
		for what, got := range map[string]struct {
			err  error
			want bool
		}{
			"subscribe": {Policy{}.CanSubscribe(t.Context(), nil, channels.Compile(name), nil), tt.subscribe},
			"create":    {Policy{}.CanCreate(t.Context(), nil, name, nil), tt.subscribe},
			"publish":   {Policy{}.CanPublish(t.Context(), nil, name, nil), tt.publish},
		} {
			if got.want {
				require.NoError(t, got.err, "%s %s", what, tt.channel)
			} else {
				require.EqualError(t, got.err, "403:denied_by_security_policy:", "%s %s", what, tt.channel)
			}
		}
	}
	require.NoError(t, Policy{}.CanHandshake(t.Context(), nil, nil))
}

func TestPresence(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeServer) {
		ann, bob := f.add("s1"), f.add("s2")
		you := f.join(t, ann, "  Ann\t \u202eLee ").You
		require.Equal(t, "Ann Lee", you.Name)
		require.NotContains(t, you.ID, "s1", "the session's id is a secret")
		require.Equal(t, "ann lee 2", f.join(t, bob, "ann lee").You.Name, "names are told apart")
		renamed := f.join(t, ann, "Anna").You
		require.Equal(t, you.ID, renamed.ID)
		require.Equal(t, you.Hue, renamed.Hue)
		f.join(t, ann, "Anna")
		f.end(bob, "timeout")
		f.end(bob, "timeout")
		var told []string
		for i, p := range f.on(membersChannel) {
			c := p.data.(change)
			require.Equal(t, i+1, c.Sequence)
			require.Len(t, c.Members, c.Count)
			told = append(told, fmt.Sprintf("%s %s %d %s", c.Kind, c.Who.Name, c.Count, c.Was))
		}
		require.Equal(t, []string{
			"join Ann Lee 1 ", "join ann lee 2 2 ", "name Anna 2 Ann Lee", "stay Anna 2 ", "leave ann lee 2 1 ",
		}, told)
	})
}

func TestNames(t *testing.T) {
	for text, want := range map[string]string{
		"": "guest", " \n ": "guest", "a\x00b": "ab", "Ann\nLee": "Ann Lee", "\u2066x\u2069": "x",
		strings.Repeat("ü", 40): strings.Repeat("ü", 24), "👩‍🚀": "👩‍🚀",
	} {
		require.Equal(t, want, cleanName(text))
	}
}

func TestChat(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeServer) {
		ann := f.add("s1")
		f.join(t, ann, "Ann")
		got, err := f.send(t, ann, "/demo/chat", `{"text":" hi <b> ","who":{"name":"Bob"},"more":1}`)
		require.NoError(t, err)
		var l line
		require.NoError(t, json.Unmarshal([]byte(got), &l))
		require.Equal(t, line{1, time.Now().UnixMilli(), member{ID: l.Who.ID, Name: "Ann", Hue: l.Who.Hue}, "hi <b>"}, l)
		require.NotContains(t, got, "Bob", "nobody speaks for another")
		require.NotContains(t, got, "more")
		got, err = f.send(t, f.add("s2"), "/demo/chat", `{"text":"hello"}`)
		require.NoError(t, err)
		require.Contains(t, got, `"name":"guest"`, "halley pub speaks without joining")
		got, err = f.send(t, nil, "/demo/chat", `{"text":"`+strings.Repeat("é", 400)+`"}`)
		require.NoError(t, err)
		require.Equal(t, maxText, strings.Count(got, "é"))
		for _, bad := range []string{`{}`, `{"text":" "}`, `"x"`, `{"text":1}`, ``} {
			_, err := f.send(t, ann, "/demo/chat", bad)
			var e *bayeux.Error
			require.ErrorAs(t, err, &e, bad)
			require.Equal(t, 400, e.Code)
		}
		for range maxLines {
			_, err := f.send(t, ann, "/demo/chat", `{"text":"again"}`)
			require.NoError(t, err)
		}
		lines := f.join(t, f.add("s3"), "Cy").Lines
		require.Len(t, lines, maxLines)
		require.Equal(t, maxLines+3, lines[maxLines-1].ID)
	})
}

func TestSketch(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeServer) {
		ann := f.add("s1")
		f.join(t, ann, "Ann")
		draw := func(data string) error {
			got, err := f.send(t, ann, "/demo/sketch", data)
			if err == nil {
				require.Contains(t, got, `"name":"Ann"`)
			}
			return err
		}
		require.NoError(t, draw(`{"stroke":"abcd","at":0,"points":[1,2,3,4],"ink":2,"width":3}`))
		require.NoError(t, draw(`{"stroke":"abcd","at":4,"points":[5,6],"ink":2,"width":3}`))
		require.NoError(t, draw(`{"stroke":"abcd","at":2,"points":[3,4],"ink":2,"width":3}`), "a part may come twice")
		for _, bad := range []string{
			`{"stroke":"abcd","at":8,"points":[1,1],"ink":0,"width":1}`,
			`{"stroke":"new1","at":2,"points":[1,1],"ink":0,"width":1}`,
			`{"stroke":"new1","at":1,"points":[1,1],"ink":0,"width":1}`,
			`{"stroke":"new1","at":-2,"points":[1,1],"ink":0,"width":1}`,
			`{"stroke":"new1","points":[1],"ink":0,"width":1}`,
			`{"stroke":"new1","points":[],"ink":0,"width":1}`,
			`{"stroke":"new1","points":[1,1001],"ink":0,"width":1}`,
			`{"stroke":"new1","points":[1,-1],"ink":0,"width":1}`,
			`{"stroke":"new1","points":[1,1],"ink":8,"width":1}`,
			`{"stroke":"new1","points":[1,1],"ink":0,"width":4}`,
			`{"stroke":"a b c","points":[1,1],"ink":0,"width":1}`,
			`{"stroke":"new1","points":["a","b"],"ink":0,"width":1}`,
			`{"stroke":"new1","points":[` + strings.Repeat("1,", maxPart) + `1,1],"ink":0,"width":1}`,
			`[]`,
		} {
			require.Error(t, draw(bad), bad)
		}
		require.Equal(t, []stroke{{"abcd", 0, []int{1, 2, 3, 4, 5, 6}, 2, 3}}, f.join(t, f.add("s2"), "Bob").Strokes)
		got, err := f.send(t, ann, "/demo/sketch", `{"clear":true,"stroke":"abcd"}`)
		require.NoError(t, err)
		require.JSONEq(t, `{"clear":true,"by":"`+f.join(t, ann, "Ann").You.ID+`","name":"Ann"}`, got)
		require.Empty(t, f.join(t, ann, "Ann").Strokes)
	})
}

// TestSketchFades fills the pad: the oldest strokes go, and the size is right.
func TestSketchFades(t *testing.T) {
	s := newSketch()
	points := make([]int, maxPart)
	strokes := maxSketch/maxPart + 10
	for i := range strokes {
		require.True(t, s.draw(stroke{ID: fmt.Sprintf("s%05d", i), Points: points, Width: 1}))
	}
	all := s.all()
	require.Len(t, all, maxSketch/maxPart)
	require.Equal(t, fmt.Sprintf("s%05d", strokes-1), all[len(all)-1].ID)
	require.Len(t, s.byID, len(all))
	require.Equal(t, len(all)*maxPart, s.size)
	at := 0
	for s.draw(stroke{ID: "long", At: at, Points: points, Width: 1}) {
		at += maxPart
	}
	require.LessOrEqual(t, at, maxStroke)
	require.Greater(t, at, maxStroke-maxPart)
	s.clear()
	require.Zero(t, s.size)
}

func TestCursor(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeServer) {
		ann := f.add("s1")
		_, err := f.send(t, ann, "/demo/cursor", `{"x":1,"y":2}`)
		require.ErrorContains(t, err, "join first")
		you := f.join(t, ann, "Ann").You
		got, err := f.send(t, ann, "/demo/cursor", `{"x":-5,"y":2000,"down":true,"by":"me","z":1}`)
		require.NoError(t, err)
		require.JSONEq(t, `{"x":0,"y":1000,"down":true,"gone":false,"by":"`+you.ID+`"}`, got)
		_, err = f.send(t, ann, "/demo/cursor", `7`)
		require.Error(t, err)
	})
}

func TestEcho(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeServer) {
		ann := f.add("s1")
		_, err := f.send(t, ann, "/service/demo/echo", `{"n":1}`)
		require.NoError(t, err)
		require.Equal(t, []any{bayeux.Raw(`{"n":1}`)}, ann.got["/service/demo/echo"])
		_, err = f.send(t, ann, "/service/demo/echo", `"`+strings.Repeat("x", 300)+`"`)
		require.Error(t, err)
		for _, channel := range []string{"/service/demo/echo", "/service/demo/join"} {
			_, err = f.send(t, nil, channel, `{}`)
			require.Error(t, err)
		}
		_, err = f.send(t, ann, "/service/demo/join", `1`)
		require.Error(t, err)
		ann.fail = errors.New("gone")
		_, err = f.send(t, ann, "/service/demo/join", `{}`)
		require.ErrorIs(t, err, ann.fail)
	})
}

// TestFeed looks at two seconds of the feed.
func TestFeed(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fakeServer) {
		begun := time.Now()
		time.Sleep(2*time.Second + time.Millisecond)
		ticks := f.on(feedPrefix)
		require.Len(t, ticks, 8*4)
		for i, p := range ticks {
			require.Equal(t, begun.Add(time.Duration(1+i/4)*feedPace), p.at)
			text, err := json.Marshal(p.data)
			require.NoError(t, err)
			require.Regexp(t, `^\{"v":[1-9][0-9]+\}$`, string(text))
		}
		w := f.join(t, f.add("s1"), "Ann")
		require.Equal(t, int64(250), w.Every)
		require.Equal(t, []string{"aurora", "borealis", "cassini", "dione"}, slices.Sorted(maps.Keys(w.Feed)))
		for name, values := range w.Feed {
			require.Len(t, values, feedKept)
			last := ticks[slices.IndexFunc(ticks, func(p publication) bool { return p.channel == feedPrefix+name })+28]
			require.Equal(t, last.data.(tick).Value, values[feedKept-1])
			require.NotEqual(t, slices.Min(values), slices.Max(values), "it moves")
		}
	})
}

func TestFeedStaysInBounds(t *testing.T) {
	f := newFeed()
	for range 20_000 {
		for i, tick := range f.step() {
			require.InDelta(t, f.all[i].base*1.25, tick.Value, f.all[i].base*0.76)
		}
	}
}

func TestStartFails(t *testing.T) {
	f := newFakeServer()
	f.refuse = "/demo/sketch"
	_, err := Start(t.Context(), f)
	require.ErrorContains(t, err, "demo: no")
	require.Empty(t, f.listeners, "what was begun is undone")
}

func get(t *testing.T, h http.Handler, method, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	h, err := handler(fstest.MapFS{
		"index.html":              {Data: []byte(`<meta content="{{bayeux}}">`)},
		"missing.html":            {Data: []byte(`missing {{bayeux}}`)},
		"app.js":                  {Data: []byte("x")},
		"vendor/README.md":        {Data: []byte("not served")},
		"vendor/cometd/cometd.js": {Data: []byte("y")},
	}, `/a"b`)
	require.NoError(t, err)
	w := get(t, h, http.MethodGet, "/", nil)
	require.Equal(t, 200, w.Code)
	require.Equal(t, `<meta content="/a&#34;b">`, w.Body.String())
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	csp := w.Header().Get("Content-Security-Policy")
	require.Contains(t, csp, "default-src 'none'; script-src 'self';")
	require.NotContains(t, csp, "unsafe")
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.Equal(t, 304, get(t, h, http.MethodGet, "/", http.Header{"If-None-Match": w.Header()["Etag"]}).Code)
	for path, kind := range map[string]string{"/demo/app.js": "text/javascript", "/demo/vendor/cometd/cometd.js": "text/javascript"} {
		w := get(t, h, http.MethodGet, path, nil)
		require.Equal(t, 200, w.Code, path)
		require.Contains(t, w.Header().Get("Content-Type"), kind)
	}
	head := get(t, h, http.MethodHead, "/demo/app.js", nil)
	require.Equal(t, 200, head.Code)
	require.Empty(t, head.Body.String())
	post := get(t, h, http.MethodPost, "/", nil)
	require.Equal(t, 405, post.Code)
	require.Equal(t, "GET, HEAD", post.Header().Get("Allow"))
	for _, path := range []string{"/demo", "/demo/", "/index.html", "/demo/index.html", "/demo/missing.html", "/demo/vendor/README.md", "/demo/../app.js", "/favicon.ico"} {
		require.Equal(t, 404, get(t, h, http.MethodGet, path, nil).Code, path)
	}
}

// TestWithoutTheClient is what a plain go build serves.
func TestWithoutTheClient(t *testing.T) {
	h, err := handler(fstest.MapFS{"index.html": {Data: []byte("index")}, "missing.html": {Data: []byte("make run {{bayeux}}")}}, "/cometd")
	require.NoError(t, err)
	require.Equal(t, "make run /cometd", get(t, h, http.MethodGet, "/", nil).Body.String())
}

// TestAssets checks the page that is embedded: nothing comes from elsewhere
// and nothing is inline, or the browser would refuse it.
func TestAssets(t *testing.T) {
	h, err := Handler("/cometd")
	require.NoError(t, err)
	require.Equal(t, 200, get(t, h, http.MethodGet, "/", nil).Code)
	for _, name := range []string{"index.html", "missing.html", "style.css", "app.js", "chat.js", "connection.js", "dom.js", "feed.js", "sketch.js", "comet.svg"} {
		text, err := embedded.ReadFile("assets/" + name)
		require.NoError(t, err)
		source := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "")
		for _, no := range []string{"http://", "https://", " style=", " onclick=", "innerHTML", "eval("} {
			require.NotContains(t, source, no, name)
		}
	}
	html, err := embedded.ReadFile("assets/index.html")
	require.NoError(t, err)
	require.NotContains(t, string(html), "<script>")
	require.NotContains(t, string(html), "<style")
	for _, served := range []string{"/demo/style.css", "/demo/app.js", "/demo/comet.svg"} {
		require.Contains(t, string(html), served)
		require.Equal(t, 200, get(t, h, http.MethodGet, served, nil).Code)
	}
}
