package cases

import (
	"maps"
	"slices"
	"time"

	"github.com/halleypush/halley/conformance/suite"
)

// clocks is about the timesync extension.
func clocks() []Case {
	return []Case{
		{
			ID: "BX-TS-08", Title: "the declared extension is there", Level: COMETD, Rules: rules("R-TS-1"), Needs: needs(suite.NeedExtensions),
			Run: func(t *T) {
				if !slices.Contains(t.Fixture().Extensions, "timesync") {
					t.Skipf("the fixture does not declare it")
				}
				t.Client().Handshake(clock(1, M{"l": 0, "o": 0})).Successful().Has("ext.timesync.tc", "ext.timesync.ts")
			},
		},
		{
			ID: "BX-TS-01", Title: "a handshake with a clock is answered with tc as it came, ts and p", Level: COMETD, Rules: rules("R-TS-1"),
			Needs: needs(suite.NeedTimesync), On: Every | H2,
			Run: func(t *T) {
				tc := time.Now().UnixMilli()
				r := t.Client().Handshake(clock(tc, M{"l": 0, "o": 0})).Successful()
				r.Want("ext.timesync.tc", tc).Has("ext.timesync.ts", "ext.timesync.p", "ext.timesync.a")
				ts, _ := r.Number("ext.timesync.ts")
				a, _ := r.Number("ext.timesync.a")
				t.Check(a == float64(tc)-ts, "a is %v, want tc - ts = %v", a, float64(tc)-ts)
			},
		},
		{
			ID: "BX-TS-02", Title: "ts is the time of the receipt, in milliseconds since 1970, and p the time until the reply left", Level: COMETD,
			Rules: rules("R-TS-1", "R-TS-2"), Needs: needs(suite.NeedTimesync, suite.NeedHold),
			Run: func(t *T) {
				c := t.Connected()
				r := c.Connect(clock(1, nil)).Successful()
				p, ok := r.Number("ext.timesync.p")
				hold := float64(t.Hold().Milliseconds())
				t.Check(ok && p > hold*8/10 && p < hold*13/10+float64(t.Slack().Milliseconds()), "p is %v, want the hold, %v", p, hold)
				ts, _ := r.Number("ext.timesync.ts")
				t.Check(ts > 1e12 && ts < 1e13, "ts is %v, want milliseconds since 1970", ts)
			},
		},
		{
			ID: "BX-TS-03", Title: "without a lag the reply has tc, ts and p, and no a", Level: COMETD, Rules: rules("R-TS-2"),
			Needs: needs(suite.NeedTimesync),
			Run: func(t *T) {
				t.Client().Handshake(clock(7, nil)).Want("ext.timesync.tc", 7).Has("ext.timesync.ts", "ext.timesync.p").Lacks("ext.timesync.a")
			},
		},
		{
			ID: "BX-TS-04", Title: "a clock that is right needs no answer, one that is wrong is told by how much", Level: COMETD, Rules: rules("R-TS-1"),
			Needs: needs(suite.NeedTimesync),
			Run: func(t *T) {
				c := t.Client()
				sent := time.Now().UnixMilli()
				ts, ok := c.Handshake(clock(sent, M{"l": 0, "o": 0})).Number("ext.timesync.ts")
				t.Require(ok, "no ts")
				offset := int64(ts) - sent // the way there included
				r := c.Connect(now(), clock(time.Now().UnixMilli(), M{"l": 1, "o": offset + 5000})).Successful()
				a, ok := r.Number("ext.timesync.a")
				t.Check(ok && a > 3000 && a < 7000, "a is %v, want about 5000", a)
			},
		},
		{
			ID: "BX-TS-05", Title: "without a clock there is no answer to one", Level: COMETD, Rules: rules("R-TS-1"), Needs: needs(suite.NeedTimesync),
			Run: func(t *T) {
				c := t.Client()
				c.Handshake().Successful().Lacks("ext.timesync")
				c.Connect(now()).Successful().Lacks("ext.timesync")
			},
		},
		{
			ID: "BX-TS-06", Title: "a clock without tc does no harm", Level: COMETD, Rules: rules("R-TS-3"), Needs: needs(suite.NeedTimesync),
			Run: func(t *T) {
				c := t.Client()
				c.Handshake(M{"ext": M{"timesync": M{"l": 1, "o": 2}}}).Successful().Lacks("ext.timesync")
				c.Connect(now(), M{"ext": M{"timesync": M{"l": 1, "o": 2}}}).Successful()
			},
		},
		{
			ID: "BX-TS-07", Title: "the clock is answered beside acknowledgements", Level: COMETD, Rules: rules("R-TS-1", "R-ACK-1"),
			Needs: needs(suite.NeedTimesync, suite.NeedAck),
			Run: func(t *T) {
				c := t.Client()
				ext := M{"ext": M{"ack": true, "timesync": M{"tc": 9, "l": 0, "o": 0}}}
				c.Handshake(ext).Successful().Want("ext.ack", true).Want("ext.timesync.tc", 9)
				c.Connect(now(), M{"ext": M{"ack": 0, "timesync": M{"tc": 11, "l": 0, "o": 0}}}).Want("ext.ack", 1).Want("ext.timesync.tc", 11)
			},
		},
	}
}

// binary is about the binary extension, of which a server that relays knows
// nothing.
func binary() []Case {
	return []Case{
		{
			ID: "BX-BI-01", Title: "binary data is passed on as it came, its ext too", Level: COMETD, Rules: rules("R-BI-1"),
			Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				data := M{"data": "HelloWorld", "last": true, "meta": M{"name": "a.bin"}}
				t.Helper().Publish(ch, data, M{"ext": M{"binary": M{}}}).Successful()
				c.Receive(ch).Want("data", data).Want("ext.binary", M{})
			},
		},
		{
			ID: "BX-BI-02", Title: "parts of binary data keep their order", Level: COMETD, Rules: rules("R-BI-1", "R-PB-14"), Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				other := t.Helper()
				for i, part := range []string{"00000", "nm=QN", "zzzzz"} {
					other.Publish(ch, M{"data": part, "last": i == 2}, M{"ext": M{"binary": M{}}}).Successful()
				}
				for i, m := range c.ReceiveAll(ch, 3) {
					m.Want("data.last", i == 2).Has("ext.binary")
				}
			},
		},
	}
}

// clock is the ext of a client that asks for the time.
func clock(tc int64, more M) M {
	sync := M{"tc": tc}
	maps.Copy(sync, more)
	return M{"ext": M{"timesync": sync}}
}
