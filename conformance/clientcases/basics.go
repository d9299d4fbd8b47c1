package clientcases

import (
	"slices"

	"github.com/halleypush/halley/conformance/clientmode"
)

func basics() []Case {
	return []Case{
		one("BA-01", "a handshake names the version and the connection types", must, 0, "Handshake Request", rules("R-HS-1", "R-HS-4"), func(t *T) {
			m := t.Next(clientmode.Handshake)
			t.Check(m.Text("version") == "1.0", "version is %q", m.Text("version"))
			types := m.Strings("supportedConnectionTypes")
			t.Check(slices.Contains(types, t.On().String()), "supportedConnectionTypes are %q, without %s", types, t.On())
		}),
		one("BA-02", "a handshake is alone in its body", should, 0, "Handshake Request", rules("R-HS-12"), func(t *T) {
			m := t.Next(clientmode.Handshake)
			t.Check(m.With == 0, "%d other messages came with the handshake", m.With)
		}),
		one("BA-03", "all messages of a session carry its clientId", must, 0, "Client ID", rules("R-ID-2"), func(t *T) {
			t.Ready()
			t.Publish("x")
			t.Next(clientmode.Elsewhere)
			id := t.All(clientmode.Connect)[0].ClientID()
			for _, m := range t.All("") {
				t.Check(m.Channel() == clientmode.Handshake || m.ClientID() == id && id != "", "the clientId is %q, not %q: %s", m.ClientID(), id, m.Raw)
			}
		}),
		one("BA-04", "a connect names the transport that it goes by", must, 0, "Connect Request", rules("R-CN-2"), func(t *T) {
			t.Ready()
			for _, m := range t.All(clientmode.Connect) {
				t.Check(m.Text("connectionType") == m.Via.String(), "connectionType is %q on %s", m.Text("connectionType"), m.Via)
			}
		}),
		one("BA-05", "one connect is outstanding at a time", must, 0, "Connect Request", rules("R-CN-20"), func(t *T) {
			t.Ready()
			for _, data := range []string{"one", "two", "three"} {
				t.Deliver(data)
				t.Publish(data)
				t.Next(clientmode.Elsewhere)
				t.Settled()
			}
			t.Gets("one", "two", "three")
			t.Pause(t.Window() / 4)
			t.Check(t.Doubled() == 0, "%d connects came while another was held", t.Doubled())
		}),
		one("BA-06", "ids of messages are not used twice in a session", should, 0, "id", rules("R-MSG-4"), func(t *T) {
			t.Ready()
			t.Publish("x")
			t.Next(clientmode.Elsewhere)
			seen := map[string]bool{}
			for _, m := range t.All("") {
				raw, _ := m.Get("id")
				id := m.ClientID() + " " + string(raw)
				t.Check(len(raw) == 0 || !seen[id], "the id %s came twice in a session", raw)
				seen[id] = true
			}
		}),
		one("BA-07", "a published object arrives as the application gave it", must, 0, "Publish Request", rules("R-PB-6"), func(t *T) {
			t.Ready()
			data := M{"text": "grüße 🌍", "n": 3, "list": []any{true, nil, "", M{}}}
			t.Publish(data)
			t.Next(clientmode.Elsewhere).Want("data", data)
		}),
		one("BA-08", "a client that leaves says so, and polls no more", should, 0, "Disconnect Request", rules("R-DC-3", "R-CN-15"), func(t *T) {
			t.Ready()
			id := t.All(clientmode.Connect)[0].ClientID()
			t.Skip()
			t.Do(M{"do": "disconnect"})
			m := t.Next(clientmode.Disconnect)
			t.Check(m.ClientID() == id, "the clientId of the disconnect is %q, not %q", m.ClientID(), id)
			t.Pause(clientmode.Backoff) // what is under way may still come
			t.Skip()
			t.Nothing(clientmode.Connect, clientmode.Handshake)
		}),
		one("BA-09", "an unsubscribed channel is given up", must, 0, "Unsubscribe Request", rules("R-SB-5"), func(t *T) {
			t.Ready()
			t.Do(M{"do": "unsubscribe", "channel": clientmode.Data})
			m := t.Next(clientmode.Unsubscribe)
			t.Check(slices.Contains(append(m.Strings("subscription"), m.Text("subscription")), clientmode.Data), "not %s: %s", clientmode.Data, m.Raw)
		}),
		one("BA-10", "a refused publish is told to the application", should, 0, "Publish Response", rules("R-MSG-14"), func(t *T) {
			t.Ready()
			always(t, clientmode.Elsewhere, Answer{With: M{"successful": false, "error": "403:/bx/x:publish_denied"}})
			t.Publish("x")
			e := t.Event(clientmode.EventPublished)
			t.Check(!e.OK, "the application is told of a success")
		}, clientmode.NeedPublished),
	}
}
