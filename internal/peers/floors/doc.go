// Package floors holds what no server can be cheaper than: two programs that do
// the system calls of a Bayeux server and next to nothing else, so that a
// benchmark can say how far a server is from what the kernel costs. They run
// on Linux.
//
// They are no servers. They understand what a load generator sends and take the
// rest for granted: no check of a message beyond its outline, no extensions, no
// wildcards, no limits but those that keep a broken generator from filling the
// memory, one thread, plain TCP on the loopback interface. Sessions never expire. Never put one
// where anybody else can reach it.
//
//   - [WebSocket] answers an upgrade and then takes text frames that are not
//     fragmented, of at most [MaxInput] bytes. It has no permessage-deflate.
//   - [LongPolling] takes kept-alive HTTP/1.1 POST requests with a
//     Content-Length; paths and other headers are not looked at.
//
// Both take handshake, connect, subscribe, unsubscribe, disconnect and
// publications, alone or in arrays. A connect is held for [Config.Hold], or
// answered at once if its advice says timeout 0; over long-polling what is
// published ends it.
package floors
