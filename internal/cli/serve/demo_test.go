package serve

import (
	"bytes"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/demo"
)

func TestDemoSettings(t *testing.T) {
	tests := []struct {
		name      string
		args, env []string
		on        bool
		sessions  string
		source    string
	}{
		{"off", nil, nil, false, "", "default"},
		{"on", []string{"--demo"}, nil, true, "3", "demo"},
		{"environment", nil, []string{"HALLEY_DEMO", "true"}, true, "3", "demo"},
		{"flag over environment", []string{"--demo=false"}, []string{"HALLEY_DEMO", "true"}, false, "", "default"},
		{"file", []string{"--config", file(t, "demo: true\n")}, nil, true, "3", "demo"},
		{"set by the operator", []string{"--demo", "--set", "maxSessionsPerBrowser=2"}, nil, true, "2", "flag --set"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parse(t, tt.args...).Load(lookup(tt.env...))
			require.NoError(t, err)
			require.Equal(t, tt.on, s.Demo)
			require.Equal(t, tt.sessions, s.Options["maxSessionsPerBrowser"])
			require.Equal(t, tt.source, find(t, s, "options.maxSessionsPerBrowser").Source)
			c := s.config(zerolog.Nop())
			if tt.on {
				require.Equal(t, demo.Policy{}, c.Policy)
			} else {
				require.Nil(t, c.Policy)
			}
		})
	}
	for _, path := range []string{"/", "/demo", "/demo/x"} {
		_, err := parse(t, "--demo", "--path", path).Load(lookup())
		require.ErrorAs(t, err, new(*UsageError))
		require.ErrorContains(t, err, "choose another, such as /cometd")
	}
	_, err := parse(t, "--demo=perhaps").Load(lookup())
	require.ErrorContains(t, err, `flag --demo: demo "perhaps": want true or false`)
}

// TestDemoServed runs a real server with the demo.
func TestDemoServed(t *testing.T) {
	r := startWith(t, nil, "--demo", "--path", "/bayeux")
	base := "http://" + r.address("listening")
	c := client(t, &http.Transport{})
	status, page := get(t, c, base+"/")
	require.Equal(t, 200, status)
	require.Contains(t, page, "/bayeux", "the page knows where the endpoint is")
	for path, want := range map[string]int{"/demo/style.css": 200, "/demo/none": 404, "/x": 404, "/demo/": 404} {
		status, _ := get(t, c, base+path)
		require.Equal(t, want, status, path)
	}
	send := func(body string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/bayeux", strings.NewReader(body))
		require.NoError(t, err)
		res, err := c.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		var text bytes.Buffer
		_, err = text.ReadFrom(res.Body)
		require.NoError(t, err)
		return text.String()
	}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	c.Jar = jar
	_, id, found := strings.Cut(send(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]`), `"clientId":"`)
	require.True(t, found)
	id, _, _ = strings.Cut(id, `"`)
	refused := `"error":"403:denied_by_security_policy`
	require.Contains(t, send(`[{"channel":"/chat","clientId":"`+id+`","data":1}]`), refused)
	require.Contains(t, send(`[{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/**"}]`), refused)
	require.NotContains(t, send(`[{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/demo/**"}]`), refused)
	require.Contains(t, send(`[{"channel":"/service/demo/join","clientId":"`+id+`","data":{"name":"Ann"}}]`), `"you":{"id":"`)
	require.NoError(t, r.stop())
}

func TestDemoNeedsRooms(t *testing.T) {
	r := start(t, newFake(), "--demo")
	require.ErrorContains(t, <-r.done, "no room for the demo")
}

// TestTellDemo says what is missing, louder to who asked for it.
func TestTellDemo(t *testing.T) {
	for want, s := range map[string]Settings{"info": {}, "warn": {Demo: true}} {
		var out strings.Builder
		s.tellDemo(zerolog.New(&out), true)
		require.Empty(t, out.String())
		s.tellDemo(zerolog.New(&out), false)
		require.Contains(t, out.String(), `"level":"`+want+`"`)
		require.Contains(t, out.String(), "build it with make, which needs npm")
	}
}
