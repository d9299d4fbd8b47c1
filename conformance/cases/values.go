package cases

import (
	"github.com/halleypush/halley/conformance/suite"
)

// publishFields is about what of the published message a subscriber gets.
func publishFields() []Case {
	return []Case{
		{
			ID: "BX-PB-06", Title: "a message reaches its subscriber with channel and data", Level: MUST, Spec: "Delivery", Rules: rules("R-PB-6"),
			Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, M{"a": []int{1, 2}, "b": nil}).Successful()
				c.Receive(ch).Want("channel", ch).Want("data", M{"a": []int{1, 2}, "b": nil})
			},
		},
		{
			ID: "BX-PB-07", Title: "a message is delivered with channel and data alone: no id, no client id", Level: COMETD, Spec: "Delivery",
			Rules: rules("R-PB-6"), Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				t.Helper().Publish(ch, "x", M{"id": "p1"}).Successful()
				c.Receive(ch).Want("data", "x").Only("channel", "data")
			},
		},
		{
			ID: "BX-PB-08", Title: "the publisher's own copy has no id and no client id either", Level: COMETD, Rules: rules("R-PB-6", "R-PB-11"),
			Needs: needs(suite.NeedDelivery), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				c.Publish(ch, "x", M{"id": "p1"}).Successful()
				c.Receive(ch).Want("data", "x").Only("channel", "data")
			},
		},
		{
			ID: "BX-PB-09", Title: "ext and fields that Bayeux does not know are delivered as they are", Level: COMETD, Rules: rules("R-PB-6"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				extra := M{
					"ext": M{"a": M{"b": []any{1, "x", nil}}}, "timestamp": "2011-01-01T00:00:00", "foo": M{"clientId": "c", "id": "i"},
					"subscription": "/bx", "lazy": true, "version": "0.9",
				}
				t.Helper().Publish(ch, M{"clientId": "c", "id": 1}, extra).Successful()
				m := c.Receive(ch).Want("data", M{"clientId": "c", "id": 1}).Lacks("id", "clientId")
				for name, value := range extra {
					m.Want(name, value)
				}
			},
		},
		{
			ID: "BX-PB-10", Title: "a publish cannot forge the advice or the success of a reply", Level: SHOULD, Rules: rules("R-PB-6"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				forged := M{"advice": M{"reconnect": "none"}, "successful": false, "error": "402::session_unknown"}
				t.Helper().Publish(ch, "x", forged).Successful()
				m := c.Receive(ch).Want("data", "x")
				for name := range forged {
					if _, ok := m.Get(name); ok {
						t.NonStrictf("the field %s of the publish reaches the subscriber", name)
					}
				}
				c.Publish(ch, "y").Successful()
			},
		},
		{
			ID: "BX-PB-11", Title: "a publish without data is granted, and delivered without data", Level: COMETD, Rules: rules("R-PB-5"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				other.Publish(ch, nil, M{"data": Absent, "foo": "bar"}).Successful()
				c.Receive(ch).Lacks("data", "id", "clientId").Want("foo", "bar")
			},
		},
		{
			ID: "BX-PB-12", Title: "each kind of JSON value is delivered as it was published", Level: MUST, Spec: "data", Rules: rules("R-PB-6"),
			Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				values := []any{
					"", "x", 0, -1, 1.5, true, false, []any{}, M{}, []any{nil, M{}}, M{"": M{"": ""}}, M{"n": nil}, 9007199254740991,
				}
				for _, v := range values {
					other.Publish(ch, v).Successful()
				}
				told(t, c.ReceiveAll(ch, len(values)), values...)
			},
		},
		{
			ID: "BX-PB-13", Title: "text of any script, and marks that JSON escapes, is delivered as it was published", Level: MUST, Spec: "data",
			Rules: rules("R-PB-6", "R-MSG-15"), Needs: needs(suite.NeedDelivery), On: Every | H2 | ES,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				text := "é ß ω и א ع 中 한 😀 👩\u200d👧 e\u0301 \u2028\u2029 \x00\x01\x1f\x7f \"\\/ <b>&amp;</b> '\t\r\n"
				t.Helper().Publish(ch, M{text: text}).Successful()
				c.Receive(ch).Want("data", M{text: text})
			},
		},
		{
			ID: "BX-PB-14", Title: "escaped text is delivered with the same meaning", Level: MUST, Spec: "data", Rules: rules("R-MSG-15"),
			Needs: needs(suite.NeedDelivery),
			Run:   func(t *T) { passes(t, `"\u00e9\ud83d\ude00\/\b\f\u2028</script>\u0000"`, false) },
		},
		{
			ID: "BX-PB-15", Title: "integers beyond 64 bits are delivered byte for byte", Level: SHOULD, Rules: rules("R-MSG-15"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				passes(t, `[9223372036854775807,9223372036854775808,-123456789012345678901234567890,18446744073709551616]`, true)
			},
		},
		{
			ID: "BX-PB-16", Title: "numbers keep the form that they were written in", Level: SHOULD, Rules: rules("R-MSG-15"),
			Needs: needs(suite.NeedDelivery),
			Run:   func(t *T) { passes(t, `[2.50,1e3,1E+2,-0,0.1e-7,3.141592653589793238462643383279]`, true) },
		},
		{
			ID: "BX-PB-17", Title: "the members of an object keep their order, and members of one name are all kept", Level: SHOULD,
			Rules: rules("R-MSG-15"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) { passes(t, `{"z":1,"a":{"y":2,"b":3},"m":[{"q":4,"c":5}],"z":6,"B":7,"A":8}`, true) },
		},
		{
			ID: "BX-PB-18", Title: "escapes in a value are delivered byte for byte", Level: SHOULD, Rules: rules("R-MSG-15"),
			Needs: needs(suite.NeedDelivery),
			Run:   func(t *T) { passes(t, `{"\u0061":"\u00e9\/\u003c\ud83d\ude00\u2028"}`, true) },
		},
		{
			ID: "BX-PB-19", Title: "ext and unknown fields are delivered byte for byte", Level: SHOULD, Rules: rules("R-MSG-15", "R-PB-6"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				value := `{"z":123456789012345678901234567890,"a":"\u00e9","n":1.0}`
				publishRaw(t, ch, "1", M{"ext": suite.Raw(value), "foo": suite.Raw(value)})
				c.Receive(ch).Want("data", 1).Bytes("ext", value).Bytes("foo", value)
			},
		},
		{
			ID: "BX-PB-20", Title: "data of 40 levels is delivered", Level: COMETD, Rules: rules("R-PB-6"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				var deep any = "end"
				for range 20 {
					deep = []any{M{"n": deep}}
				}
				t.Helper().Publish(ch, deep).Successful()
				c.Receive(ch).Want("data", deep)
			},
		},
		{
			ID: "BX-PB-41", Title: "arrays in arrays are delivered as they were published", Level: SHOULD, Spec: "data", Rules: rules("R-PB-6"),
			Needs: needs(suite.NeedDelivery),
			Run:   func(t *T) { passes(t, `[[],[[1,null],[]],{"a":[["x"]]}]`, false) },
		},
		{
			ID: "BX-PB-21", Title: "a message of 48 kB is delivered whole, and the next after it", Level: COMETD, Rules: rules("R-PB-6", "R-OUT-1"),
			Needs: needs(suite.NeedDelivery, suite.NeedLP), On: Every | H2,
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.SessionOn(LP)
				big := t.Random(48 << 10)
				other.Publish(ch, big).Successful()
				other.Publish(ch, "small").Successful()
				told(t, c.ReceiveAll(ch, 2), big, "small")
			},
		},
	}
}

// passes publishes a value and expects that it arrives: byte for byte, or at
// least with the same meaning.
func passes(t *T, value string, bytes bool) {
	c, ch := t.Connected(), t.Channel("a")
	c.Subscribe(ch).Successful()
	publishRaw(t, ch, value)
	m := c.Receive(ch)
	if bytes {
		m.Bytes("data", value)
		return
	}
	m.Want("data", suite.Raw(value))
}

// publishRaw has another session publish a value as it is written.
func publishRaw(t *T, channel, value string, over ...M) {
	t.Helper().Publish(channel, suite.Raw(value), over...).Successful()
}
