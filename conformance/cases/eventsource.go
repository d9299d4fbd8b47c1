package cases

import (
	"net/url"
	"strings"

	"github.com/halleypush/halley/conformance/suite"
	"github.com/halleypush/halley/conformance/wire"
)

// eventSource is about Faye's event stream: GET the address and the client id,
// and messages come as events; everything else goes by POST. No specification
// has it, so it counts for Faye alone.
func eventSource() []Case {
	return []Case{
		{
			ID: "BX-ES-01", Title: "the stream is one that nobody keeps in a cache", Level: INFO, Also: suite.Faye, Spec: "Faye", On: ES,
			Run: func(t *T) {
				c := t.Session()
				stream, res, err := t.Target().OpenEventSource(t.Context(), t.Tape(), &wire.Request{Path: below(t, "/"+url.PathEscape(c.ID))})
				t.Require(err == nil && stream != nil, "no stream: %v %v", res, err)
				t.Cleanup(func() { _ = stream.Close() })
				t.Check(strings.Contains(res.Header.Get("Cache-Control"), "no-cache"), "Cache-Control is %q", res.Header.Get("Cache-Control"))
			},
		},
		{
			ID: "BX-ES-02", Title: "messages come on the stream, each once and in order", Level: INFO, Also: suite.Faye, Spec: "Faye", On: ES, Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch, other := t.Connected(), t.Channel("a"), t.Helper()
				c.Subscribe(ch).Successful()
				for i := range 20 {
					other.Publish(ch, i).Successful()
				}
				for i := range 20 {
					c.Receive(ch).Want("data", i)
				}
				c.Nothing(ch)
			},
		},
		{
			ID: "BX-ES-03", Title: "a session outlives its stream", Level: INFO, Also: suite.Faye, Spec: "Faye", On: ES, Needs: needs(suite.NeedDelivery),
			Run: func(t *T) {
				c, ch := t.Connected(), t.Channel("a")
				c.Subscribe(ch).Successful()
				again := left(t, c)
				t.Helper().Publish(ch, "x").Successful()
				again.Receive(ch).Want("data", "x")
			},
		},
		{
			ID: "BX-ES-04", Title: "a stream that is open leaves other requests of its session alone", Level: INFO, Also: suite.Faye, Spec: "Faye", On: ES,
			Run: func(t *T) {
				c := t.Connected()
				for _, name := range []string{"a", "b", "c"} {
					c.Subscribe(t.Channel(name)).Successful()
				}
				c.Disconnect().Successful()
			},
		},
	}
}
