package cases

import (
	"regexp"

	"github.com/halleypush/halley/conformance/suite"
)

// errorForm is the form of the error field.
func errorForm() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{3}:[^:]*:.+$`) }

// now asks for an answer to a connect at once.
func now() M { return M{"advice": M{"timeout": 0}} }

// numbered returns n publishes to a channel, with data 0 to n-1.
func numbered(c *suite.Client, channel string, n int) []M {
	all := make([]M, 0, n)
	for i := range n {
		all = append(all, c.PublishMessage(channel, i))
	}
	return all
}

// exactly expects an answer of these deliveries, told by their data, and then
// the replies, each in its place and nothing else ([R-OUT-2]).
func exactly(t *T, a *suite.Answer, data ...any) {
	want := len(data) + len(a.Replies)
	if !t.Check(len(a.All) == want, "%d messages came, want %d and then %d replies", len(a.All), len(data), len(a.Replies)) {
		return
	}
	for i, d := range data {
		a.All[i].Want("data", d)
	}
	for i, r := range a.Replies {
		t.Check(a.All[len(data)+i] == r, "message %d is %s, want the reply to request %d", len(data)+i, a.All[len(data)+i].Raw, i)
	}
}

// told expects these deliveries, told by their data, in this order.
func told(t *T, got []*suite.Message, data ...any) {
	if !t.Check(len(got) == len(data), "%d messages came, want %d", len(got), len(data)) {
		return
	}
	for i, d := range data {
		got[i].Want("data", d)
	}
}

// upTo returns 0 to n-1.
func upTo(n int) []any {
	all := make([]any, 0, n)
	for i := range n {
		all = append(all, i)
	}
	return all
}

// until receives up to the last message that one session published, which must
// be on a channel of its own, and returns those before it in their order.
func until(c *suite.Client, last string) []*suite.Message {
	c.Receive(last)
	return c.Inbox()
}

// tagged leaves those whose data is the given text. Channels of a fixture are
// shared by all that runs at the same time.
func tagged(all []*suite.Message, tag string) []*suite.Message {
	var mine []*suite.Message
	for _, m := range all {
		if m.Text("data") == tag {
			mine = append(mine, m)
		}
	}
	return mine
}

// receiveTagged waits for the message of a shared channel that has this data.
func receiveTagged(c *suite.Client, channel, tag string) *suite.Message {
	for {
		if m := c.Receive(channel); m.Text("data") == tag {
			return m
		}
	}
}

// noMore expects that nothing comes on the channels beyond what has come.
func noMore(c *suite.Client, channels ...string) {
	c.Inbox()
	c.Nothing(channels...)
}
