package importwebxml

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/internal/cli/serve"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// run imports a file and returns what it writes and its error.
func run(t testing.TB, c Command, stdin string) (out, warnings string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err = c.Run(Env{Stdin: strings.NewReader(stdin), Stdout: &stdout, Stderr: &stderr})
	return stdout.String(), stderr.String(), err
}

// accepted asserts that halley serve takes the configuration.
func accepted(t testing.TB, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "halley.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	c := serve.Command{Config: path, CheckConfig: true}
	var out bytes.Buffer
	err := c.Run(context.Background(), serve.Env{
		Lookup: func(string) (string, bool) { return "", false }, Stdout: &out, Stderr: io.Discard,
	})
	require.NoError(t, err, text)
	require.Equal(t, "ok\n", out.String())
}

// Realistic descriptors of each generation: what comes of them, what is said,
// and that halley serve takes the result.
func TestDescriptors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.xml"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 10)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			out, warnings, err := run(t, Command{File: file}, "")
			require.NoError(t, err)
			accepted(t, out)
			for ext, got := range map[string]string{".yaml": out, ".txt": warnings} {
				golden := strings.TrimSuffix(file, ".xml") + ext
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), got)
			}
		})
	}
}

// webapp puts elements into a descriptor with a servlet.
func webapp(more string) string {
	return `<web-app><servlet><servlet-name>c</servlet-name><servlet-class>org.cometd.server.CometDServlet</servlet-class>` +
		`<init-param><param-name>ws.cometdURLMapping</param-name><param-value>/cometd/*</param-value></init-param></servlet>` +
		`<servlet-mapping><servlet-name>c</servlet-name><url-pattern>/cometd/*</url-pattern></servlet-mapping>` + more + `</web-app>`
}

// withParam is a descriptor with one init-param.
func withParam(name, value string) string {
	return strings.Replace(webapp(""), "<init-param>", `<init-param><param-name>`+name+`</param-name><param-value>`+value+`</param-value></init-param><init-param>`, 1)
}

// What is not understood has its exit code and a reason.
func TestNotUnderstood(t *testing.T) {
	deep := strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "no element"},
		"blank":             {" \n ", "no element"},
		"text":              {"hello", "no element"},
		"JSON":              {`{"timeout": 1}`, "no element"},
		"HTML":              {"<!DOCTYPE html><html><p>x</html>", "not XML"},
		"not closed":        {"<web-app><servlet>", "not XML"},
		"mismatch":          {"<web-app></servlet>", "not XML"},
		"two roots":         {webapp("") + "<web-app/>", "second root"},
		"other root":        {"<beans><bean/></beans>", "root element is <beans>"},
		"no servlets":       {"<web-app/>", "no servlets at all"},
		"other servlets":    {"<web-app><servlet><servlet-name>x</servlet-name><servlet-class>com.example.X</servlet-class></servlet></web-app>", "there are x (com.example.X)"},
		"Oort alone":        {"<web-app><servlet><servlet-name>o</servlet-name><servlet-class>org.cometd.oort.SetiServlet</servlet-class></servlet></web-app>", "no CometD servlet"},
		"too deep":          {webapp(deep), "levels"},
		"too many elements": {webapp(strings.Repeat("<a/>", 60_000)), "elements"},
		"too large":         {webapp("<!--" + strings.Repeat("x", 2<<20) + "-->"), "more than 1048576 bytes"},
		"unknown encoding":  {`<?xml version="1.0" encoding="klingon"?>` + webapp(""), `encoding "klingon" is unknown`},
		"unknown entity":    {webapp("<a>&nowhere;</a>"), "not XML"},
		"nothing but nulls": {strings.Repeat("\x00", 100), "not XML"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := run(t, Command{File: "-"}, c.text)
			require.ErrorContains(t, err, c.want)
			var coded *Error
			require.ErrorAs(t, err, &coded)
			require.Equal(t, 2, coded.ExitCode())
			require.Empty(t, out)
		})
	}
}

// Entities are not expanded, so a small file cannot become a large one, and
// nothing is fetched from anywhere.
func TestEntities(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("stolen"), 0o600))
	var laughs strings.Builder
	laughs.WriteString(`<!DOCTYPE web-app [<!ENTITY l0 "lol">`)
	for i := range 20 {
		fmt.Fprintf(&laughs, `<!ENTITY l%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&l%d;", i), 10))
	}
	laughs.WriteString(`]>`)
	for name, c := range map[string]struct{ head, value, want string }{
		"billion laughs": {laughs.String(), "&l20;", `maxInterval="&l20;" has a placeholder`},
		"quadratic":      {`<!DOCTYPE w [<!ENTITY a "` + strings.Repeat("a", 100_000) + `">]>`, strings.Repeat("&a;", 10_000), `has a placeholder`},
		"external":       {`<!DOCTYPE w [<!ENTITY x SYSTEM "file://` + secret + `">]>`, "&x;", `maxInterval="&x;" has a placeholder`},
		"parameter":      {`<!DOCTYPE w [<!ENTITY % p SYSTEM "http://127.0.0.1:1/evil.dtd"> %p;]>`, "5000", ""},
		"doctype":        {`<!DOCTYPE web-app PUBLIC "-//Sun Microsystems, Inc.//DTD Web Application 2.3//EN" "http://127.0.0.1:1/web-app_2_3.dtd">`, "5000", ""},
		"predefined":     {"", "&lt;5000&gt;", "CometD wants a whole number"},
		"character":      {"", "&#53;000", ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, warnings, err := run(t, Command{File: "-"}, c.head+withParam("maxInterval", c.value))
			require.NoError(t, err)
			require.Less(t, len(out)+len(warnings), 5000)
			require.NotContains(t, out+warnings, "stolen")
			if c.want == "" {
				require.Contains(t, out, "maxInterval: 5000")
			} else {
				require.Contains(t, warnings, c.want)
			}
			accepted(t, out)
		})
	}
}

// Whatever encoding a file has or says it has.
func TestEncodings(t *testing.T) {
	body := webapp("<listener><listener-class>com.example.Größe</listener-class></listener>")
	latin := strings.NewReplacer("ö", "\xf6", "ß", "\xdf").Replace(body)
	wide := []byte{0xFF, 0xFE}
	for _, u := range utf16.Encode([]rune(`<?xml version="1.0" encoding="UTF-16"?>` + body)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	for name, c := range map[string]struct{ text, note string }{
		"UTF-8":                  {`<?xml version="1.0" encoding="UTF-8"?>` + body, ""},
		"none declared":          {body, ""},
		"BOM":                    {"\xEF\xBB\xBF" + `<?xml version="1.0" encoding="utf-8"?>` + body, ""},
		"ISO-8859-1":             {`<?xml version='1.0' encoding='ISO-8859-1'?>` + latin, ""},
		"windows-1252":           {`<?xml version="1.0" encoding="windows-1252" standalone="no"?>` + latin, ""},
		"UTF-16":                 {string(wide), ""},
		"says UTF-8, is not":     {`<?xml version="1.0" encoding="UTF-8"?>` + latin, "it was read as ISO-8859-1"},
		"says nothing, is latin": {latin, "it was read as ISO-8859-1"},
		"says UTF-16, is not":    {`<?xml version="1.0" encoding="UTF-16"?>` + body, "it was read as UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			out, warnings, err := run(t, Command{File: "-"}, c.text)
			require.NoError(t, err)
			require.Contains(t, out, "com.example.Größe")
			require.Contains(t, warnings, c.note)
			require.Equal(t, c.note != "", strings.Contains(warnings, "encoding"))
			accepted(t, out)
		})
	}
}

// Values, by what CometD made of them.
func TestParams(t *testing.T) {
	for _, c := range []struct{ name, value, out, warning string }{
		{"timeout", "\n\t 20000 \n", "timeout: 20000", ""},
		{"timeout", "+5000", "timeout: 5000", ""},
		{"timeout", "", "", "wants a whole number"},
		{"timeout", "20 s", "", "wants a whole number"},
		{"timeout", "#{settings.timeout}", "", "placeholder"},
		{"timeout", "@timeout@", "", "placeholder"},
		{"handshakeReconnect", "TRUE", "handshakeReconnect: true", ""},
		{"handshakeReconnect", "1", "handshakeReconnect: false   # CometD took everything but true for false, so this is false", "everything but true for false"},
		{"idleTimeout", "5000", "ws.idleTimeout: 5000   # was idleTimeout", ""},
		{"ws.enableExtension.identity", "false", "ws.enableExtension.identity: false", ""},
		{"long-polling.json.timeout", "1", "long-polling.json.timeout: 1", ""},
		{"longpolling.timeout", "1", "", "long-polling.timeout may have been meant"},
		{"ws.sweepPeriod", "1", "", "no option of CometD's"},
		{"clientSecret", "hunter2", "", `clientSecret="(not shown)"`},
		{"allowedTransports", "iframe", "", "no transport in it that Halley has"},
		{"browserCookieName", "a;b", "", "want a cookie name"},
		{"browserCookiePath", "/a: b # c", `browserCookiePath: "/a: b # c"`, ""},
		{"browserCookieDomain", "null", `browserCookieDomain: "null"`, ""},
		{"services", " , ", "", ""},
		{"long-polling.jsonDebug", "true", "", ""},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			out, warnings, err := run(t, Command{File: "-"}, withParam(c.name, c.value))
			require.NoError(t, err)
			require.NotContains(t, out+warnings, "hunter2")
			if c.out == "" {
				require.NotContains(t, out, "\n  "+c.name+":")
			} else {
				require.Contains(t, out, "\n  "+c.out+"\n")
			}
			if c.warning == "" {
				require.NotContains(t, warnings, "warning")
			} else {
				require.Contains(t, warnings, c.warning)
			}
			accepted(t, out)
		})
	}
}

// Where URL patterns meet.
func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"/*", "/cometd/*", true},
		{"/", "/cometd/*", true},
		{"/cometd/*", "/cometd/*", true},
		{"/cometd", "/cometd/*", true},
		{"/cometd/x", "/cometd/*", true},
		{"/cometd/a/*", "/cometd/*", true},
		{"/api/*", "/cometd/*", false},
		{"/comet/*", "/cometd/*", false},
		{"*.jsp", "/cometd/*", false},
	} {
		require.Equal(t, c.want, overlap(c.a, c.b), "%s %s", c.a, c.b)
		require.Equal(t, c.want, overlap(c.b, c.a), "%s %s", c.b, c.a)
	}
	for pattern, want := range map[string]string{
		"/*": "/", "/": "/", "/cometd/*": "/cometd", "/cometd": "/cometd", "/a/b/*": "/a/b",
		"*.do": "", "": "", "/a*b": "", "/%41/*": "", "/a b/*": "", "/a\nb/*": "", "cometd/*": "", "/{x}/*": "",
	} {
		path, ok := pathOf(pattern)
		require.Equal(t, want != "", ok, pattern)
		if ok {
			require.Equal(t, want, path)
		}
	}
}

func TestOrigins(t *testing.T) {
	for text, want := range map[string]string{
		"https://app.example": "https://app.example", "HTTPS://App.Example/": "https://app.example",
		"https://a:443": "https://a", "http://a:80": "http://a", "http://a:443": "http://a:443", "http://[::1]:80": "http://[::1]",
		"https://*.example": "", "null": "", "app.example": "", "https://a/b": "", "https://(a|b).example": "", "https://[a-z]+.example": "", "https://[a-z]": "", "ftp://a": "", "https://a:b": "", "": "",
	} {
		got, ok := parseOrigin(text)
		require.Equal(t, want, got, text)
		require.Equal(t, want != "", ok, text)
	}
}

// -o writes a file; --strict tells by the exit code that something was lost.
func TestOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "halley.yaml")
	out, _, err := run(t, Command{File: "-", Output: path}, webapp(""))
	require.NoError(t, err)
	require.Empty(t, out)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	accepted(t, string(text))

	source := filepath.Join(t.TempDir(), "web.xml")
	require.NoError(t, os.WriteFile(source, []byte(webapp("")), 0o600))
	_, _, err = run(t, Command{File: source, Output: source}, "")
	require.ErrorContains(t, err, "is the file that is read")
	text, err = os.ReadFile(source)
	require.NoError(t, err)
	require.Equal(t, webapp(""), string(text))

	_, _, err = run(t, Command{File: "-", Strict: true}, webapp(""))
	require.NoError(t, err, "notes are no losses")
	out, _, err = run(t, Command{File: "-", Strict: true}, webapp("<frob/>"))
	var coded *Error
	require.ErrorAs(t, err, &coded)
	require.Equal(t, 3, coded.ExitCode())
	accepted(t, out)

	_, _, err = run(t, Command{File: filepath.Join(t.TempDir(), "missing.xml")}, "")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = run(t, Command{File: "-", Output: filepath.Join(t.TempDir(), "no", "where")}, webapp(""))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// So many things to say are cut.
func TestManyNotes(t *testing.T) {
	out, warnings, err := run(t, Command{File: "-"}, webapp(strings.Repeat("<frob/>", 40_000)))
	require.NoError(t, err)
	require.Less(t, len(out), 50_000)
	require.Contains(t, warnings, "and 39800 more that are not shown")
	accepted(t, out)
}

// Whatever the file, the program does not panic, and what it writes is a
// configuration.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.xml"))
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(withParam("browserCookiePath", "a&#10;b: c&#x2028;d")))
	f.Fuzz(func(t *testing.T, text []byte) {
		out, _, err := run(t, Command{File: "-"}, string(text))
		if err == nil {
			accepted(t, out)
		}
	})
}
