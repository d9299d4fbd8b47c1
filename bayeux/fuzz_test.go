package bayeux

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// depthOf counts the open brackets of valid JSON, naively.
func depthOf(text []byte) int {
	depth, deepest := 0, 0
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
			deepest = max(deepest, depth)
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
}

// modelBatch is Decode by encoding/json: the messages as maps, and whether the
// body is a batch within the default limits.
func modelBatch(body []byte) (batch []map[string]json.RawMessage, ok bool) {
	if !utf8.Valid(body) || !json.Valid(body) || depthOf(body) > 64 {
		return nil, false
	}
	var list []json.RawMessage
	if json.Unmarshal(body, &list) != nil {
		list = []json.RawMessage{body}
	}
	if string(bytes.TrimSpace(body)) == "null" {
		return nil, false
	}
	for _, text := range list {
		var fields map[string]json.RawMessage
		if json.Unmarshal(text, &fields) != nil || fields == nil {
			return nil, false
		}
		batch = append(batch, fields)
	}
	return batch, len(batch) <= 1000
}

// modelString is the string value of a field, "" when it is none.
func modelString(value json.RawMessage) string {
	var s string
	_ = json.Unmarshal(value, &s)
	return s
}

func modelPresent(value json.RawMessage) Raw {
	if len(value) == 0 || string(value) == "null" {
		return nil
	}
	return value
}

// checkMessage compares a message with its model.
func checkMessage(t *testing.T, want map[string]json.RawMessage, m *Message) {
	t.Helper()
	require.Equal(t, modelString(want["channel"]), m.Channel)
	require.Equal(t, strings.HasPrefix(string(want["channel"]), `"`), m.HasChannel)
	require.Equal(t, modelString(want["clientId"]), m.ClientID)
	id := modelPresent(want["id"])
	require.Equal(t, id != nil, m.HasID)
	if len(id) > 0 && id[0] == '"' {
		require.Equal(t, modelString(id), m.ID)
	} else {
		require.Equal(t, string(id), m.ID)
	}
	require.Equal(t, want["data"], m.Data)
	require.Equal(t, modelPresent(want["subscription"]), m.Subscription)
	if m.Fault == nil {
		require.Equal(t, modelPresent(want["ext"]), m.Ext)
		require.Equal(t, modelPresent(want["advice"]), m.Advice)
	}
	if m.Successful != nil {
		require.Equal(t, string(want["successful"]), map[bool]string{true: "true", false: "false"}[*m.Successful])
	}
	require.Equal(t, modelString(want["error"]), m.Error)
	seen := map[string]bool{}
	for _, f := range m.Fields {
		require.Equal(t, string(want[f.Name]), string(f.Value), "%q", f.Name)
		require.False(t, seen[f.Name], "%q comes twice", f.Name)
		seen[f.Name] = true
	}
	for name := range want {
		switch name {
		case "channel", "clientId", "id", "data", "subscription", "ext", "advice", "successful", "error":
		default:
			require.True(t, seen[name], "%q is lost", name)
		}
	}
	checkFault(t, want, m.Fault)
}

// checkFault: there is one if and only if a known field has the wrong type
// [R-MSG-11].
func checkFault(t *testing.T, want map[string]json.RawMessage, fault *Error) {
	t.Helper()
	wrong := map[string]bool{}
	for name, first := range map[string]byte{"channel": '"', "clientId": '"', "ext": '{', "advice": '{'} {
		value := modelPresent(want[name])
		wrong[name] = value != nil && value[0] != first
	}
	var advice map[string]json.RawMessage
	if json.Unmarshal(want["advice"], &advice) == nil {
		for _, name := range []string{"timeout", "interval"} {
			value := modelPresent(advice[name])
			wrong["advice"] = wrong["advice"] || value != nil && value[0] != '-' && !digit(value[0])
		}
	}
	if fault != nil {
		require.True(t, wrong[fault.Text], fault.Error())
		return
	}
	for name, is := range wrong {
		require.False(t, is, name)
	}
}

// detached returns copies that say nothing of where messages are kept.
func detached(batch []*Message) []*Message {
	all := make([]*Message, len(batch))
	for i, m := range batch {
		all[i] = m.Detached()
	}
	return all
}

// FuzzDecode compares with encoding/json, and encodes again what was decoded.
// What we refuse and encoding/json takes is invalid UTF-8 [R-MSG-16].
func FuzzDecode(f *testing.F) {
	for _, c := range corpus(f) {
		f.Add([]byte(c[0]))
	}
	f.Add([]byte("[{\"data\":\"\xff\"}]"))
	f.Add([]byte(strings.Repeat("[", 70)))
	f.Fuzz(func(t *testing.T, body []byte) {
		want, ok := modelBatch(body)
		given := bytes.Clone(body)
		msgs, err := Decode(given, Limits{})
		require.Equal(t, body, given)
		require.Equal(t, ok, err == nil, "%v", err)
		if err != nil {
			var bad *DecodeError
			require.ErrorAs(t, err, &bad)
			return
		}
		clear(given)
		require.Len(t, msgs, len(want))
		for i, m := range msgs {
			checkMessage(t, want[i], m)
			_ = m.Validate(Limits{})
			m.Fault = nil
		}
		text := AppendBatch(nil, msgs)
		again, err := Decode(text, Limits{Depth: -1})
		require.NoError(t, err, "%s", text)
		require.Equal(t, detached(msgs), detached(again))
		require.Equal(t, string(text), string(AppendBatch(nil, again)))
	})
}

// FuzzValidate compares the scanner with encoding/json.
func FuzzValidate(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}],"c":"\u00e9"}`, `-1.5e+3`, `"\ud800"`, `[[[]]]`, `tru`, "\"\xff\"", `{"a":1,}`, " 0 "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		want := utf8.Valid(text) && json.Valid(text) && depthOf(text) <= 64
		require.Equal(t, want, Validate(text, 0) == nil, "%q", text)
	})
}

// FuzzString: what AppendString writes, encoding/json and unquote read alike
// [R-MSG-15].
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c/d", "\x00\n\x1f\x7f", "é😀\u2028\u2029</", "\xff\xfe", "x\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := AppendString([]byte("x"), s)[1:]
		var back string
		require.NoError(t, json.Unmarshal(quoted, &back))
		require.Equal(t, string([]rune(s)), back)
		require.NoError(t, Validate(quoted, 0))
		require.Equal(t, back, string(unquote(quoted)))
		// The other way round, from a spelling that escapes all it can.
		escaped, err := json.Marshal(s)
		require.NoError(t, err)
		require.Equal(t, back, string(unquote(escaped)))
	})
}

// FuzzExt sets, reads and removes a member of any object; a map is the model.
func FuzzExt(f *testing.F) {
	f.Add([]byte(`{"ack":true,"x" : [ 1 ]}`), "ack", []byte(`5`))
	f.Add([]byte(`{"\u0061ck":1,"b":2,"ack":3}`), "ack", []byte(`{}`))
	f.Add([]byte(`{}`), "a\"b", []byte(`null`))
	f.Add([]byte(`null`), "", []byte(`1`))
	f.Add([]byte(`[1]`), "x", []byte(`1`))
	f.Add([]byte(nil), "x", []byte(nil))
	f.Add([]byte(`{"a":1}`), "a", []byte(nil))
	f.Fuzz(func(t *testing.T, ext []byte, name string, value []byte) {
		if !utf8.Valid(ext) || !utf8.ValidString(name) || len(value) > 0 && Validate(value, 0) != nil {
			return
		}
		if bytes.ContainsAny(value, " \t\r\n") {
			return // The value is written as it is; the model would trim it.
		}
		given := bytes.Clone(ext)
		var model map[string]json.RawMessage
		valid := json.Unmarshal(ext, &model) == nil && model != nil
		if !valid {
			model = map[string]json.RawMessage{}
		}
		old, ok := ExtMember(ext, name)
		require.Equal(t, string(model[name]), string(old))
		require.Equal(t, model[name] != nil, ok)

		out := SetExtMember(ext, name, value)
		require.Equal(t, given, ext)
		if delete(model, name); len(value) > 0 {
			model[name] = value
		}
		if out == nil {
			require.Empty(t, model)
			return
		}
		var got map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(out, &got), "%s", out)
		require.Len(t, got, len(model))
		for k, v := range model {
			require.Equal(t, string(v), string(got[k]))
		}
	})
}

// modelMillis reads a JSON number exactly, and ok tells whether its exponent is
// small enough to do that.
func modelMillis(number string) (d time.Duration, ok bool) {
	if i := strings.IndexAny(number, "eE"); i >= 0 && len(number)-i > 5 {
		return 0, false
	}
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		return 0, false
	}
	ms := new(big.Int).Quo(r.Num(), r.Denom()) // truncates
	switch limit := big.NewInt(longest.Milliseconds()); {
	case ms.Sign() < 0:
		return -1, true
	case ms.Cmp(limit) >= 0:
		return longest, true
	}
	return time.Duration(ms.Int64()) * time.Millisecond, true
}

// FuzzAdvice compares the times with exact arithmetic [R-CN-6] [R-CN-14].
func FuzzAdvice(f *testing.F) {
	for _, s := range []string{
		`{}`, `null`, ``, `{"timeout":0}`, `{"timeout":-1,"interval":60000}`, `{"timeout":1.9}`, `{"timeout":1e400}`,
		`{"interval":-0.5}`, `{"interval":12e-1,"timeout":null}`, `{"timeout":"0"}`, `{"timeout":1,"timeout":2}`, `[]`,
		`{"t\u0069meout":9223372036854775807}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ParseAdvice(raw)
		if Validate(raw, -1) != nil {
			return // Decode lets no such text through; only not to panic.
		}
		var model map[string]json.RawMessage
		switch {
		case modelPresent(bytes.TrimSpace(raw)) == nil:
			return
		case json.Unmarshal(raw, &model) != nil:
			require.Error(t, err)
		}
		if err != nil {
			require.Equal(t, ClientAdvice{Timeout: -1, Interval: -1}, got)
			return
		}
		require.True(t, got.Present)
		for name, d := range map[string]time.Duration{"timeout": got.Timeout, "interval": got.Interval} {
			require.LessOrEqual(t, d, longest)
			value := modelPresent(model[name])
			if value == nil {
				require.EqualValues(t, -1, d)
				continue
			}
			if want, ok := modelMillis(string(value)); ok && len(value) <= 15 {
				require.Equal(t, want, d, "%s", value)
			}
		}
		m := &Message{Advice: raw}
		m.SetAdviceTimeout(1500 * time.Millisecond)
		after := m.ClientAdvice()
		require.Equal(t, 1500*time.Millisecond, after.Timeout)
		require.Equal(t, got.Interval, after.Interval)
	})
}

// FuzzSubscription compares with encoding/json [R-SB-2].
func FuzzSubscription(f *testing.F) {
	for _, s := range []string{`"/a"`, `["/a","/b"]`, `[]`, `[1]`, `[["/a"]]`, `5`, `null`, ``, ` [ "\u002fa" ] `, `["/a",]`, `["/a" "/b"]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if Validate(raw, 0) != nil {
			_, _, _ = ParseSubscription(raw) // only not to panic
			return
		}
		names, array, err := ParseSubscription(raw)
		var one *string
		var list []*string
		switch {
		case json.Unmarshal(raw, &one) == nil && one != nil:
			require.Nil(t, err)
			require.False(t, array)
			require.Equal(t, []string{*one}, names)
		case json.Unmarshal(raw, &list) == nil && len(list) > 0:
			require.True(t, array)
			for i, name := range list {
				if name == nil {
					require.Equal(t, ErrSubscriptionInvalid, err)
					return
				}
				require.Nil(t, err)
				require.Equal(t, *name, names[i])
			}
			require.Len(t, names, len(list))
		case strings.TrimSpace(string(raw)) == "null":
			require.Equal(t, ErrSubscriptionMissing, err)
		default:
			require.Equal(t, ErrSubscriptionInvalid, err)
		}
	})
}
