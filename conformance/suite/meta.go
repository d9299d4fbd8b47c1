package suite

import "encoding/json"

// Handshake shakes hands as a client does that has only its own carrier, with
// changes, and returns the reply. Without a reply the case ends with a
// failure. A success sets ID.
func (c *Client) Handshake(over ...M) *Message { return c.Send(c.HandshakeMessage(over...)).Reply(0) }

// Connect sends a connect and waits for its reply, for as long as a hold may
// take.
func (c *Client) Connect(over ...M) *Message { return c.Hold(over...).Wait().Reply(0) }

// Hold sends a connect and does not wait.
func (c *Client) Hold(over ...M) *Pending { return c.Start(c.ConnectMessage(over...)) }

// Subscribe subscribes to a channel, or to a []string of them.
func (c *Client) Subscribe(subscription any, over ...M) *Message {
	return c.Send(c.SubscribeMessage(subscription, over...)).Reply(0)
}

// Unsubscribe unsubscribes from a channel, or from a []string of them.
func (c *Client) Unsubscribe(subscription any, over ...M) *Message {
	return c.Send(c.UnsubscribeMessage(subscription, over...)).Reply(0)
}

// Publish publishes, also to service channels.
func (c *Client) Publish(channel string, data any, over ...M) *Message {
	return c.Send(c.PublishMessage(channel, data, over...)).Reply(0)
}

// Disconnect ends the session.
func (c *Client) Disconnect(over ...M) *Message { return c.Send(c.DisconnectMessage(over...)).Reply(0) }

// HandshakeMessage returns what Handshake sends.
func (c *Client) HandshakeMessage(over ...M) M {
	types := []string{c.on.connectionType()}
	if c.on == ES {
		types = append(types, LP.String())
	}
	m := M{
		"channel": "/meta/handshake", "id": c.NextID(), "version": "1.0", "minimumVersion": "1.0",
		"supportedConnectionTypes": types,
	}.with(over...)
	if own := c.t.run.opts.HandshakeExt; len(own) > 0 {
		m["ext"] = mergeExt(m["ext"], own)
	}
	return m
}

// mergeExt adds the ext that the server asks of everybody to the case's own.
func mergeExt(mine any, everybody json.RawMessage) any {
	var all map[string]any
	if json.Unmarshal(everybody, &all) != nil {
		return mine
	}
	text, err := json.Marshal(mine)
	if err != nil || mine != nil && json.Unmarshal(text, &all) != nil {
		return mine
	}
	return all
}

// ConnectMessage returns what Connect sends.
func (c *Client) ConnectMessage(over ...M) M {
	return c.message("/meta/connect", M{"connectionType": c.on.connectionType()}).with(over...)
}

// SubscribeMessage returns what Subscribe sends.
func (c *Client) SubscribeMessage(subscription any, over ...M) M {
	return c.message("/meta/subscribe", M{"subscription": subscription}).with(over...)
}

// UnsubscribeMessage returns what Unsubscribe sends.
func (c *Client) UnsubscribeMessage(subscription any, over ...M) M {
	return c.message("/meta/unsubscribe", M{"subscription": subscription}).with(over...)
}

// PublishMessage returns what Publish sends.
func (c *Client) PublishMessage(channel string, data any, over ...M) M {
	return c.message(channel, M{"data": data}).with(over...)
}

// DisconnectMessage returns what Disconnect sends.
func (c *Client) DisconnectMessage(over ...M) M {
	return c.message("/meta/disconnect", nil).with(over...)
}

// message returns a message of this session with the next id.
func (c *Client) message(channel string, fields M) M {
	return M{"channel": channel, "clientId": c.ID, "id": c.NextID()}.with(fields)
}
