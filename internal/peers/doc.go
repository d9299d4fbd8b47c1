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
// # Options
//
// Names are those of the server (CometD's options by CometD's names), and ours:
//
//   - port: the port to listen on. Default 0, any free one.
//   - jvm (CometD): functional (default: starts fast, 512 MiB), benchmark
//     (1 to 4 GiB, the default collector and compilers), or flags that begin
//     with a dash, separated by blanks.
//   - fixtures=true: the channels and services that docs/FIXTURES.md describes
//     (CometD, Halley; Faye as far as its extensions allow).
//   - demo=true (cometd8): the chat of docs/FIXTURES.md.
//   - ack, timesync, binary (CometD): false leaves the extension out.
//   - timestamp=true, activity=MILLIS, activity=server:MILLIS (CometD): adds
//     the extension; "server:" counts what the server sends as well.
//   - program (halley): the path of one that is built already. Without it Start
//     builds one from the source tree.
//
// The source tree is found from the working directory upwards.
package peers
