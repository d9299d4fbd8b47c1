// Package bayeuxclient is a client of the Bayeux protocol, for Halley, CometD
// and other servers that speak it.
//
// Dial shakes hands and keeps the session alive in the background: it polls or
// holds a WebSocket, obeys the server's advice, comes back after a loss with a
// growing pause, and takes a new session, with all subscriptions renewed, when
// the server has forgotten the old one.
//
//	c, err := bayeuxclient.Dial(ctx, "https://example.com/cometd", bayeuxclient.Options{})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	sub, err := c.Subscribe(ctx, "/chat/**", func(m *bayeux.Message) { show(m.Data) })
//	…
//	err = c.Publish(ctx, "/chat/demo", map[string]any{"text": "hello"})
//
// # Callbacks
//
// Message callbacks and Options.OnState are called one after the other, in the
// order of arrival, on one goroutine of the client. A bounded queue
// (Options.QueueLength) stands between the connection and that goroutine. When
// callbacks are slower than the server the queue fills, the client stops reading
// and the server notices; a queue that stays full for Options.StallTimeout ends
// the client with ErrStalled. Callbacks may call any method of the client, but
// one that waits for a reply while the queue is full waits in vain until its
// time-out.
//
// # What is promised
//
// A nil error of Publish says that the server has accepted the message. After
// an error that is ErrTimeout, ErrConnectionLost or that of a context the server
// may have accepted it or not; the client does not send twice by itself, except
// what the server answered with 402, which it did not process. Messages to the
// client may be lost with a connection unless Options.Ack is set and the server
// has the acknowledgement extension; then they may come twice, rarely, but none
// is lost while the session lives.
package bayeuxclient
