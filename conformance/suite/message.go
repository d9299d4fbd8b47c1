package suite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// M is a message to send, or a part of one. A json.RawMessage in it goes out
// byte for byte.
type M map[string]any

type absent string

// Absent as a value in the changes to a message removes the field.
const Absent absent = "absent"

// Raw is JSON that goes out byte for byte.
func Raw(text string) json.RawMessage { return json.RawMessage(text) }

// with returns a copy with changes.
func (m M) with(changes ...M) M {
	out := maps.Clone(m)
	for _, change := range changes {
		for k, v := range change {
			if v == Absent {
				delete(out, k)
			} else {
				out[k] = v
			}
		}
	}
	return out
}

// Message is a message that came from the server: a reply, or a delivery.
// The expectations note a failure where they are not met, and the case goes
// on; they return the message itself, for more of them.
type Message struct {
	Raw  json.RawMessage // as it came
	At   time.Time       // when it had arrived
	Unit int             // the how manieth response or frame of its client it came in, from 1

	t      *Record
	fields map[string]json.RawMessage
	asked  M // the request; nil for a delivery
}

// Parse reads a message; ok is false if it is no object.
func (r *Record) Parse(raw json.RawMessage) (m *Message, ok bool) {
	m = &Message{Raw: raw, At: time.Now(), t: r}
	err := json.Unmarshal(raw, &m.fields)
	return m, err == nil && m.fields != nil
}

func (m *Message) what() string {
	if m.asked == nil {
		return "message " + short(m.Raw)
	}
	return fmt.Sprintf("reply %s", short(m.Raw))
}

func short(raw []byte) string {
	const most = 300
	if len(raw) > most {
		return string(raw[:most]) + "…"
	}
	return string(raw)
}

// Get returns the value at a path such as "advice.timeout"; ok is false if
// there is none. A JSON null is a value.
func (m *Message) Get(path string) (value json.RawMessage, ok bool) {
	fields := m.fields
	for {
		name, rest, deeper := strings.Cut(path, ".")
		value, ok = fields[name]
		if !ok || !deeper {
			return value, ok
		}
		fields = nil
		if json.Unmarshal(value, &fields) != nil {
			return nil, false
		}
		path = rest
	}
}

// Text returns a string, or "" if the value is none.
func (m *Message) Text(path string) string {
	var s string
	if v, ok := m.Get(path); ok {
		_ = json.Unmarshal(v, &s)
	}
	return s
}

// Number returns a number; ok is false if the value is none.
func (m *Message) Number(path string) (n float64, ok bool) {
	v, ok := m.Get(path)
	if !ok || bytes.Equal(v, []byte("null")) {
		return 0, false
	}
	return n, json.Unmarshal(v, &n) == nil
}

// Strings returns an array of strings, or nil if the value is none.
func (m *Message) Strings(path string) []string {
	var all []string
	if v, ok := m.Get(path); ok && json.Unmarshal(v, &all) != nil {
		return nil
	}
	return all
}

// Channel returns the channel.
func (m *Message) Channel() string { return m.Text("channel") }

// OK tells whether the reply has "successful":true.
func (m *Message) OK() bool {
	v, _ := m.Get("successful")
	return string(v) == "true"
}

// Successful expects "successful":true.
func (m *Message) Successful() *Message {
	m.t.Check(m.OK(), "%s: want successful true", m.what())
	return m
}

// Failed expects "successful":false and an error that begins with one of the
// given texts, such as "402" or "403::subscription_invalid". Without any, the
// error may be anything, or missing.
func (m *Message) Failed(errors ...string) *Message {
	v, _ := m.Get("successful")
	m.t.Check(string(v) == "false", "%s: want successful false", m.what())
	text := m.Text("error")
	for _, want := range errors {
		if strings.HasPrefix(text, want) {
			return m
		}
	}
	if len(errors) > 0 {
		m.t.Failf("%s: error is %q, want it to begin with %s", m.what(), text, strings.Join(errors, " or "))
	}
	return m
}

// Want expects a value, compared as JSON: numbers by value, objects without
// regard to the order of their fields.
func (m *Message) Want(path string, value any) *Message {
	want, err := json.Marshal(value)
	if err != nil {
		m.t.Brokenf("the case expects what is no JSON: %v", err)
	}
	got, ok := m.Get(path)
	switch {
	case !ok:
		m.t.Failf("%s: %s is missing, want %s", m.what(), path, want)
	case !sameJSON(got, want):
		m.t.Failf("%s: %s is %s, want %s", m.what(), path, short(got), want)
	}
	return m
}

// Has expects that the fields are there and not null.
func (m *Message) Has(paths ...string) *Message {
	for _, path := range paths {
		v, ok := m.Get(path)
		m.t.Check(ok && string(v) != "null", "%s: %s is missing", m.what(), path)
	}
	return m
}

// Lacks expects that the fields are not there.
func (m *Message) Lacks(paths ...string) *Message {
	for _, path := range paths {
		_, ok := m.Get(path)
		m.t.Check(!ok, "%s: %s is there, want none", m.what(), path)
	}
	return m
}

// Only expects that the message has no fields but these, of which some may be
// missing.
func (m *Message) Only(names ...string) *Message {
	allowed := map[string]bool{}
	for _, n := range names {
		allowed[n] = true
	}
	for name := range m.fields {
		m.t.Check(allowed[name], "%s: field %s is there, want none but %s", m.what(), name, strings.Join(names, ", "))
	}
	return m
}

// Bytes expects that a value came through byte for byte.
func (m *Message) Bytes(path, want string) *Message {
	got, ok := m.Get(path)
	m.t.Check(ok && string(got) == want, "%s: %s is %s, want it byte for byte as %s", m.what(), path, short(got), want)
	return m
}

// Advice expects a value of advice.reconnect.
func (m *Message) Advice(reconnect string) *Message { return m.Want("advice.reconnect", reconnect) }

// sameJSON compares two JSON values.
func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	one, err1 := json.Marshal(x)
	two, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && bytes.Equal(one, two)
}
