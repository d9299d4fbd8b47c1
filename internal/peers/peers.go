package peers

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// program tells how a peer is run.
type program struct {
	name    string
	version string
	// transports are those it offers, by their names in a handshake.
	transports []string
	// appendsType: see AppendsType.
	appendsType bool
	// target: see Targets. protocol is empty for Bayeux.
	target   bool
	protocol string
	// dir is its folder below this package's.
	dir string
	// needs is what `make peers-deps` leaves in dir.
	needs string
	// command makes the command line for a launch in dir. What it puts down
	// elsewhere goes with launch.cleanup.
	command func(ctx context.Context, l *launch) ([]string, error)
	// announce reads a line of output and returns the URL when the peer
	// listens. Nil means the line "listening URL".
	announce func(line string) (url string, ok bool)
}

// programs lists the peers in the order of reports.
func programs() []program {
	all := []string{"websocket", "long-polling", "callback-polling"}
	return []program{
		{
			name: "halley", version: "this tree", transports: all,
			command: halley, announce: halleyAnnounced,
		},
		{
			name: "cometd8", version: "8.0.10", transports: all,
			dir: "java/cometd8", needs: "target/lib", command: java("peers.CometD8"),
		},
		{
			name: "cometd7", version: "7.0.17", transports: all,
			dir: "java/cometd7", needs: "target/lib", command: java("peers.CometD7"),
		},
		{
			name: "cometd-nodejs", version: "1.2.1", transports: []string{"long-polling"},
			dir: "js", needs: "node_modules/cometd-nodejs-server", command: own("node", "cometd.mjs"),
		},
		{
			name: "faye", version: "1.4.3", transports: append(all[:3:3], "eventsource"),
			dir: "js", needs: "node_modules/faye", command: own("node", "faye.mjs"),
		},
		{
			name: "axum", version: "0.9.4", transports: []string{"long-polling"}, appendsType: true,
			dir: "rust", needs: "target/release/axum-cometd-peer", command: own("target/release/axum-cometd-peer"),
		},
	}
}

// targets lists what is no Bayeux server and only measured.
func targets() []program {
	const built = "../../build/peers"
	ws := []string{"websocket"}
	return []program{
		{
			name: "floor-ws", version: "this tree", target: true, transports: ws,
			dir: built, needs: "floor", command: own("./floor", "websocket"),
		},
		{
			name: "floor-http", version: "this tree", target: true, transports: []string{"long-polling"},
			dir: built, needs: "floor", command: own("./floor", "long-polling"),
		},
		{
			name: "gws", version: "1.8.9", target: true, transports: ws,
			dir: built, needs: "gws", command: own("./gws"),
		},
		{
			name: "centrifuge", version: "0.40.1", target: true, transports: ws, protocol: "centrifuge",
			dir: built, needs: "centrifuge", command: own("./centrifuge"),
		},
	}
}

// Names returns the Bayeux servers that Start knows.
func Names() []string { return namesOf(programs()) }

// Targets returns what else Start knows, for benchmarks alone: floors, and
// libraries that are not Bayeux servers.
func Targets() []string { return namesOf(targets()) }

func namesOf(all []program) []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.name
	}
	return names
}

// Protocol returns what a peer speaks: "bayeux", or "centrifuge" (see
// internal/peers/centrifuge).
func Protocol(name string) string {
	p, _ := find(name)
	return cmp.Or(p.protocol, "bayeux")
}

// Version returns the version of a peer that its build or lock file pins, "this
// tree" for our own server; empty for a name that is not known.
func Version(name string) string {
	p, _ := find(name)
	return p.version
}

// Transports returns the transports of a peer by their names in a handshake.
func Transports(name string) []string {
	p, _ := find(name)
	return slices.Clone(p.transports)
}

// AppendsType tells whether requests must go to the URL with the type of the
// message appended, as the JavaScript client does by default: /handshake,
// /connect (publications too), /disconnect, and nothing for subscriptions.
// axum-cometd knows no other way.
func AppendsType(name string) bool {
	p, _ := find(name)
	return p.appendsType
}

func find(name string) (program, error) {
	all := slices.Concat(programs(), targets())
	for _, p := range all {
		if p.name == name {
			return p, nil
		}
	}
	return program{}, fmt.Errorf("peer %q is unknown; there are %s", name, strings.Join(namesOf(all), ", "))
}

// own makes the command line of a program of ours that takes a port and
// options.
func own(args ...string) func(context.Context, *launch) ([]string, error) {
	return func(_ context.Context, l *launch) ([]string, error) {
		return slices.Concat(args, []string{l.port}, l.pairs()), nil
	}
}

// java makes the command line of a main class.
func java(class string) func(context.Context, *launch) ([]string, error) {
	return func(_ context.Context, l *launch) ([]string, error) {
		flags, err := jvmFlags(l.take("jvm"))
		if err != nil {
			return nil, err
		}
		args := append([]string{"java"}, flags...)
		args = append(args, "-cp", "target/classes"+string(os.PathListSeparator)+"target/lib/*", class, l.port)
		return append(args, l.pairs()...), nil
	}
}

// jvmFlags returns the flags of a Java machine for a value of the option jvm.
func jvmFlags(kind string) ([]string, error) {
	switch {
	case kind == "" || kind == "functional":
		return []string{"-Xmx512m", "-Xshare:auto", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}, nil
	case kind == "benchmark":
		return []string{"-Xms1g", "-Xmx4g"}, nil
	case strings.HasPrefix(kind, "-"):
		return strings.Fields(kind), nil
	}
	return nil, fmt.Errorf("option jvm=%q: want functional, benchmark or flags of java", kind)
}
