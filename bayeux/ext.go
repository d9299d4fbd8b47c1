package bayeux

// ExtMember returns the value of a member of an ext object, a part of ext that
// must not be changed. Of a name that comes twice the last value counts; null
// is a value. Where ext is no object it has no members.
func ExtMember(ext Raw, name string) (Raw, bool) {
	if ext == nil {
		return nil, false
	}
	var value Raw
	err := eachMember(ext, func(m member) *DecodeError {
		if string(m.key) == name {
			value = m.value
		}
		return nil
	})
	if err != nil {
		return nil, false
	}
	return value, value != nil
}

// SetExtMember returns an ext object in which the member has the value, one of
// JSON; nil removes it. The other members are kept byte for byte, and ext
// itself is not changed. The result is nil when nothing is left. An ext that is
// nil, null or no object counts as empty.
func SetExtMember(ext Raw, name string, value Raw) Raw { return setMember(ext, name, value) }

// ExtMember returns the value of a member of the message's ext; see the
// function ExtMember.
func (m *Message) ExtMember(name string) (Raw, bool) { return ExtMember(m.Ext, name) }

// SetExt sets a member of the message's ext, or removes it when value is nil;
// see SetExtMember. The message must not be shared; see Edit.
func (m *Message) SetExt(name string, value Raw) { m.Ext = SetExtMember(m.Ext, name, value) }

// setMember is SetExtMember for any object. Where the name comes twice, the
// value takes the first place.
func setMember(obj Raw, name string, value Raw) Raw {
	start := func() object {
		return object{dst: append(make([]byte, 0, len(obj)+len(name)+len(value)+len(`{"":,}`)), '{')}
	}
	o, found := start(), false
	err := eachMember(obj, func(m member) *DecodeError {
		switch {
		case string(m.key) != name:
			o.copied(m.text)
		case !found:
			o.raw(name, value)
			found = true
		}
		return nil
	})
	if err != nil {
		o, found = start(), false
	}
	if !found {
		if len(value) == 0 && err == nil {
			return obj
		}
		o.raw(name, value)
	}
	if !o.more {
		return nil
	}
	return append(o.dst, '}')
}

// member is a member of an object.
type member struct {
	key   []byte // unquoted
	text  []byte // from the key's quote to the value's end
	value Raw
	at    int // position of the value
}

// eachMember calls f with the members of a JSON object in their order, up to
// its first error. It reports anything but a single object as an error.
func eachMember(raw Raw, f func(member) *DecodeError) error {
	s := scanner{src: raw, max: -1}
	if s.peek() != '{' {
		return s.fail(DecodeShape, "object expected")
	}
	_ = s.open(true) // No limit, no error.
	for first := true; ; first = false {
		key, ok, err := s.member(first)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		m, start := member{key: key}, s.mark
		if m.value, err = s.raw(); err != nil {
			return err
		}
		m.at, m.text = s.pos-len(m.value), raw[start:s.pos]
		if err := f(m); err != nil {
			return err
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	return nil
}
