package filter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/bayeux/filter"
	"github.com/halleypush/halley/channels"
)

// What each filter makes of data, and that the rest stays byte for byte.
func TestApply(t *testing.T) {
	upper := filter.Text(func(s string) (string, error) { return strings.ToUpper(s), nil })
	zero := filter.Filter(func(v bayeux.Raw) (bayeux.Raw, error) {
		if v[0] == '-' {
			return bayeux.Raw("0"), nil
		}
		return v, nil
	})
	for name, c := range map[string]struct {
		filters  []filter.Filter
		in, want string
	}{
		"none":             {nil, ` {"a" : [ 1.50 , -0 ] } `, ` {"a" : [ 1.50 , -0 ] } `},
		"markup":           {[]filter.Filter{filter.NoMarkup()}, `{"<b>":"<b>x</b>","n":[1.50,"a > b",true,null]}`, `{"<b>":"&lt;b&gt;x&lt;/b&gt;","n":[1.50,"a &gt; b",true,null]}`},
		"escaped markup":   {[]filter.Filter{filter.NoMarkup()}, `"\u003cscript\u003E\n"`, `"&lt;script&gt;\u000a"`},
		"scripts":          {[]filter.Filter{filter.NoScripts()}, `"<script>x</ Script ><SCRIPT src=y>"`, `"<span>x</ span><span src=y>"`},
		"replace":          {[]filter.Filter{filter.Replace(regexp.MustCompile(`(\d+) (\w+)`), "$2 ${1}!")}, `["12 apples, 7 pears",12]`, `["apples 12!, pears 7!",12]`},
		"replace nothing":  {[]filter.Filter{filter.Replace(regexp.MustCompile(`x*`), "-")}, `"abc"`, `"-a-b-c-"`},
		"delete all":       {[]filter.Filter{filter.Replace(regexp.MustCompile(`a+`), "")}, `"aaa"`, `""`},
		"in their order":   {[]filter.Filter{filter.Replace(regexp.MustCompile(`a`), "b"), filter.Replace(regexp.MustCompile(`b`), "c")}, `"ab"`, `"cc"`},
		"other kinds":      {[]filter.Filter{zero}, `{"a":-1,"b":[-2.5e3,2],"c":"-1"}`, `{"a":0,"b":[0,2],"c":"-1"}`},
		"names stay":       {[]filter.Filter{upper}, "{\"a\" \t: \"a\" , \"b\":{\"c\":\"d\"}}", "{\"a\" \t: \"A\" , \"b\":{\"c\":\"D\"}}"},
		"unchanged spell":  {[]filter.Filter{upper}, `["\u0041\/","\ud83d\ude00"]`, `["\u0041\/","\ud83d\ude00"]`},
		"quotes and slash": {[]filter.Filter{upper}, `["a\"b\\",{"\\\"":"c"}]`, `["A\"B\\",{"\\\"":"C"}]`},
		"a kind for other": {[]filter.Filter{func(bayeux.Raw) (bayeux.Raw, error) { return bayeux.Raw(`{"x":1}`), nil }}, `[1,"a"]`, `[{"x":1},{"x":1}]`},
		"scalar":           {[]filter.Filter{upper}, `"a"`, `"A"`},
		"empty":            {[]filter.Filter{upper}, `{}`, `{}`},
	} {
		got, err := filter.Apply(bayeux.Raw(c.in), c.filters...)
		require.NoError(t, err, name)
		require.Equal(t, c.want, string(got), name)
	}
}

// A filter refuses, fails, or returns what is no JSON.
func TestApplyErrors(t *testing.T) {
	oops := errors.New("oops")
	for name, c := range map[string]struct {
		f    filter.Filter
		in   string
		want error
	}{
		"refuse":      {filter.Refuse(regexp.MustCompile(`^spam`)), `{"a":["x","spam!"]}`, bayeux.Drop},
		"fails":       {func(bayeux.Raw) (bayeux.Raw, error) { return nil, oops }, `1`, oops},
		"of its text": {filter.Text(func(string) (string, error) { return "", oops }), `"a"`, oops},
	} {
		_, err := filter.Apply(bayeux.Raw(c.in), c.f)
		require.ErrorIs(t, err, c.want, name)
	}
	got, err := filter.Apply(bayeux.Raw(`["no spam"]`), filter.Refuse(regexp.MustCompile(`^spam`)))
	require.NoError(t, err)
	require.Equal(t, `["no spam"]`, string(got))
	for _, bad := range []string{``, `{`, `"`, `1 2`, "\"\xff\""} {
		_, err := filter.Apply(bayeux.Raw(`7`), func(bayeux.Raw) (bayeux.Raw, error) { return bayeux.Raw(bad), nil })
		require.Error(t, err, bad)
	}
	_, err = filter.Apply(bayeux.Raw(`"a`), filter.NoMarkup())
	require.Error(t, err)
}

// Hostile data costs what its size costs: it does not nest the walk, nor grow
// beyond the bound, which the error names.
func TestHostileData(t *testing.T) {
	all := []filter.Filter{filter.NoMarkup(), filter.NoScripts(), filter.Refuse(regexp.MustCompile(`(x+x+)+y`))}
	for _, data := range []string{
		strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		`"` + strings.Repeat("x", 30_000) + `"`,
		`["` + strings.Repeat(`\"`, 100_000) + `"]`,
		strings.Repeat(`["a"`+strings.Repeat(" ", 100_000)+`,`, 2) + `1]]`,
	} {
		got, err := filter.Apply(bayeux.Raw(data), all...)
		require.NoError(t, err)
		require.Len(t, got, len(data))
	}
	grow := filter.Replace(regexp.MustCompile(`.`), strings.Repeat("y", 1000))
	twice := filter.Replace(regexp.MustCompile(`$`), strings.Repeat("y", 50_000))
	for name, c := range map[string]struct {
		data string
		f    filter.Filter
	}{
		"one text":   {`"` + strings.Repeat("x", 100_000) + `"`, grow},
		"many texts": {`[` + strings.Repeat(`"",`, 1000) + `1]`, twice},
	} {
		_, err := filter.Apply(bayeux.Raw(c.data), c.f)
		require.ErrorContains(t, err, "filtered_data_limit", name)
	}
	_, err := filter.Apply(bayeux.Raw(`"<"`), filter.NoMarkup())
	require.NoError(t, err, "small data may grow")
}

func TestListenerVerdicts(t *testing.T) {
	ctx := context.Background()
	m := &bayeux.Message{Channel: "/a", Data: bayeux.Raw(`"<b>"`), Ext: bayeux.Raw(`{"x":"<b>"}`)}
	require.NoError(t, filter.Listener(filter.NoMarkup())(ctx, nil, m))
	require.Equal(t, `"&lt;b&gt;"`, string(m.Data))
	require.Equal(t, `{"x":"<b>"}`, string(m.Ext))
	require.NoError(t, filter.Listener(filter.NoMarkup())(ctx, nil, &bayeux.Message{}), "no data passes")
	failing := filter.Listener(filter.Text(func(string) (string, error) { return "", errors.New("oops") }))
	require.ErrorIs(t, failing(ctx, nil, m), bayeux.Drop, "what cannot be looked at does not pass")
	refusing := filter.Listener(filter.Text(func(string) (string, error) { return "", bayeux.Deny("rude") }))
	var e *bayeux.Error
	require.ErrorAs(t, refusing(ctx, nil, m), &e)
	require.Equal(t, "rude", e.Args)
}

func TestExtension(t *testing.T) {
	x, err := filter.Extension("/chat/{room}", filter.NoMarkup())
	require.NoError(t, err)
	for ch, changed := range map[string]bool{"/chat/1": true, "/chat/1/": true, "/chat": false, "/other": false, "/chat/1/2": false, "bad": false} {
		m := &bayeux.Message{Channel: ch, Data: bayeux.Raw(`"<"`)}
		require.NoError(t, x.Incoming(t.Context(), nil, m))
		require.Equal(t, changed, string(m.Data) == `"&lt;"`, ch)
	}
	deep, err := filter.Extension("/**", filter.Refuse(regexp.MustCompile("x")))
	require.NoError(t, err)
	require.NoError(t, deep.Incoming(t.Context(), nil, &bayeux.Message{Channel: "/meta/handshake", Data: bayeux.Raw(`"x"`)}))
	require.ErrorIs(t, deep.Incoming(t.Context(), nil, &bayeux.Message{Channel: "/a", Data: bayeux.Raw(`"x"`)}), bayeux.Drop)
	_, err = filter.Extension("chat")
	require.ErrorIs(t, err, channels.ErrCharacters)
}

// mapped changes all texts but names in decoded JSON: the model of a walk.
func mapped(v any, f func(string) string) any {
	switch v := v.(type) {
	case string:
		return f(v)
	case []any:
		for i := range v {
			v[i] = mapped(v[i], f)
		}
	case map[string]any:
		for k := range v {
			v[k] = mapped(v[k], f)
		}
	}
	return v
}

func decoded(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	return v
}

// FuzzApply compares a walk with what encoding/json makes of the data. What
// changes nothing returns the same bytes.
func FuzzApply(f *testing.F) {
	for _, seed := range []string{
		`{"a":"<b>","<c>":[1,2.50,"\u003c"]}`, `"<"`, `[[],{},"",null,true]`, ` { "a" : "x" , "b" : [ "y" ] } `, `{"a":{"b":"c:d"},"e":","}`,
		`["\\","\"","\\\"<"]`, `{"":"<"}`, `[1e5,-0,"\ud800"]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if bayeux.Validate(bayeux.Raw(data), 64) != nil {
			return // nothing else reaches a filter
		}
		same, err := filter.Apply(bayeux.Raw(data), func(v bayeux.Raw) (bayeux.Raw, error) { return bytes.Clone(v), nil })
		require.NoError(t, err)
		require.Equal(t, data, string(same))
		got, err := filter.Apply(bayeux.Raw(data), filter.NoMarkup())
		require.NoError(t, err)
		require.NoError(t, bayeux.Validate(got, 64))
		markup := strings.NewReplacer("<", "&lt;", ">", "&gt;")
		require.Equal(t, mapped(decoded(t, []byte(data)), markup.Replace), decoded(t, got))
	})
}
