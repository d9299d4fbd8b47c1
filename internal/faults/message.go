package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

// message is one Bayeux message as it passes: its fields in their order, each
// value as the bytes it came in. One that is not changed leaves as it came.
type message struct {
	raw     []byte // as it came; nil when it was made here
	fields  []field
	changed bool
}

type field struct {
	name  string
	value json.RawMessage
}

var errShape = errors.New("not a message or an array of messages")

// parseBatch reads one message or an array of messages.
func parseBatch(text []byte) (msgs []*message, array bool, err error) {
	trimmed := bytes.TrimSpace(text)
	if len(trimmed) == 0 {
		return nil, false, errShape
	}
	if trimmed[0] == '{' {
		m, err := parseMessage(trimmed)
		return []*message{m}, false, err
	}
	var elements []json.RawMessage
	if trimmed[0] != '[' || json.Unmarshal(trimmed, &elements) != nil {
		return nil, false, errShape
	}
	for _, e := range elements {
		m, err := parseMessage(e)
		if err != nil {
			return nil, false, err
		}
		msgs = append(msgs, m)
	}
	return msgs, true, nil
}

func parseMessage(text []byte) (*message, error) {
	fields, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	return &message{raw: bytes.Clone(text), fields: fields}, nil
}

// parseObject reads the members of an object in their order.
func parseObject(text []byte) ([]field, error) {
	if !json.Valid(text) {
		return nil, errShape
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errShape
	}
	var fields []field
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string)
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		fields = append(fields, field{name, value})
	}
	return fields, nil
}

// made returns a message that is written here.
func made(text string) *message {
	m, err := parseMessage([]byte(text))
	if err != nil {
		return &message{changed: true}
	}
	return m
}

// bytes returns the message as it leaves.
func (m *message) bytes() []byte {
	if !m.changed {
		return m.raw
	}
	return encodeObject(m.fields)
}

func encodeObject(fields []field) []byte {
	out := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, quote(f.name)...)
		out = append(out, ':')
		out = append(out, f.value...)
	}
	return append(out, '}')
}

// clone returns a copy that may be changed apart.
func (m *message) clone() *message {
	return &message{raw: m.raw, fields: slices.Clone(m.fields), changed: m.changed}
}

func (m *message) index(name string) int {
	return slices.IndexFunc(m.fields, func(f field) bool { return f.name == name })
}

// has tells whether the message has a field, be it null.
func (m *message) has(name string) bool { return m.index(name) >= 0 }

// get returns the JSON text of a field, empty if there is none.
func (m *message) get(name string) string {
	if i := m.index(name); i >= 0 {
		return string(m.fields[i].value)
	}
	return ""
}

// str returns a field that is a string, empty if it is none.
func (m *message) str(name string) string {
	var s string
	if json.Unmarshal([]byte(m.get(name)), &s) != nil {
		return ""
	}
	return s
}

// set gives a field a value, which is JSON, in its place or at the end.
func (m *message) set(name, value string) {
	m.changed = true
	if i := m.index(name); i >= 0 {
		m.fields[i].value = json.RawMessage(value)
		return
	}
	m.fields = append(m.fields, field{name, json.RawMessage(value)})
}

// setStr gives a field a string.
func (m *message) setStr(name, value string) { m.set(name, quote(value)) }

// del removes fields.
func (m *message) del(names ...string) {
	n := len(m.fields)
	m.fields = slices.DeleteFunc(slices.Clone(m.fields), func(f field) bool { return slices.Contains(names, f.name) })
	m.changed = m.changed || len(m.fields) != n
}

// member returns a member of a field that is an object, as JSON.
func (m *message) member(name, member string) string {
	fields, err := parseObject([]byte(m.get(name)))
	if err != nil {
		return ""
	}
	return (&message{fields: fields}).get(member)
}

// setMember sets a member of a field that is an object, or makes the object.
func (m *message) setMember(name, member, value string) {
	fields, err := parseObject([]byte(m.get(name)))
	if err != nil {
		fields = nil
	}
	inner := &message{fields: fields}
	inner.set(member, value)
	m.set(name, string(encodeObject(inner.fields)))
}

// delMember removes a member of a field that is an object.
func (m *message) delMember(name, member string) {
	fields, err := parseObject([]byte(m.get(name)))
	if err != nil {
		return
	}
	inner := &message{fields: fields}
	if inner.del(member); inner.changed {
		m.set(name, string(encodeObject(inner.fields)))
	}
}

// millis returns a member of the message's advice that is a number.
func (m *message) millis(member string) (int, bool) {
	n, err := strconv.Atoi(m.member("advice", member))
	return n, err == nil
}

func (m *message) channel() string { return m.str("channel") }

// reply tells whether the message answers another: it says how that went. The
// disconnect that a server pushes has no id and is no reply.
func (m *message) reply() bool {
	if m.channel() == metaDisconnect && !m.has("id") && m.str("error") == "" && !m.has("subscription") {
		return false
	}
	return m.has("successful") && !m.has("data")
}

func (m *message) ok() bool { return m.get("successful") == "true" }

// succeed makes a reply a successful one.
func (m *message) succeed() {
	m.set("successful", "true")
	m.del("error", "advice")
}

// fail makes a reply a failed one.
func (m *message) fail(text string) {
	m.set("successful", "false")
	m.setStr("error", text)
}

// encodeBatch writes messages as an array.
func encodeBatch(msgs []*message) []byte {
	out := []byte{'['}
	for i, m := range msgs {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, m.bytes()...)
	}
	return append(out, ']')
}

// quote writes a string as JSON without escapes that are not needed.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `""`
	}
	return string(bytes.TrimRight(b.Bytes(), "\n"))
}
