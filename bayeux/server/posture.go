package server

import (
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// PostureDefault is a default that differs between the postures. All of them
// are in PostureTable; nothing else differs.
type PostureDefault struct {
	// Name is that of the option or limit; "policy" for Config.Policy.
	Name string
	// CometD and Strict are the defaults, in the form of a value.
	CometD, Strict string
	// Threat is what the strict default answers, one line.
	Threat string
	// Library and Program set it alone, whatever the posture: the field of
	// Config, and what `halley serve` takes.
	Library, Program string
}

// PostureTable lists each default that differs between the postures, with the
// threat it answers and how to choose it alone. What is set explicitly wins
// over the posture.
func PostureTable() []PostureDefault {
	options, limits := strictOptions(), strictLimits()
	table := make([]PostureDefault, 0, 1+len(options)+len(limits))
	table = append(table, PostureDefault{
		Name: "policy", CometD: "bayeux.DefaultPolicy: everybody may do all", Strict: "bayeux.ClosedPolicy: handshake and connect, nothing else",
		Threat:  "strangers read and write everything, by /** too",
		Library: "Config.Policy", Program: "permissions: in the file",
	})
	for _, o := range options {
		info, _ := LookupOption(o.name)
		table = append(table, PostureDefault{
			Name: o.name, CometD: info.Default, Strict: o.strict(), Threat: o.threat,
			Library: "Config.Options[" + strconv.Quote(o.names()[0]) + "]", Program: "--set " + o.names()[0] + "=" + o.example(info),
		})
	}
	cometd, strict := DefaultLimits(PostureCometD), DefaultLimits(PostureStrict)
	for _, l := range limits {
		program := "--limit " + l.name + "=" + l.text(cometd)
		if l.option {
			program = "--set " + l.name + "=" + l.text(cometd)
		}
		table = append(table, PostureDefault{
			Name: l.name, CometD: off(l.text(cometd)), Strict: off(l.text(strict)), Threat: l.threat,
			Library: "Config.Limits." + l.field, Program: program,
		})
	}
	return table
}

func off(value string) string {
	if value == "-1" {
		return "off"
	}
	return value
}

// strictOption is an option whose default is another one in PostureStrict.
type strictOption struct {
	name, value string
	// prefixed are the names that get the value, where it is not for all
	// transports, and shown what the tables say then.
	prefixed []string
	shown    string
	threat   string
}

func (o strictOption) strict() string {
	if o.shown != "" {
		return o.shown
	}
	return o.value
}

// names are those that the posture sets.
func (o strictOption) names() []string {
	if o.prefixed != nil {
		return o.prefixed
	}
	return []string{o.name}
}

// example is the value that brings CometD's behaviour back.
func (o strictOption) example(info OptionInfo) string {
	value, _, _ := strings.Cut(info.Default, ";")
	return value
}

func strictOptions() []strictOption {
	return []strictOption{
		{name: "checkOrigin", value: "true", threat: "pages of other sites act for the user: cross-site WebSockets (CSWSH), forged POSTs (CSRF)"},
		{name: "checkContentType", value: "true", threat: "POSTs that browsers send to other sites without asking (text/plain)"},
		{name: "allowedTransports", value: "websocket,long-polling", threat: "callback-polling hands answers to any page that loads them as a script"},
		{name: "callbackPrefix", value: "true", threat: "the first bytes of an answer are the client's choice (Rosetta Flash, CVE-2014-4671)"},
		{name: "callbackIdentifier", value: "true", threat: "callbacks that are no names but pieces of a script"},
		{name: "browserCookieSameSite", value: "Lax", threat: "requests of other sites carry the cookie"},
		{name: "browserCookieSecure", value: "true", threat: "the cookie travels without TLS"},
		{
			name: "maxMessageSize", value: "262144", prefixed: []string{"long-polling.maxMessageSize"}, shown: "262144; ws 65536",
			threat: "large bodies fill the memory",
		},
	}
}

// strictValues are the options by which PostureStrict differs, as fallbacks of
// Config.Options: names with the prefix of a transport too.
func strictValues() Options {
	values := Options{}
	for _, o := range strictOptions() {
		for _, n := range o.names() {
			values[n] = o.value
		}
	}
	return values
}

// strictLimit is a limit whose default is another one in PostureStrict.
type strictLimit struct {
	// name is that of the option if there is one, else of --limit.
	name   string
	option bool
	field  string
	text   func(Limits) string
	threat string
}

func strictLimits() []strictLimit {
	number := func(f func(Limits) int) func(Limits) string {
		return func(l Limits) string { return strconv.Itoa(f(l)) }
	}
	span := func(f func(Limits) time.Duration) func(Limits) string {
		return func(l Limits) string { return SpanText(f(l)) }
	}
	const flood, hoard = "floods of handshakes", "one address takes all there is"
	return []strictLimit{
		{"batch", false, "Messages.Batch", number(func(l Limits) int { return l.Messages.Batch }), "one request keeps the server busy"},
		{"channelBytes", false, "Messages.ChannelBytes", number(func(l Limits) int { return l.Messages.ChannelBytes }), "names of channels fill the memory"},
		{"channelSegments", false, "Messages.ChannelSegments", number(func(l Limits) int { return l.Messages.ChannelSegments }), "deep channels fill the memory"},
		{"maxSubscriptions", true, "Subscriptions", number(func(l Limits) int { return l.Subscriptions }), "subscriptions fill the memory"},
		{"maxQueue", true, "QueueMessages", number(func(l Limits) int { return l.QueueMessages }), "clients that do not read fill the memory"},
		{"maxQueueBytes", true, "QueueBytes", func(l Limits) string { return strconv.FormatInt(l.QueueBytes, 10) }, "clients that do not read fill the memory"},
		{"maxSessions", true, "Sessions", number(func(l Limits) int { return l.Sessions }), flood},
		{"unconnectedSessions", false, "UnconnectedSessions", number(func(l Limits) int { return l.UnconnectedSessions }), flood + " of clients that never connect"},
		{"unconnectedTime", false, "UnconnectedTime", span(func(l Limits) time.Duration { return l.UnconnectedTime }), flood + " of clients that never connect"},
		{"handshakesPerSecond", false, "HandshakesPerSecond", number(func(l Limits) int { return l.HandshakesPerSecond }), flood},
		{"handshakesPerAddress", false, "HandshakesPerAddress", number(func(l Limits) int { return l.HandshakesPerAddress }), flood + " from one address"},
		{"sessionsPerAddress", false, "SessionsPerAddress", number(func(l Limits) int { return l.SessionsPerAddress }), hoard},
		{"webSocketsPerAddress", false, "WebSocketsPerAddress", number(func(l Limits) int { return l.WebSocketsPerAddress }), hoard},
		{"clientTimeout", false, "ClientTimeout", span(func(l Limits) time.Duration { return l.ClientTimeout }), "polls that are held for ever"},
		{"clientInterval", false, "ClientInterval", span(func(l Limits) time.Duration { return l.ClientInterval }), "sessions that live for an hour without a sign of life"},
	}
}

// SpanText writes a time as --limit takes it: "10m", "2s"; "-1" for none.
func SpanText(d time.Duration) string {
	if d < 0 {
		return "-1"
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}

// PostureOptions is OptionTable with the defaults of a posture.
func PostureOptions(p Posture) []OptionInfo {
	table := OptionTable()
	if p != PostureStrict {
		return table
	}
	strict := make(map[string]string)
	for _, d := range PostureTable() {
		strict[d.Name] = d.Strict
	}
	for i := range table {
		if def, ok := strict[table[i].Name]; ok {
			table[i].Default = def
		}
	}
	return table
}

func defaultPolicy(p Posture) bayeux.Policy {
	if p == PostureStrict {
		return bayeux.ClosedPolicy{}
	}
	return bayeux.DefaultPolicy{}
}

// closedHintEvery is how often the log says again what to do where everything is
// refused, at most.
const closedHintEvery = time.Minute

// adviseClosed says in the log what to do where no policy was given and so
// everything is refused; not more than once in closedHintEvery.
func (srv *Server) adviseClosed(what string) {
	now := srv.now().UnixNano()
	last := srv.closedHint.Load()
	if !srv.closed || last != 0 && now-last < int64(closedHintEvery) || !srv.closedHint.CompareAndSwap(last, now) {
		return
	}
	srv.log.Warn().Str("posture", string(srv.config.Posture)).Uint64("refused", srv.stats.denied.Load()).
		Msg(what + ", for there is no policy: say who may do what, in permissions: of the configuration file or in Config.Policy; see docs/SECURITY.md")
}

// lookup resolves options for one transport, the empty name for none.
func (c Config) lookup(transport string) lookup {
	l := lookup{options: c.Options, transport: transport}
	if c.Posture == PostureStrict {
		l.posture = strictValues()
	}
	return l
}
