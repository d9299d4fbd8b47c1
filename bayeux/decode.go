package bayeux

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// DecodeKind tells what is wrong with a body.
type DecodeKind int

// Kinds of decode errors. All are answered with HTTP 400; a WebSocket is
// closed with 1008 for DecodeBatch and with 1011 for the others.
const (
	// DecodeSyntax: not JSON, or not UTF-8.
	DecodeSyntax DecodeKind = iota + 1
	// DecodeDepth: more open brackets than Limits.Depth.
	DecodeDepth
	// DecodeBatch: more messages than Limits.Batch.
	DecodeBatch
	// DecodeShape: JSON, but neither an object nor an array of objects.
	DecodeShape
)

// String returns the name of the kind.
func (k DecodeKind) String() string {
	switch k {
	case DecodeSyntax:
		return "syntax"
	case DecodeDepth:
		return "depth"
	case DecodeBatch:
		return "batch"
	case DecodeShape:
		return "shape"
	}
	return "kind " + strconv.Itoa(int(k))
}

// DecodeError says why a body is no batch of messages. It holds nothing of the
// body, so it may be logged and shown.
type DecodeError struct {
	Kind DecodeKind
	// Offset is the position in bytes where the error was noticed.
	Offset int
	// Text says what was wrong there.
	Text string
}

// Error returns the kind, the text and the offset.
func (e *DecodeError) Error() string {
	return "bayeux: " + e.Kind.String() + ": " + e.Text + " at byte " + strconv.Itoa(e.Offset)
}

// Decode reads a batch: an array of messages, or a single one ([R-MSG-1]). An
// empty array gives an empty slice. Decode copies what it keeps: body may be
// reused as soon as it has returned. The messages of one batch share one copy,
// apart from their strings.
//
// The error is a *DecodeError, and refuses the batch as a whole ([R-HT-7],
// [R-HT-8]). A known field of the wrong type is no error of the batch: that
// message has its Fault set, and keeps all that could be read ([R-MSG-11]).
//
// Of a key that comes twice the last value counts, also where the two are
// spelt differently by escapes. Null means absent in all fields that the
// server has a name for.
func Decode(body []byte, lim Limits) ([]*Message, error) {
	if err := checkUTF8(body); err != nil {
		return nil, err
	}
	return DecodeText(bytes.Clone(body), lim)
}

// DecodeText is Decode of a body that is known to be UTF-8 and belongs to the
// messages from now on: nothing of it is copied but strings.
func DecodeText(body []byte, lim Limits) ([]*Message, error) {
	lim = lim.WithDefaults()
	d := decoder{scanner: scanner{src: body, max: lim.Depth}, batch: lim.Batch}
	list, err := d.list()
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// decoder reads envelopes. Values inside are skipped by the scanner and kept.
type decoder struct {
	scanner
	batch int
	env   envelope
	last  *Message // the one before; nil: there is none
}

// envelope is what is known of one message before its end is reached.
type envelope struct {
	channel, id, clientID []byte
	successful, failure   Raw // as they came; failure is the field "error"
	wrong                 [typedFields]bool
	names                 map[string]int // positions in Fields, once there are many
}

// The fields whose type is checked, in the order in which a Fault names them.
const (
	typedChannel = iota
	typedClientID
	typedExt
	typedAdvice
	typedFields
)

// manyMessages bounds the memory that is made for messages which may not come.
const manyMessages = 32

// fewFields is how many unknown fields a handshake has.
const fewFields = 4

// manyFields is where looking through all unknown fields becomes slower than
// keeping a map of them; a body can have a hundred thousand.
const manyFields = 16

func (d *decoder) list() ([]*Message, *DecodeError) {
	switch d.peek() {
	case 0:
		if d.pos == len(d.src) {
			return nil, d.fail(DecodeShape, "empty body")
		}
	case '{':
		if d.batch == 0 {
			return nil, d.fail(DecodeBatch, "too many messages")
		}
		mem := new(memory)
		mem.list[0] = &mem.message
		return mem.list[:], d.message(mem)
	case '[':
		if err := d.open(false); err != nil {
			return nil, err
		}
		if d.peek() == ']' {
			d.close()
			return []*Message{}, nil
		}
		return d.elements()
	}
	return nil, d.misshapen()
}

// elements reads the messages of an array that is not empty.
func (d *decoder) elements() ([]*Message, *DecodeError) {
	mem := new(memory)
	list := mem.list[:0]
	var more []memory
	for start := d.pos; ; {
		if d.peek() != '{' {
			return nil, d.misshapen()
		}
		if d.batch >= 0 && len(list) >= d.batch {
			return nil, d.fail(DecodeBatch, "too many messages")
		}
		if err := d.message(mem); err != nil {
			return nil, err
		}
		list = append(list, &mem.message)
		switch d.peek() {
		case ',':
			d.pos++
			if len(more) == 0 {
				// As many as there would be, were the others as long.
				n := (len(d.src) - d.pos) * len(list) / (d.pos - start)
				more = make([]memory, max(1, min(n, manyMessages)))
				list = slices.Grow(list, len(more))
			}
			mem, more = &more[0], more[1:]
		case ']':
			d.close()
			return list, nil
		default:
			return nil, d.fail(DecodeSyntax, "comma or closing bracket expected")
		}
	}
}

// misshapen says why the value at the position is no message: it is no JSON at
// all, or something else than an object.
func (d *decoder) misshapen() *DecodeError {
	start := d.pos
	if err := d.value(); err != nil {
		return err
	}
	d.pos = start
	return d.fail(DecodeShape, "message expected")
}

// message reads the object at the position.
func (d *decoder) message(mem *memory) *DecodeError {
	m := &mem.message
	m.memory = mem
	if err := d.open(true); err != nil {
		return err
	}
	d.env = envelope{}
	for first := true; ; first = false {
		key, ok, err := d.member(first)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		value, err := d.raw()
		if err != nil {
			return err
		}
		d.field(m, key, value)
	}
	d.env.finish(m, d.last)
	d.last = m
	return nil
}

func (d *decoder) field(m *Message, key []byte, value Raw) {
	e := &d.env
	switch string(key) {
	case fieldChannel:
		e.channel, m.HasChannel = e.text(value, typedChannel)
	case fieldClientID:
		e.clientID, _ = e.text(value, typedClientID)
	case fieldID:
		e.id, m.HasID = idText(value)
	case fieldData:
		m.Data = value // null is a value, and passed on [R-PB-5]
	case fieldSubscription:
		m.Subscription = present(value)
	case fieldExt:
		m.Ext = e.object(value, typedExt)
	case fieldAdvice:
		m.Advice = e.object(value, typedAdvice)
		if _, err := ParseAdvice(m.Advice); err != nil {
			e.wrong[typedAdvice] = true
		}
	case fieldSuccessful:
		e.successful = present(value)
	case fieldError:
		e.failure = present(value)
	default:
		e.unknown(m, key, value)
	}
}

// present returns nil for null.
func present(value Raw) Raw {
	if len(value) == 0 || value[0] == 'n' {
		return nil
	}
	return value
}

// text returns the characters of a field that has to be a string ([R-MSG-11]).
func (e *envelope) text(value Raw, field int) (text []byte, ok bool) {
	ok = value[0] == '"'
	e.wrong[field] = !ok && value[0] != 'n'
	if ok {
		text = unquote(value)
	}
	return text, ok
}

// object returns a field that has to be an object ([R-MSG-11]).
func (e *envelope) object(value Raw, field int) Raw {
	ok := value[0] == '{'
	e.wrong[field] = !ok && value[0] != 'n'
	if !ok {
		return nil
	}
	return value
}

// idText returns the id as text: a number as its digits, anything else that is
// no string as it is written ([R-MSG-6]).
func idText(value Raw) (text []byte, ok bool) {
	switch value[0] {
	case 'n':
		return nil, false
	case '"':
		return unquote(value), true
	}
	return value, true
}

// unknown keeps a field among the Fields, each name once.
func (e *envelope) unknown(m *Message, key []byte, value Raw) {
	if at, ok := e.find(m, key); ok {
		m.Fields[at].Value = value
		return
	}
	name := fieldName(key)
	switch len(m.Fields) {
	case 0:
		m.Fields = m.memory.field[:0]
	case 1:
		m.Fields = slices.Grow(m.Fields, fewFields-1) // a connect has one, a handshake more
	}
	m.Fields = append(m.Fields, Field{Name: name, Value: value})
	if e.names != nil {
		e.names[name] = len(m.Fields) - 1
	}
}

func (e *envelope) find(m *Message, key []byte) (at int, ok bool) {
	if len(m.Fields) < manyFields {
		for at := range m.Fields {
			if m.Fields[at].Name == string(key) {
				return at, true
			}
		}
		return 0, false
	}
	if e.names == nil {
		e.names = make(map[string]int, 2*manyFields)
		for at := range m.Fields {
			e.names[m.Fields[at].Name] = at
		}
	}
	at, ok = e.names[string(key)]
	return at, ok
}

// finish fills in what is known only at the message's end. The strings get
// memory of their own, so that keeping a channel's name or a session's id does
// not keep the body. What the message before has as well, it shares.
func (e *envelope) finish(m, last *Message) {
	m.Channel = metaName(e.channel)
	if last != nil {
		if m.Channel == "" && string(e.channel) == last.Channel {
			m.Channel = last.Channel
		}
		if string(e.clientID) == last.ClientID {
			m.ClientID = last.ClientID
		}
	}
	if m.Channel != "" {
		e.channel = nil
	}
	if m.ClientID != "" {
		e.clientID = nil
	}
	if n, k := len(e.channel), len(e.channel)+len(e.id); k+len(e.clientID) > 0 {
		var b strings.Builder
		b.Grow(k + len(e.clientID))
		b.Write(e.channel)
		b.Write(e.id)
		b.Write(e.clientID)
		all := b.String()
		m.ID = all[n:k]
		if n > 0 {
			m.Channel = all[:n]
		}
		if len(all) > k {
			m.ClientID = all[k:]
		}
	}
	e.lenient(m)
	for field, name := range [typedFields]string{fieldChannel, fieldClientID, fieldExt, fieldAdvice} {
		if e.wrong[field] {
			m.Fault = &Error{Code: 400, Text: name} // [R-MSG-11]
			break
		}
	}
	if e.wrong[typedAdvice] {
		m.Advice = nil
	}
}

// lenient fills in the fields that only replies need. Of another type, or as an
// empty error, they are like any unknown field: a client may publish them, and
// Broadcast decides whether they pass ([R-PB-6]).
func (e *envelope) lenient(m *Message) {
	switch v := e.successful; {
	case v == nil:
	case v[0] == 't', v[0] == 'f':
		m.Succeed(v[0] == 't')
	default:
		m.Fields = append(m.Fields, Field{Name: fieldSuccessful, Value: v})
	}
	switch v := e.failure; {
	case v == nil:
	case v[0] == '"' && len(v) > len(`""`):
		m.Error = string(unquote(v))
	default:
		m.Fields = append(m.Fields, Field{Name: fieldError, Value: v})
	}
}
