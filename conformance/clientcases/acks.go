package clientcases

import "github.com/halleypush/halley/conformance/clientmode"

func acks() []Case {
	// ack makes a case of a client that asks for acknowledged messages.
	ack := func(id, title string, play func(*T)) Case {
		c := one(id, title, cometd, 0, "", rules("R-ACK-1", "R-ACK-4"), play)
		c.Ack = true
		return c
	}
	// number gives a connect's reply the number of its batch.
	number := func(n int, fault clientmode.Fault, data ...any) Answer {
		a := Answer{With: M{"ext": M{"ack": n}}, Fault: fault}
		for _, d := range data {
			a.Before = append(a.Before, clientmode.Message(d))
		}
		return a
	}
	return []Case{
		ack("AK-01", "a handshake asks for acknowledgements", func(t *T) {
			t.Next(clientmode.Handshake).Want("ext.ack", true)
		}),
		ack("AK-02", "a connect acknowledges the batch of the last reply", func(t *T) {
			offered(t)
			t.Ready()
			t.Release(number(7, nil, "a"))
			t.Next(clientmode.Connect).Want("ext.ack", 7)
			t.Gets("a")
		}),
		ack("AK-03", "a batch that was lost is not acknowledged, and delivered once when it comes again", func(t *T) {
			offered(t)
			t.Ready()
			t.Release(number(7, nil, "a"))
			t.Next(clientmode.Connect)
			t.Settled()
			t.Release(number(8, clientmode.Cut(), "b"))
			t.Next(clientmode.Connect).Want("ext.ack", 7)
			t.Settled()
			t.Release(number(8, nil, "b"))
			t.Gets("a", "b")
		}),
		ack("AK-04", "a server without acknowledgements gets none", func(t *T) {
			t.Ready()
			t.Release(Answer{})
			t.Next(clientmode.Connect).Lacks("ext.ack")
			works(t)
		}),
		ack("AK-05", "a new session begins its numbers anew", func(t *T) {
			offered(t)
			t.Ready()
			t.Release(number(7, nil, "a"))
			t.Next(clientmode.Connect)
			t.Settled()
			t.Skip()
			t.Forget()
			t.Next(clientmode.Handshake).Want("ext.ack", true)
			m := t.Next(clientmode.Connect)
			n, ok := m.Number("ext.ack")
			t.Check(!ok || n < 7, "the first connect of the session acknowledges %v", n)
			works(t, "a")
		}),
	}
}

// offered has the server offer acknowledgements.
func offered(t *T) {
	t.Script(func(m *In) *Answer {
		if m.Channel() == clientmode.Handshake {
			return &Answer{With: M{"ext": M{"ack": true}}}
		}
		return nil
	})
}
