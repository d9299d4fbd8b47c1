// Command centrifuge is a server on github.com/centrifugal/centrifuge that lets
// everybody connect, subscribe and publish, for comparisons. Never put it where
// anybody else can reach it.
//
//	centrifuge PORT [queue=BYTES]
//
// queue bounds what waits for a client (default 8 MiB), who is disconnected
// beyond it. There is no history, no presence and no other node.
//
// # What a client has to speak
//
// It is not Bayeux. A client opens a WebSocket at the printed URL and sends text
// frames with commands, JSON objects with an id of its own; several in a frame
// are separated by line feeds, and so are the replies and pushes in a frame of
// the server. A Bayeux exchange and this one, frame by frame:
//
//	handshake, connect   {"id":1,"connect":{}}
//	the reply            {"id":1,"connect":{"client":"…","version":"…","ping":25,"pong":true}}
//	subscribe            {"id":2,"subscribe":{"channel":"/a"}}
//	the reply            {"id":2,"subscribe":{}}
//	publish              {"id":3,"publish":{"channel":"/a","data":{"n":1}}}
//	the reply            {"id":3,"publish":{}}
//	a delivery           {"push":{"channel":"/a","pub":{"data":{"n":1},…}}}
//	held connects        none: the server sends {} every 25 s and wants {} back
//	unsubscribe          {"id":4,"unsubscribe":{"channel":"/a"}}
//	disconnect           the WebSocket is closed
//	what is refused      {"id":4,"error":{"code":105,"message":"already subscribed"}}
//
// A publisher needs no subscription; one that has one gets its own messages, as
// in Bayeux. Channels are opaque: there are no wildcards.
package main
