package suite

import "time"

// Receive returns the next delivery of a channel, which may have arrived
// already. While it waits it keeps a connect outstanding, as a client does.
// If none comes within T.Patience the case ends with a failure.
func (c *Client) Receive(channel string) *Message {
	m, ok := c.TryReceive(channel, c.t.Patience())
	if !ok {
		c.t.Fatalf("no message on %s within %v", channel, c.t.Patience())
	}
	return m
}

// TryReceive is Receive for a message that may not come.
func (c *Client) TryReceive(channel string, within time.Duration) (*Message, bool) {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		m, changed := c.take(channel)
		if m != nil {
			return m, true
		}
		select {
		case <-changed:
		case <-c.pump():
			if !c.connects.connected() {
				m, _ := c.take(channel)
				return m, m != nil
			}
		case <-deadline.C:
			return nil, false
		case <-c.t.ctx.Done():
			c.t.Brokenf("the case took too long, waiting for a message on %s", channel)
		}
	}
}

// connected tells whether the connect of an ended exchange succeeded.
func (p *Pending) connected() bool {
	for _, r := range p.replies {
		if r != nil && r.Channel() == "/meta/connect" {
			return r.OK()
		}
	}
	return false
}

// pump keeps a connect outstanding and returns the channel that tells of its
// end. A connect that the case holds itself counts.
func (c *Client) pump() <-chan struct{} {
	if c.connects != nil && !c.connects.Answered() {
		return c.connects.ended
	}
	c.mu.Lock()
	for _, p := range c.pending {
		if p.has("/meta/connect") {
			c.connects = p
			c.mu.Unlock()
			return p.ended
		}
	}
	c.mu.Unlock()
	c.connects = c.Hold()
	return c.connects.ended
}

// ReceiveAll returns the next n deliveries of a channel in their order.
func (c *Client) ReceiveAll(channel string, n int) []*Message {
	out := make([]*Message, 0, n)
	for range n {
		out = append(out, c.Receive(channel))
	}
	return out
}

// Flush waits until all that was published before has had its chance to
// arrive: another session publishes a marker, and the marker must come. It
// returns the deliveries that nobody had taken, the marker left out.
func (c *Client) Flush() []*Message {
	marker := c.t.Channel("marker" + c.t.Random(6))
	c.Subscribe(marker).Successful()
	other := c.t.SessionOn(c.t.helper())
	other.Publish(marker, "marker").Successful()
	c.Receive(marker)
	return c.Inbox()
}

// helper returns the carrier for sessions that only help.
func (t *T) helper() On {
	if t.run.facts.Carriers().Has(LP) {
		return LP
	}
	return t.on
}

// Helper returns a second session, on whichever carrier is best, to publish
// for the one under test.
func (t *T) Helper() *Client { return t.SessionOn(t.helper()) }

// Nothing expects that no delivery of the channels has come, after a Flush.
func (c *Client) Nothing(channels ...string) {
	for _, m := range c.Flush() {
		for _, ch := range channels {
			c.t.Check(m.Channel() != ch, "a message came on %s, want none: %s", ch, short(m.Raw))
		}
	}
}
