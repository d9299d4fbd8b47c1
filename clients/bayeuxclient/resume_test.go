package bayeuxclient_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/clients/bayeuxclient"
)

// gaps returns the seconds between messages.
func gaps(list []seen) []float64 {
	var out []float64
	for i := 1; i < len(list); i++ {
		out = append(out, list[i].at.Sub(list[i-1].at).Seconds())
	}
	return out
}

func advise(advice string) *verdict {
	return &verdict{reply: &bayeux.Message{Successful: new(true), Advice: bayeux.Raw(advice)}}
}

func TestBackOff(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		o := s.options(transport)
		o.MaxBackoff = 4 * time.Second
		var st states
		o.OnState = st.on
		c := s.dial(o)
		time.Sleep(time.Second)
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel == "/meta/connect" {
				return &verdict{cut: true}
			}
			return nil
		})
		time.Sleep(45 * time.Second)
		n := len(s.messages("/meta/connect"))
		s.on(nil)
		time.Sleep(5 * time.Second)
		connects := s.messages("/meta/connect")
		require.Equal(t, []float64{0, 20, 1, 2, 3, 4, 4, 4, 4}, gaps(connects)[:9])
		require.Greater(t, len(connects), n)
		for _, m := range connects[3:n] {
			require.Equal(t, time.Duration(0), m.m.ClientAdvice().Timeout, "[R-CN-7] to know at once")
			require.Equal(t, "s1", m.m.ClientID)
		}
		require.Equal(t, bayeuxclient.StateConnected, c.State())
		require.Equal(t, []bayeuxclient.State{
			bayeuxclient.StateConnecting, bayeuxclient.StateConnected, bayeuxclient.StateBroken, bayeuxclient.StateConnected,
		}, st.all())
		require.Error(t, st.err(2))
	})
}

func TestJitter(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		o := s.options(bayeuxclient.LongPolling)
		o.Jitter = 0.5
		s.dial(o)
		time.Sleep(time.Second)
		s.on(func(string, *bayeux.Message) *verdict { return &verdict{status: 502} })
		time.Sleep(5 * time.Minute)
		connects := gaps(s.messages("/meta/connect"))[2:]
		different := false
		for i, gap := range connects {
			want := max(float64(i+1), 7) // The server's Retry-After.
			require.GreaterOrEqual(t, gap, want/2)
			require.LessOrEqual(t, gap, want)
			different = different || gap != want
		}
		require.True(t, different)
	})
}

// [R-AD-7]: interval is the pause between connects, whoever gives it.
func TestInterval(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		n := 0
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel != "/meta/connect" {
				return nil
			}
			n++
			switch n {
			case 2:
				return advise(`{"interval":3000}`)
			case 4:
				return advise(`{"interval":0,"timeout":5000}`)
			case 5:
				return &verdict{silent: true, wait: time.Hour}
			case 1, 3:
				return advise(`{}`)
			}
			return nil
		})
		s.dial(s.options(transport))
		time.Sleep(30 * time.Second)
		require.Equal(t, []float64{0, 3, 3, 0, 16}, gaps(s.messages("/meta/connect"))[:5],
			"the last after a hold of 5 s, 10 s for the network and 1 s of back-off")
	})
}

// [R-MC-2]: the interval of a multiple-clients advice is for one pause.
func TestMultipleClients(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		n := 0
		s.on(func(_ string, m *bayeux.Message) *verdict {
			n++
			if m.Channel != "/meta/connect" || n > 4 {
				return nil
			}
			return advise(`{"multiple-clients":true,"reconnect":"retry","interval":2000}`)
		})
		s.dial(s.options(bayeuxclient.LongPolling))
		time.Sleep(30 * time.Second)
		require.Equal(t, []float64{2, 2, 2, 0}, gaps(s.messages("/meta/connect"))[:4])
	})
}

func TestAdviceNone(t *testing.T) {
	for name, c := range map[string]struct {
		v    *verdict
		want string
	}{
		"successful [R-CN-15]":   {advise(`{"reconnect":"none"}`), bayeuxclient.ErrServerEnded.Error()},
		"unsuccessful [R-MC-3]":  {&verdict{reply: &bayeux.Message{Successful: new(false), Advice: bayeux.Raw(`{"reconnect":"none"}`)}}, "refused"},
		"402 with none [R-AC-1]": {&verdict{reply: &bayeux.Message{Successful: new(false), Error: "402::session_unknown", Advice: bayeux.Raw(`{"reconnect":"none","interval":0}`)}}, "402::session_unknown"},
		"pushed [R-CN-16]":       {&verdict{pushed: []*bayeux.Message{{Channel: "/meta/disconnect", Successful: new(true)}}, silent: true}, bayeuxclient.ErrServerEnded.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, s *fake, transport string) {
				c2 := s.dial(s.options(transport))
				time.Sleep(time.Second)
				s.on(func(_ string, m *bayeux.Message) *verdict {
					if m.Channel != "/meta/connect" {
						return nil
					}
					v := *c.v
					if v.reply != nil {
						reply := *v.reply
						v.reply = &reply
					}
					return &v
				})
				<-c2.Done()
				require.ErrorContains(t, c2.Err(), c.want)
				require.Equal(t, bayeuxclient.StateDisconnected, c2.State())
				require.ErrorContains(t, c2.Publish(t.Context(), "/a", 1), c.want)
			})
		})
	}
}

// [R-ERR-2]: the server has forgotten the session.
func TestRehandshake(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		o := s.options(transport)
		var st states
		o.OnState = st.on
		c := s.dial(o)
		var in inbox
		for i := range 120 {
			_, err := c.Subscribe(t.Context(), "/c/"+strconv.Itoa(i), in.on)
			require.NoError(t, err)
		}
		gone, err := c.Subscribe(t.Context(), "/gone", in.on)
		require.NoError(t, err)
		require.NoError(t, gone.Unsubscribe(t.Context()))
		s.forget()
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel == "/meta/subscribe" && string(m.Subscription) == `"/c/7"` {
				return &verdict{reply: new(bayeux.Message).Fail(bayeux.Deny("later"))}
			}
			return nil
		})
		before := len(s.messages("/meta/subscribe"))
		time.Sleep(25 * time.Second)
		require.Equal(t, "s2", c.ClientID())
		require.Len(t, s.messages("/meta/subscribe"), before+120)
		s.publish("/c/119", `"still"`)
		time.Sleep(time.Second)
		require.Equal(t, []string{`"still"`}, in.all())
		require.Equal(t, []bayeuxclient.State{
			bayeuxclient.StateConnecting, bayeuxclient.StateConnected, bayeuxclient.StateBroken,
			bayeuxclient.StateRehandshaken, bayeuxclient.StateConnected,
		}, st.all())
		require.ErrorContains(t, st.err(2), "402")
		require.ErrorContains(t, st.err(3), `"/c/7": 403:later:`)
	})
}

// A publish that meets the 402 first is sent again by the new session, and does
// not wait for the held connect to find out.
func TestPublishUnknownSession(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		time.Sleep(time.Second)
		s.forget()
		start := time.Now()
		require.NoError(t, c.Publish(t.Context(), "/a", 1))
		require.Equal(t, start, time.Now())
		require.Equal(t, "s2", c.ClientID())
		list := s.messages("/a")
		require.Len(t, list, 2)
		require.Equal(t, "s2", list[1].m.ClientID)
	})
}

// A server that knows no session for long must not be asked in circles.
func TestRehandshakeBacksOff(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel == "/meta/connect" {
				s.forget()
			}
			return nil
		})
		s.dial(s.options(transport))
		time.Sleep(9 * time.Second)
		require.Equal(t, []float64{1, 2, 3}, gaps(s.messages("/meta/handshake")))
	})
}

// [R-WS-18], [R-WS-19]: the session outlives its socket.
func TestSocketLost(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		c := s.dial(s.options())
		var in inbox
		_, err := c.Subscribe(t.Context(), "/a", in.on)
		require.NoError(t, err)
		time.Sleep(time.Second)
		s.cutSockets()
		synctest.Wait()
		require.Equal(t, bayeuxclient.StateBroken, c.State())
		require.Empty(t, c.Transport())
		s.publish("/a", `1`)
		start := time.Now()
		require.NoError(t, c.Publish(t.Context(), "/b", 2), "waits for the new socket")
		require.Equal(t, time.Second, time.Since(start))
		synctest.Wait()
		require.Equal(t, []string{`1`}, in.all())
		require.Equal(t, "s1", c.ClientID())
		require.Len(t, s.messages("/meta/handshake"), 1)
		require.Len(t, s.messages("/meta/subscribe"), 1)
	})
}

// A WebSocket that worked and is then shut out gives way to long-polling.
func TestSocketShutOut(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		c := s.dial(s.options())
		time.Sleep(time.Second)
		s.mu.Lock()
		s.noWS = http.StatusForbidden
		s.mu.Unlock()
		s.cutSockets()
		time.Sleep(20 * time.Second)
		require.Equal(t, bayeuxclient.LongPolling, c.Transport())
		require.Equal(t, bayeuxclient.StateConnected, c.State())
		s.mu.Lock()
		s.noWS = 0
		s.mu.Unlock()
		s.forget()
		time.Sleep(time.Minute)
		require.Equal(t, bayeuxclient.WebSocket, c.Transport(), "the next session tries it again")
	})
}

// A publish whose connection breaks is not sent twice.
func TestPublishLost(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		c := s.dial(s.options(transport))
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel == "/a" {
				return &verdict{cut: true}
			}
			return nil
		})
		require.Error(t, c.Publish(t.Context(), "/a", 1))
		time.Sleep(5 * time.Second)
		require.Len(t, s.messages("/a"), 1)
		require.Equal(t, "s1", c.ClientID())
	})
}

// [R-ACK-1], [R-ACK-3], [R-ACK-4]: numbers, and a lost response that is
// repaired by them.
func TestAck(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		o := s.options(transport)
		o.Ack = true
		c := s.dial(o)
		require.JSONEq(t, `{"ack":true}`, string(s.messages("/meta/handshake")[0].m.Ext))
		var in inbox
		_, err := c.Subscribe(t.Context(), "/a", in.on)
		require.NoError(t, err)
		time.Sleep(time.Second)
		s.publish("/a", `1`)
		time.Sleep(time.Second)
		cut := true
		s.on(func(_ string, m *bayeux.Message) *verdict {
			if m.Channel == "/meta/connect" && cut {
				cut = false
				// Takes the place of a response that was sent and lost.
				s.mu.Lock()
				defer s.mu.Unlock()
				session := s.sessions[m.ClientID]
				session.takeLocked()
				session.batch++
				return &verdict{cut: true}
			}
			return nil
		})
		s.publish("/a", `2`)
		time.Sleep(25 * time.Second)
		require.Equal(t, []string{`1`, `2`}, in.all())
		numbers := make([]string, 0, 8)
		for _, m := range s.messages("/meta/connect") {
			raw, _ := m.m.ExtMember("ack")
			numbers = append(numbers, string(raw))
		}
		require.Equal(t, []string{"0", "1", "2", "3", "3"}, numbers[:5])
		s.forget()
		time.Sleep(30 * time.Second)
		connects := s.messages("/meta/connect")
		for _, m := range connects {
			if m.m.ClientID == "s2" {
				raw, _ := m.m.ExtMember("ack")
				require.Equal(t, "0", string(raw), "a new session counts anew")
				break
			}
		}
	})
}

func TestAckForms(t *testing.T) {
	for ext, want := range map[string]string{
		`{"ack":true}`:                           "0",
		`{"ack":{"enabled":true,"batch":4}}`:     "4",
		`{"ack":{"enabled":false,"batch":4}}`:    "",
		`{"ack":"yes"}`:                          "",
		`{}`:                                     "",
		`{"ack":false,"timesync":{"enabled":1}}`: "",
	} {
		t.Run(strings.ReplaceAll(ext, "/", "_"), func(t *testing.T) {
			bubble(t, func(t *testing.T, s *fake) {
				s.on(func(_ string, m *bayeux.Message) *verdict {
					if m.Channel != "/meta/handshake" {
						return nil
					}
					v := s.usual(t.Context(), nil, m)
					v.reply.Ext = bayeux.Raw(ext)
					return v
				})
				o := s.options(bayeuxclient.LongPolling)
				o.Ack = true
				s.dial(o)
				synctest.Wait()
				raw, _ := s.messages("/meta/connect")[0].m.ExtMember("ack")
				require.Equal(t, want, string(raw))
			})
		})
	}
}

func TestTooLarge(t *testing.T) {
	both(t, func(t *testing.T, s *fake, transport string) {
		o := s.options(transport)
		o.MaxMessageBytes = 2000
		var st states
		o.OnState = st.on
		c := s.dial(o)
		var in inbox
		_, err := c.Subscribe(t.Context(), "/a", in.on)
		require.NoError(t, err)
		time.Sleep(time.Second)
		s.publish("/a", `"`+strings.Repeat("x", 3000)+`"`)
		time.Sleep(time.Second)
		require.Empty(t, in.all())
		require.ErrorIs(t, st.err(2), bayeuxclient.ErrTooLarge)
		time.Sleep(5 * time.Second)
		s.publish("/a", `"fits"`)
		time.Sleep(5 * time.Second)
		require.Equal(t, []string{`"fits"`}, in.all())
		require.NoError(t, c.Close())
	})
}

// What is no Bayeux breaks the connection, not the client.
func TestGarbage(t *testing.T) {
	bubble(t, func(t *testing.T, s *fake) {
		c := s.dial(s.options())
		time.Sleep(time.Second)
		s.mu.Lock()
		for conn := range s.sockets {
			conn.out <- []byte(`{"channel"`)
		}
		s.mu.Unlock()
		time.Sleep(5 * time.Second)
		require.Equal(t, bayeuxclient.StateConnected, c.State())
		require.Equal(t, "s1", c.ClientID())
	})
}

// [R-HS-18]: what the server sends with the handshake is there before the first
// connect acknowledges it; what does not come is not acknowledged.
func TestHandshakeMessages(t *testing.T) {
	for name, c := range map[string]struct {
		sends  int
		ack    string
		waited time.Duration
	}{"all come": {2, "1", 3 * time.Second}, "one is missing": {1, "0", 10 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *fake) {
				s.on(func(_ string, m *bayeux.Message) *verdict {
					if m.Channel != "/meta/handshake" {
						return nil
					}
					v := s.usual(t.Context(), nil, m)
					v.reply.Ext = bayeux.Raw(`{"ack":{"enabled":true,"batch":1}}`)
					v.reply.SetField("x-messages", bayeux.Raw(`2`))
					time.AfterFunc(3*time.Second, func() {
						s.mu.Lock()
						defer s.mu.Unlock()
						for conn := range s.sockets {
							for range c.sends {
								write(conn, []*bayeux.Message{{Channel: "/service/x", Data: bayeux.Raw("1")}})
							}
						}
					})
					return v
				})
				o := s.options(bayeuxclient.WebSocket)
				o.Ack = true
				start := time.Now()
				s.dial(o)
				require.Equal(t, c.waited, time.Since(start))
				synctest.Wait()
				raw, _ := s.messages("/meta/connect")[0].m.ExtMember("ack")
				require.Equal(t, c.ack, string(raw))
			})
		})
	}
}
