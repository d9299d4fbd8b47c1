package serve

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux/server"
)

func TestOrigins(t *testing.T) {
	tests := []struct{ text, want, err string }{
		{"https://app.example", "https://app.example", ""},
		{"HTTP://App.Example:8080", "http://app.example:8080", ""},
		{"http://[::1]:8080", "http://[::1]:8080", ""},
		{"*", "*", ""},
		{"app.example", "", "want an origin such as"},
		{"https://app.example/", "", "without a path"},
		{"https://app.example/x?y", "", "without a path"},
		{"https://u@app.example", "", "want an origin"},
		{"https://*.app.example", "", "want an origin"},
		{"ftp://app.example", "", "want an origin"},
		{"null", "", "want an origin"},
		{"https://", "", "want an origin"},
		{"https://app.example:443", "", "want https://app.example"},
		{"http://app.example:80", "", "want http://app.example"},
		{"http://%zz", "", "want an origin"},
	}
	for _, tt := range tests {
		got, err := server.ParseOrigin(tt.text)
		if tt.err != "" {
			require.ErrorContains(t, err, tt.err, tt.text)
			continue
		}
		require.NoError(t, err, tt.text)
		require.Equal(t, tt.want, got)
	}
}

func TestCORSSettings(t *testing.T) {
	s, err := parse(t).Load(lookup())
	require.NoError(t, err)
	require.Empty(t, s.CORSOrigins)
	require.True(t, s.CORSCredentials)
	both := []string{"https://a.example", "https://b.example"}
	for name, c := range map[string]struct{ args, env []string }{
		"flag":        {[]string{"--cors-origins", "https://a.example, https://b.example"}, nil},
		"flags":       {[]string{"--cors-origins", both[0], "--cors-origins", both[1]}, nil},
		"environment": {nil, []string{"HALLEY_CORS_ORIGINS", "https://a.example,https://b.example"}},
		"file":        {[]string{"--config", file(t, "corsOrigins: [https://a.example, https://b.example]\ncors-credentials: true\n")}, nil},
	} {
		s, err := parse(t, c.args...).Load(lookup(c.env...))
		require.NoError(t, err, name)
		require.Equal(t, both, s.CORSOrigins, name)
	}
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{[]string{"--cors-origins", "*"}, "needs --cors-credentials=false"},
		{[]string{"--cors-origins", "*,https://a.example", "--cors-credentials=false"}, "must stand alone"},
		{[]string{"--cors-origins", "a.example"}, `flag --cors-origins: cors-origins "a.example": "a.example": want an origin`},
		{[]string{"--cors-credentials", "maybe"}, "want true or false"},
	} {
		_, err := parse(t, wrong.args...).Load(lookup())
		require.ErrorAs(t, err, new(*UsageError))
		require.ErrorContains(t, err, wrong.want)
	}
}

// crossed sends a request through the CORS of these flags; reached tells
// whether the server saw it.
func crossed(t *testing.T, method, origin string, header map[string]string, args ...string) (res http.Header, status int, reached bool) {
	t.Helper()
	s, err := parse(t, args...).Load(lookup())
	require.NoError(t, err)
	h := s.crossOrigin(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		w.WriteHeader(http.StatusTeapot)
	}))
	r := httptest.NewRequestWithContext(t.Context(), method, "/cometd/handshake", http.NoBody)
	r.Header.Set("Origin", origin)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Header(), w.Code, reached
}

func TestCORSPreflight(t *testing.T) {
	ask := map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
	on := []string{"--cors-origins", "https://a.example,https://b.example"}
	h, status, reached := crossed(t, http.MethodOptions, "https://b.example", ask, on...)
	require.Equal(t, 204, status)
	require.False(t, reached)
	require.Equal(t, "https://b.example", h.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "true", h.Get("Access-Control-Allow-Credentials"))
	require.Equal(t, "POST", h.Get("Access-Control-Allow-Methods"))
	require.Equal(t, "authorization,content-type", h.Get("Access-Control-Allow-Headers"))
	require.Equal(t, "600", h.Get("Access-Control-Max-Age"))
	require.Contains(t, h.Get("Vary"), "Origin")
	require.Contains(t, h.Get("Vary"), "Access-Control-Request-Headers")

	h, _, reached = crossed(t, http.MethodOptions, "https://evil.example", ask, on...)
	require.False(t, reached)
	require.Empty(t, h.Get("Access-Control-Allow-Origin"))
	require.Contains(t, h.Get("Vary"), "Origin", "a cache must not keep the refusal for others")

	ask["Access-Control-Request-Method"] = "DELETE"
	h, _, _ = crossed(t, http.MethodOptions, "https://a.example", ask, on...)
	require.Empty(t, h.Get("Access-Control-Allow-Origin"))
}

func TestCORSRequests(t *testing.T) {
	tests := []struct {
		name, origin        string
		args                []string
		allowed, credential string
		vary                bool
	}{
		{"off", "https://a.example", nil, "", "", false},
		{"on", "https://a.example", []string{"--cors-origins", "https://a.example"}, "https://a.example", "true", true},
		{"another port", "https://a.example:444", []string{"--cors-origins", "https://a.example"}, "", "", true},
		{"another scheme", "http://a.example", []string{"--cors-origins", "https://a.example"}, "", "", true},
		{"below", "https://x.a.example", []string{"--cors-origins", "https://a.example"}, "", "", true},
		{"no credentials", "https://a.example", []string{"--cors-origins", "https://a.example", "--cors-credentials=false"}, "https://a.example", "", true},
		{"all", "https://x.example", []string{"--cors-origins", "*", "--cors-credentials=false"}, "*", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, status, reached := crossed(t, http.MethodPost, tt.origin, nil, tt.args...)
			require.True(t, reached, "CORS is the browser's affair: the server serves")
			require.Equal(t, http.StatusTeapot, status)
			require.Equal(t, tt.allowed, h.Get("Access-Control-Allow-Origin"))
			require.Equal(t, tt.credential, h.Get("Access-Control-Allow-Credentials"))
			require.Equal(t, tt.vary, h.Get("Vary") != "")
		})
	}
}

// TestCORSServed asks a running server: the endpoint has CORS, nothing else.
func TestCORSServed(t *testing.T) {
	r := start(t, newFake(), "--cors-origins", "https://a.example", "--path", "/bayeux")
	base := "http://" + r.address("listening")
	for path, want := range map[string]string{"/bayeux": "https://a.example", "/bayeux/connect": "https://a.example", "/": ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, http.NoBody)
		require.NoError(t, err)
		req.Header.Set("Origin", "https://a.example")
		res, err := client(t, &http.Transport{}).Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.Header.Get("Access-Control-Allow-Origin"), path)
	}
	require.NoError(t, r.stop())
}
