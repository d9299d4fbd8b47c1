// Package peers starts other makers' Bayeux servers, and ours beside them, for
// what compares servers: the conformance matrix, transcripts, benchmarks.
//
// `make peers-deps` installs them, each by its package manager; Start runs one
// as a process on the loopback interface that ends with its parent:
//
//	p, err := peers.Start(ctx, "cometd8", map[string]string{"timeout": "4000", "fixtures": "true"})
//	…
//	defer p.Kill()
//	http.Post(p.URL(), …)
//
// # Peers
//
//   - halley: `halley serve`, built from this tree; the option posture chooses
//     another posture than cometd, limits.NAME a limit
//   - cometd8: CometD 8.0.10 on Jetty 12, WebSocket by Jetty's own API
//   - cometd7: CometD 7.0.17 on Jetty 11, WebSocket by the Jakarta API
//   - cometd-nodejs: cometd-nodejs-server 1.2.1, long-polling only
//   - faye: Faye 1.4.3 on Node, at /bayeux; the others are at /cometd
//   - axum: axum-cometd 0.9.4, long-polling only, with an URL for each type of
//     message; see AppendsType
//
// For benchmarks there are targets besides, which are not Bayeux servers:
//
//   - floor-ws, floor-http: what the kernel asks of any server, see
//     internal/peers/floors; options coalesce=true and timeout (Linux)
//   - gws: a WebSocket library, see internal/peers/gws; option async=true
//   - centrifuge: a server with a protocol of its own, see
//     internal/peers/centrifuge; option queue=BYTES
//
// # Options
//
// Names are those of the server (CometD's options by CometD's names), times are
// milliseconds, also where the server itself counts in seconds. These are ours:
//
//   - port: the port to listen on. Default 0, any free one.
//   - cpus: the processors that the peer may use, numbers separated by commas
//     (Linux); GOMAXPROCS is set accordingly. Default: all.
//   - fixtures=true: the channels and services that docs/FIXTURES.md describes;
//     it says which peer has what.
//   - demo=true (halley, cometd8, cometd7): the chat of docs/FIXTURES.md.
//   - ack, timesync, binary: false leaves the extension out (CometD, halley;
//     cometd-nodejs has ack alone).
//   - timestamp=true, activity=MILLIS, activity=server:MILLIS (CometD, halley):
//     adds the extension; "server:" counts what the server sends too.
//   - jvm (CometD): functional (default: starts fast, 512 MiB), benchmark (1 to
//     4 GiB, the standard collector and compilers), or flags of java that begin
//     with a dash, separated by blanks.
//   - park=false (halley): all connections are left to Go's HTTP server.
//   - permissions (halley): the path of a file of rules.
//   - tls=true (halley): TLS with a certificate that is made for the occasion, and
//     that nobody knows.
//   - program (halley): the path of one that is built already. Without it Start
//     builds one.
//
// cometd8, cometd7 and cometd-nodejs take any name in silence, as these servers
// do; the others refuse what they do not know.
//
// The source tree is found from the working directory upwards.
package peers
