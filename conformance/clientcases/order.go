package clientcases

import (
	"time"

	"github.com/halleypush/halley/conformance/clientmode"
)

func order() []Case {
	return []Case{
		one("OR-01", "messages of one body come in their order", must, 0, "Delivery", rules("R-OUT-2"), func(t *T) {
			const n = 100
			all := make([]any, 0, n)
			for i := range n {
				all = append(all, i)
			}
			t.Ready()
			t.Deliver(all...)
			t.Gets(all...)
		}),
		one("OR-02", "messages before and after a connect's reply all arrive", must, 0, "Delivery", rules("R-OUT-2"), func(t *T) {
			t.Ready()
			t.Release(Answer{Before: []M{clientmode.Message("a")}, After: []M{clientmode.Message("b")}})
			t.Gets("a", "b")
		}),
		one("OR-03", "a connect's reply that comes twice makes one connect", must, 0, "Connect Request", rules("R-CN-20"), func(t *T) {
			t.Ready()
			t.Release(Answer{Fault: clientmode.Twice()})
			t.Next(clientmode.Connect)
			t.Held()
			t.Pause(t.Window() / 4)
			t.Check(t.Doubled() == 0, "%d connects came while another was held", t.Doubled())
			works(t)
		}),
		one("OR-04", "a publish's reply that comes twice is told once", should, 0, "Publish Response", nil, func(t *T) {
			t.Ready()
			t.First(1, clientmode.Elsewhere, Answer{Fault: clientmode.Twice()})
			t.Publish("x")
			t.Event(clientmode.EventPublished)
			t.Pause(t.Window() / 4)
			t.Check(t.Told(clientmode.EventPublished) == 0, "told %d times more", t.Told(clientmode.EventPublished))
			works(t)
		}, clientmode.NeedPublished),
		one("OR-05", "replies in another order than the requests find theirs by id", must, 0, "id", rules("R-MSG-4"), func(t *T) {
			t.Ready()
			t.Script(func(m *In) *Answer {
				if m.Channel() == clientmode.Elsewhere && m.Text("data") == "slow" {
					return &Answer{Wait: interval, With: M{"successful": false, "error": "403:/bx/x:publish_denied"}}
				}
				return nil
			})
			t.Publish("slow")
			t.Publish("quick")
			for range 2 {
				e := t.Event(clientmode.EventPublished)
				quick := string(e.Data) == `"quick"`
				t.Check(e.OK == quick, "the application is told that the publish of %s went well: %v", e.Data, e.OK)
			}
		}, clientmode.NeedPublished),
		one("OR-06", "a reply to what was never asked is ignored", should, 0, "id", rules("R-MSG-4"), func(t *T) {
			t.Ready()
			stray := M{"channel": clientmode.Elsewhere, "id": "zz99", "successful": true}
			t.Release(Answer{Before: []M{stray, clientmode.Message("x")}})
			t.Gets("x")
			works(t, "x")
		}),
		one("OR-07", "a late reply to an earlier connect does not start a second one", should, ws, "Connect Request", rules("R-WS-20"), func(t *T) {
			t.Ready()
			t.Send(M{"channel": clientmode.Connect, "id": "zz98", "successful": true})
			t.Pause(t.Window() / 2)
			t.Check(t.Doubled() == 0, "%d connects came while another was held", t.Doubled())
			works(t)
		}),
		one("OR-08", "a message of a channel that nobody subscribed to does no harm", should, 0, "Delivery", rules("R-SB-6"), func(t *T) {
			t.Ready()
			t.Send(M{"channel": "/bx/stranger", "data": "s"}, clientmode.Message("x"))
			t.Gets("x")
		}),
		one("OR-09", "an unknown meta message and unknown fields do no harm", should, 0, "Channels", rules("R-PB-6"), func(t *T) {
			t.Ready()
			t.Send(M{"channel": "/meta/novel", "successful": true}, M{"channel": clientmode.Data, "data": "x", "novel": M{"a": 1}, "timestamp": 5})
			t.Gets("x")
			works(t, "x")
		}),
		one("OR-10", "a message that comes before the reply to its subscription arrives", cometd, 0, "", rules("R-OUT-2"), func(t *T) {
			t.Script(func(m *In) *Answer {
				if m.Channel() == clientmode.Subscribe && names(m, clientmode.Data) {
					return &Answer{Before: []M{clientmode.Message("early")}}
				}
				return nil
			})
			t.Ready()
			t.Gets("early")
		}),
		one("OR-11", "a message comes with the reply to a publish", must, 0, "Delivery", rules("R-OUT-2"), func(t *T) {
			t.Ready()
			t.First(1, clientmode.Elsewhere, Answer{Before: []M{clientmode.Message("echo")}})
			t.Publish("x")
			t.Gets("echo")
		}),
		one("OR-12", "messages that arrive one by one keep their order", must, 0, "Delivery", rules("R-OUT-2"), func(t *T) {
			const n = 20
			all := make([]any, 0, n)
			t.Ready()
			for i := range n {
				all = append(all, i)
				t.Deliver(i)
			}
			t.Gets(all...)
		}),
		one("OR-13", "a slow reply to a subscription delays nothing else", should, ws, "Subscribe Request", nil, func(t *T) {
			t.Ready()
			t.First(1, clientmode.Subscribe, Answer{Wait: 2 * interval})
			t.Do(M{"do": "subscribe", "channel": "/bx/more"})
			t.Next(clientmode.Subscribe)
			from := time.Now()
			t.Deliver("x")
			t.Gets("x")
			t.Check(time.Since(from) < interval, "the message came after %v", time.Since(from))
		}),
	}
}
