package serve

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/alecthomas/kong"
)

// Command is the command line of `halley serve`. Flags that were not given
// stay empty: Load fills them from the other sources.
type Command struct {
	Listen      []string `sep:"none" placeholder:"ADDR" help:"Address to serve on, HOST:PORT or tcp://HOST:PORT?proxy=v1|v2|any&tls=off; fd:NAME for a socket of the service manager, with the same settings; repeatable. Default localhost:8080."`
	Path        []string `sep:"none" placeholder:"PATH" help:"Path of the Bayeux endpoint. Default /cometd."`
	Posture     []string `sep:"none" placeholder:"WORD" help:"cometd: every well-behaved client is served as CometD does, anonymous publishing and wildcards included. strict: nothing that is not allowed. Default cometd where only loopback addresses are served; on any other address the word must be given."`
	Set         []string `sep:"none" placeholder:"NAME=VALUE" help:"Set an option by its CometD name, prefixes such as ws. included; repeatable. --print-config lists them."`
	Limit       []string `sep:"none" placeholder:"NAME=VALUE" help:"Set a limit that CometD has no option for; repeatable. --print-config lists them."`
	Extension   []string `sep:"none" placeholder:"NAME=VALUE" help:"Set an extension: ack=BOOL, timesync=BOOL, timestamp.format=off|cometd|iso8601|http, activity.mode=off|client|client-server, activity.period=TIME; repeatable. Default ack=true and timesync=true, which act when a client asks for them; the others act on all clients and are off."`
	Channel     []string `sep:"none" placeholder:"CHANNEL.PROPERTY=VALUE" help:"Set a property of a channel, or of all that a pattern matches: lazy, lazyTimeout, broadcastToPublisher, slowConsumer; repeatable."`
	Auth        []string `sep:"none" placeholder:"NAME=VALUE" help:"Set how clients are authenticated, such as jwt.secretFile=FILE, jwt.jwksURL=URL, hook.authURL=URL or proxy.userHeader=NAME; repeatable. --print-config lists them. Default: nobody is."`
	Config      string   `placeholder:"FILE" help:"YAML file: keys as the flags, the maps options:, limits:, extensions:, channels: and auth:, and the list permissions:."`
	Permissions []string `sep:"none" placeholder:"FILE" help:"YAML file of rules: who may do what on which channels. With it, or with permissions: in the file of --config, nothing else is allowed, whatever the posture. SIGHUP reads it anew. Default: what the posture allows."`
	tlsFlags
	TrustedProxies  []string `sep:"none" placeholder:"CIDR" help:"Networks of reverse proxies, separated by commas: their Forwarded, X-Forwarded-* and PROXY headers are believed. Default none."`
	AdminListen     []string `sep:"none" placeholder:"ADDR" help:"Address for /healthz, /readyz and /metrics, or fd:NAME for a socket of the service manager; without a host it is the loopback. Default off."`
	CORSOrigins     []string `sep:"none" name:"cors-origins" placeholder:"ORIGINS" help:"Origins whose pages may use long-polling from elsewhere, such as https://app.example, separated by commas; * for all, without credentials. Default none."`
	CORSCredentials []string `sep:"none" name:"cors-credentials" placeholder:"BOOL" help:"Let those pages send cookies. Default true."`
	Demo            demoFlag `placeholder:"BOOL" help:"Serve the demo page at /. Only /demo/** channels are permitted then, whatever the posture, and maxSessionsPerBrowser is 3 unless it is set. Default false."`
	DoctorToken     []string `sep:"none" placeholder:"TOKEN" help:"Let whoever sends this token examine, with halley doctor, what lies between: requests below PATH/doctor/ that take long, are large or become WebSockets, within bounds. 16 bytes at least. Other users of this machine can read it here: better in the environment, or in --doctor-token-file. Default off."`
	DoctorTokenFile []string `sep:"none" placeholder:"FILE" help:"File with that token, on one line."`
	Park            []string `sep:"none" placeholder:"BOOL" help:"Let held polls, idle WebSockets and connections between two polls wait without a goroutine where the platform can (Linux, plain TCP); false leaves all connections to Go's HTTP server. Default true."`
	ShutdownTimeout []string `sep:"none" placeholder:"TIME" help:"How long a stop may take. Default 10s."`
	LogLevel        []string `sep:"none" placeholder:"LEVEL" help:"debug, info, warn or error. Default info."`
	LogFormat       []string `sep:"none" placeholder:"FORMAT" help:"json or console. Default json."`

	CheckConfig bool        `help:"Check all settings, print ok and exit."`
	PrintConfig printFormat `placeholder:"text|json" help:"Print each setting with its value, default and source, and exit; --print-config=json for programs."`
}

// Help is shown below the flags.
func (Command) Help() string {
	return `Each flag can also be set in the environment as HALLEY_ and its name in capitals (HALLEY_LISTEN, HALLEY_LOG_LEVEL; ` +
		`HALLEY_SET="timeout=20000;ws.timeout=60000") and as a key of the file. Flags win over the environment, the environment ` +
		`over the file, the file over the defaults.

SIGTERM or SIGINT stops the server within --shutdown-timeout: /readyz fails, held polls are answered, connections are closed. ` +
		`A second signal ends it at once. SIGHUP reads the certificates and the permissions anew; subscriptions that are no longer ` +
		`allowed end. Where something is wrong with what is read the old stays, and the log says so.`
}

// printFormat is the value of --print-config: a flag that may have a value.
type printFormat string

// IsBool lets the flag stand without a value.
func (printFormat) IsBool() bool { return true }

// Decode reads "--print-config" and "--print-config=json".
func (f *printFormat) Decode(ctx *kong.DecodeContext) error {
	*f = "text"
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	switch v := fmt.Sprint(ctx.Scan.Pop().Value); v {
	case "text", "true":
	case "json":
		*f = "json"
	case "false":
		*f = ""
	default:
		return fmt.Errorf("%q: want text or json", v)
	}
	return nil
}

// demoFlag is the value of --demo: a flag that may have a value. Empty means
// not given.
type demoFlag string

// IsBool lets the flag stand without a value.
func (demoFlag) IsBool() bool { return true }

// Decode reads "--demo" and "--demo=false".
func (f *demoFlag) Decode(ctx *kong.DecodeContext) error {
	*f = "true"
	if ctx.Scan.Peek().Type == kong.FlagValueToken {
		*f = demoFlag(fmt.Sprint(ctx.Scan.Pop().Value))
	}
	return nil
}

// values is the flag as a setting has it.
func (f demoFlag) values() []string {
	if f == "" {
		return nil
	}
	return []string{string(f)}
}

// Env is what the command needs of its surroundings.
type Env struct {
	// Lookup is os.LookupEnv.
	Lookup func(name string) (string, bool)
	// Stdout gets what was asked for, Stderr the logs.
	Stdout, Stderr io.Writer
	// Signals stop the server: the first in good order, the second at once.
	Signals <-chan os.Signal
	// Hangups have the server read again what can be: certificates, permissions. Nil asks
	// for SIGHUP.
	Hangups <-chan os.Signal
	// Build makes the engine. Nil means the real one.
	Build Builder
	// Sockets returns the listening sockets that the service manager has
	// passed, by name. Nil asks LISTEN_FDS.
	Sockets func() (map[string][]net.Listener, error)
	// Notify tells the service manager how things stand. Nil asks
	// NOTIFY_SOCKET.
	Notify func(state string) error
}

// Run loads the settings and prints them or serves until a signal comes or ctx
// ends. A *UsageError says that the settings are wrong; any other error that
// the server failed.
func (c *Command) Run(ctx context.Context, env Env) error {
	settings, err := c.Load(env.Lookup)
	if err != nil {
		return err
	}
	if env.Build == nil {
		env.Build = buildEngine
	}
	switch {
	case c.PrintConfig != "":
		return settings.print(env.Stdout, string(c.PrintConfig))
	case c.CheckConfig:
		return settings.check(ctx, env)
	default:
		return serve(ctx, settings, env)
	}
}
