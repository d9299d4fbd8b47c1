package bayeux

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// corpus reads the cases of testdata/decode: input and what is expected of it.
func corpus(tb testing.TB) map[string][2]string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "decode", "*.txt"))
	require.NoError(tb, err)
	require.NotEmpty(tb, files)
	cases := make(map[string][2]string, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(tb, err)
		_, rest, ok := strings.Cut(string(text), "\n-- in --\n")
		require.True(tb, ok, file)
		in, out, ok := strings.Cut(rest, "\n-- out --\n")
		require.True(tb, ok, file)
		cases[strings.TrimSuffix(filepath.Base(file), ".txt")] = [2]string{in, out}
	}
	return cases
}

// normal writes what Decode makes of a body: each message in its normal form
// with the error that Validate answers, or the error of the batch.
func normal(body []byte, lim Limits) string {
	msgs, err := Decode(body, lim)
	if err != nil {
		var bad *DecodeError
		if !errors.As(err, &bad) {
			return "not a DecodeError: " + err.Error()
		}
		return fmt.Sprintf("error %v at %d\n", bad.Kind, bad.Offset)
	}
	var b strings.Builder
	for _, m := range msgs {
		b.Write(AppendMessage(nil, m))
		if e := m.Validate(lim); e != nil {
			b.WriteString(" " + e.Error())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// The corpus covers [R-MSG-1], [R-MSG-4], [R-MSG-6] to [R-MSG-11], [R-MSG-15],
// [R-MSG-16], [R-HT-7], [R-HT-8], [R-PB-5] and [R-OUT-1]; each file names its
// rule.
func TestDecodeCorpus(t *testing.T) {
	for name, c := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c[1], normal([]byte(c[0]), Limits{}))
		})
	}
}

// Invalid UTF-8 is refused wherever it stands [R-MSG-16].
func TestDecodeUTF8(t *testing.T) {
	for _, tc := range []struct {
		body string
		at   int
	}{
		{"[{\"channel\":\"/a\xff\"}]", 15},
		{"[{\"data\":{\"x\":\"é\xc3\"}}]", 17},
		{"[{\"\x80\":1}]", 3},
		{"[{\"data\":\"\xed\xa0\x80\"}]", 10}, // a surrogate
		{"[{\"data\":\"\xc0\xaf\"}]", 10},     // overlong
		{"[]\xfe", 2},
		{"\xef\xbb[]", 0},
	} {
		require.Equal(t, fmt.Sprintf("error syntax at %d\n", tc.at), normal([]byte(tc.body), Limits{}), "%q", tc.body)
	}
	require.Equal(t, "error syntax at 2\n", normal([]byte("[]\x00"), Limits{}))
	require.Equal(t, "error syntax at 0\n", normal([]byte("\x00"), Limits{}))
}

func TestDecodeDepth(t *testing.T) {
	nested := func(n int) []byte {
		return []byte(`[{"data":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}]`)
	}
	for _, tc := range []struct {
		depth, data int
		ok          bool
	}{
		{0, 62, true},
		{0, 63, false}, // The default is 64, array and message included.
		{3, 1, true},
		{3, 2, false},
		{1, 0, false},
		{100, 98, true},
		{300, 298, true},
		{300, 299, false},
		{-1, 100_000, true},
	} {
		body := nested(tc.data)
		if tc.data == 0 {
			body = []byte(`[{}]`)
		}
		msgs, err := Decode(body, Limits{Depth: tc.depth})
		if !tc.ok {
			var bad *DecodeError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, DecodeDepth, bad.Kind, "%+v", tc)
			continue
		}
		require.NoError(t, err, "%+v", tc)
		require.Len(t, msgs, 1)
	}
	// A single message has one bracket less around it.
	_, err := Decode([]byte(`{"data":{}}`), Limits{Depth: 2})
	require.NoError(t, err)
	_, err = Decode([]byte(`[{"data":{}}]`), Limits{Depth: 2})
	require.Error(t, err)
}

// A hundred thousand brackets are refused at the 65th, wherever they stand, and
// cost no stack even where no limit is set [R-HT-7].
func TestDecodeManyBrackets(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(256 << 10))
	const n = 100_000
	for _, tc := range []struct {
		prefix, bracket string
		at              int
	}{
		{``, `[`, 64},
		{``, `{"":`, 64 * 4},
		{`[{"data":`, `[`, 9 + 62},
		{`[{"data":`, `{"a":`, 9 + 62*5},
		{`[{"ext":`, `{"a":[`, 8 + 62*3},
		{`[{"foo":`, `[{"":`, 8 + 31*5},
	} {
		body := []byte(tc.prefix + strings.Repeat(tc.bracket, n))
		require.Equal(t, fmt.Sprintf("error depth at %d\n", tc.at), normal(body, Limits{}), tc.prefix+tc.bracket)
		require.Contains(t, normal(body, Limits{Depth: -1}), "error s")
	}
	deep := Raw(strings.Repeat(`[{"a":`, n) + `0` + strings.Repeat(`}]`, n))
	require.NoError(t, Validate(deep, -1))
}

func TestDecodeBatchLimit(t *testing.T) {
	body := func(n int) []byte { return []byte("[" + strings.TrimSuffix(strings.Repeat("{},", n), ",") + "]") }
	for _, tc := range []struct {
		limit, n int
		ok       bool
	}{{0, 1000, true}, {0, 1001, false}, {2, 2, true}, {2, 3, false}, {-1, 5000, true}} {
		msgs, err := Decode(body(tc.n), Limits{Batch: tc.limit})
		if tc.ok {
			require.NoError(t, err)
			require.Len(t, msgs, tc.n)
			continue
		}
		var bad *DecodeError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, DecodeBatch, bad.Kind)
	}
}

// The caller may reuse its buffer, and what the messages hold does not overlap.
func TestDecodeCopies(t *testing.T) {
	body := []byte(`[{"channel":"/a","id":"1","clientId":"c","data":[1],"ext":{},"x":"y"},{"channel":"/b","id":{}}]`)
	msgs, err := Decode(body, Limits{})
	require.NoError(t, err)
	want := string(AppendBatch(nil, msgs))
	for i := range body {
		body[i] = '!'
	}
	require.Equal(t, want, string(AppendBatch(nil, msgs)))
	_ = append(msgs[0].Data, "overwritten"...)
	_ = append(msgs[0].Ext, "overwritten"...)
	require.Equal(t, want, string(AppendBatch(nil, msgs)))
}

// Many unknown fields take time in proportion, and each name still comes once.
func TestDecodeManyFields(t *testing.T) {
	const n = 20_000
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range 2 * n {
		fmt.Fprintf(&b, `"f%d":%d,`, i%n, i)
	}
	b.WriteString(`"channel":"/a"}`)
	msgs, err := Decode(b.Bytes(), Limits{})
	require.NoError(t, err)
	require.Len(t, msgs[0].Fields, n)
	for i, f := range msgs[0].Fields {
		if f.Name != "f"+strconv.Itoa(i) || string(f.Value) != strconv.Itoa(n+i) {
			require.Fail(t, "wrong field", "%d: %s %s", i, f.Name, f.Value)
		}
	}
}

func TestDecodeFieldTypes(t *testing.T) {
	msgs, err := Decode([]byte(`[{"channel":"/a","successful":true},{"channel":"","id":"","successful":"x","error":"e"},{"error":5}]`), Limits{})
	require.NoError(t, err)
	require.True(t, msgs[0].OK())
	require.True(t, msgs[0].HasChannel)
	require.False(t, msgs[0].HasID)
	require.True(t, msgs[1].HasChannel)
	require.True(t, msgs[1].HasID)
	require.Nil(t, msgs[1].Successful)
	require.Equal(t, `"x"`, string(msgs[1].Field("successful")))
	require.Equal(t, "e", msgs[1].Error)
	require.False(t, msgs[2].HasChannel)
	require.Equal(t, `5`, string(msgs[2].Field("error")))
	for _, m := range msgs {
		require.Nil(t, m.Fault)
		require.Nil(t, m.Data)
		require.Nil(t, m.Ext)
		require.Nil(t, m.Advice)
		require.Nil(t, m.Subscription)
	}
}

func TestDecodeErrorText(t *testing.T) {
	_, err := Decode([]byte(`[{"data":"secret"]`), Limits{})
	require.EqualError(t, err, "bayeux: syntax: comma or closing bracket expected at byte 17")
	for kind, want := range map[DecodeKind]string{
		DecodeSyntax: "syntax", DecodeDepth: "depth", DecodeBatch: "batch", DecodeShape: "shape", 9: "kind 9",
	} {
		require.Equal(t, want, kind.String())
	}
}

func TestValidateRaw(t *testing.T) {
	for _, ok := range []string{`null`, ` {"a":[1,2,{}]} `, `""`, `-0.5e-7`, `[]`, `"\ud800"`} {
		require.NoError(t, Validate(Raw(ok), 0), ok)
	}
	for _, bad := range []string{``, ` `, `{`, `1 2`, "\"\xff\"", `{"a":1,}`, `tru`, `-`, `"`} {
		require.Error(t, Validate(Raw(bad), 0), bad)
	}
	deep := Raw(strings.Repeat("[", 65) + strings.Repeat("]", 65))
	require.Error(t, Validate(deep, 0))
	require.NoError(t, Validate(deep[1:129], 0))
	require.NoError(t, Validate(deep, 65))
	require.NoError(t, Validate(deep, -1))
}

// Strings are read eight bytes at a time; what ends them is found in each
// position, and bytes that only look alike are not.
func TestScanLongStrings(t *testing.T) {
	for n := range 40 {
		pad := strings.Repeat("é", n/2) + strings.Repeat("x", n%2)
		for _, tail := range []string{`"`, `\n"`, `\u00e9"`, "\u00a2\u20a0\u00dc\""} {
			require.NoError(t, Validate(Raw(`"`+pad+tail), 0), "%q", pad+tail)
		}
		for c := range byte(' ') {
			require.Error(t, Validate(Raw(`"`+pad+string(rune(c))+`abcdefgh"`), 0), "%d %d", n, c)
		}
		require.NoError(t, Validate(Raw(`"`+pad+"\x7f !#[]abcdefgh\""), 0))
	}
}
