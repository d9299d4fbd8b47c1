package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux"
)

// Options are server options by name, as CometD names them (WIRE 11). Times
// are milliseconds, or Go durations such as "20s"; flags are true or false.
type Options map[string]string

// OptionInfo describes an option for help texts and checks.
type OptionInfo struct {
	// Name is CometD's name, or ours for what CometD does not have.
	Name string
	// Kind is what values look like: "ms", "bool", "count", "bytes", "status",
	// "text", "list".
	Kind string
	// Default in the form of a value.
	Default string
	// Scope tells which transports have it: "all" (may be set for each
	// transport by prefix), "http", "jsonp", "ws", or "server" (no prefix).
	Scope string
	// Help is one line.
	Help string
}

// OptionTable lists all options in the order of the documentation.
func OptionTable() []OptionInfo {
	return append([]OptionInfo{
		{"timeout", "ms", "20000", "all", "how long a /meta/connect is held; 0 with an interval is plain polling"},
		{"interval", "ms", "0", "all", "pause that clients make before the next /meta/connect"},
		{"maxInterval", "ms", "10000", "all", "how long a session lives without a /meta/connect, on top of the interval"},
		{"maxProcessing", "ms", "-1", "all", "how long the processing of a message may take before the session ends; negative: no limit; held time never counts"},
		{"maxLazyTimeout", "ms", "5000", "all", "how long lazy messages may wait"},
		{"metaConnectDeliverOnly", "bool", "false", "all", "deliver messages with /meta/connect replies only"},
		{"maxQueue", "count", "10000", "all", "messages queued for a session before the slow-consumer policy acts; -1: no limit"},
		{"maxQueueBytes", "bytes", "16777216", "all", "bytes queued for a session before the slow-consumer policy acts; -1: no limit"},
		{"slowConsumer", "text", "disconnect", "all", "what becomes of a message that its session's queue has no room for: disconnect, drop-oldest, drop-newest or conflate"},
		{"maxMessageSize", "bytes", "1000000; ws 65536", "all", "largest HTTP body or WebSocket message; -1: no limit"},
		{"handshakeReconnect", "bool", "false", "all", "add maxInterval to advice"},
		{"allowMessageDeliveryDuringHandshake", "bool", "false", "all", "deliver messages queued during a handshake with its reply"},
		{"broadcastToPublisher", "bool", "true", "server", "publishers receive their own messages where they are subscribed"},
		{"relayReplyFields", "bool", "false", "server", "pass on advice, successful and error that a publisher put into a message"},
		{"validateMessageFields", "bool", "true", "server", "refuse invalid channels and ids; false is not supported"},
		{"allowedTransports", "list", "websocket,long-polling,callback-polling", "server", "transports offered, in this order"},
		{"checkOrigin", "bool", "false", "server", "refuse requests and WebSockets of pages of other origins, unless allowedOrigins has them"},
		{"allowedOrigins", "list", "", "server", "with checkOrigin: origins that are allowed besides the server's own, such as https://app.example; * for all, as long as no cookie or certificate speaks for the user"},
		{"checkContentType", "bool", "false", "server", "refuse POSTs that say neither that they are JSON nor that they are a form"},
		{"sweepPeriod", "ms", "997", "server", "how often expired sessions and unused channels are removed"},
		{"maxSubscriptions", "count", "10000", "server", "subscriptions of one session; -1: no limit"},
		{"maxSessions", "count", "1000000", "server", "sessions at one time; -1: no limit"},
		{"browserCookieName", "text", "BAYEUX_BROWSER", "http", "name of the browser cookie"},
		{"browserCookieDomain", "text", "", "http", "Domain of the browser cookie; empty: the host alone"},
		{"browserCookiePath", "text", "/", "http", "Path of the browser cookie"},
		{"browserCookieMaxAge", "count", "-1", "http", "Max-Age of the browser cookie in seconds; -1: until the browser closes"},
		{"browserCookieSecure", "bool", "false", "http", "Secure on the browser cookie of https requests"},
		{"browserCookieHttpOnly", "bool", "true", "http", "HttpOnly on the browser cookie"},
		{"browserCookieSameSite", "text", "", "http", "SameSite of the browser cookie: Strict, Lax or None; empty: not set"},
		{"browserCookiePartitioned", "bool", "false", "http", "Partitioned on the browser cookie"},
		{"maxSessionsPerBrowser", "count", "1", "http", "held /meta/connect of one browser on HTTP/1.1; -1: no limit; 0: never hold"},
		{"http2MaxSessionsPerBrowser", "count", "-1", "http", "held /meta/connect of one browser on HTTP/2; -1: no limit"},
		{"multiSessionInterval", "ms", "2000", "http", "interval of a browser's further sessions; 0 or less refuses them"},
		{"trustClientSession", "bool", "false", "http", "a clientId suffices, without the browser cookie"},
		{"duplicateMetaConnectHttpResponseCode", "status", "500", "http", "HTTP status that ends a held /meta/connect when a newer one arrives; 400 or more"},
		{"maxResponseSize", "bytes", "1000000", "http", "messages of one poll; the rest leaves with the next"},
		{"callbackParameter", "text", "jsonp", "jsonp", "query parameter with the name of the callback"},
		{"callbackParameterMaxLength", "count", "64", "jsonp", "longest name of a callback"},
		{"callbackPrefix", "bool", "false", "jsonp", "begin answers with an empty comment, so that their first bytes are not the client's choice"},
		{"callbackIdentifier", "bool", "false", "jsonp", "callbacks must be JavaScript identifiers, joined by dots"},
		{"cometdURLMapping", "text", "", "ws", "accepted and ignored: the mount path decides"},
		{"protocol", "text", "", "ws", "WebSocket sub-protocol; where set, clients must offer it"},
		{"messagesPerFrame", "count", "1", "ws", "messages of one WebSocket message; 0 or less: all that are queued"},
		{"bufferSize", "bytes", "0", "ws", "accepted and ignored: buffers are pooled"},
		{"idleTimeout", "ms", "0", "ws", "closes a connection without frames; 0: twice the longest hold, at least 30 s"},
		{"requireHandshakePerConnection", "bool", "false", "ws", "a fresh connection needs a handshake of its own"},
		{"requireBrowserCookie", "bool", "false", "ws", "a session whose handshake had a browser cookie, as all over HTTP have, goes on over another WebSocket only with that cookie, not by its clientId alone"},
		{"enableExtension.permessage-deflate", "bool", "true", "ws", "negotiate compression"},
		{"ackMessageLimit", "bytes", "60000", "ws", "largest WebSocket message of retained messages with their connect reply"},
		{"ackFrames", "text", "joined", "ws", "joined: retained messages and their connect reply in one WebSocket message; separate: as CometD"},
	}, pathOptionTable()...)
}

// prefixes lists the prefixes of each transport's options, the nearest first
// ([R-JP-7]).
func prefixes(transport string) []string {
	switch transport {
	case "websocket":
		return []string{"ws."}
	case "long-polling":
		return []string{"long-polling.json.", "long-polling."}
	case TransportLocal:
		return nil
	default:
		return []string{"callback-polling.jsonp.", "callback-polling.", "long-polling.jsonp.", "long-polling."}
	}
}

func scopePrefixes(scope string) []string {
	ws, lp, jp := prefixes("websocket"), prefixes("long-polling"), prefixes("callback-polling")
	switch scope {
	case "all":
		return slices.Concat([]string{""}, ws, lp, jp)
	case "http":
		return slices.Concat([]string{""}, lp, jp)
	case "jsonp":
		return append([]string{""}, jp...)
	case "ws":
		return ws
	default:
		return []string{""}
	}
}

// OptionNames returns every name that Options may hold, prefixes included,
// sorted.
func OptionNames() []string {
	seen := make(map[string]bool)
	for _, info := range OptionTable() {
		for _, p := range scopePrefixes(info.Scope) {
			seen[p+info.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// LookupOption returns the description of a name, with or without prefix.
func LookupOption(name string) (OptionInfo, bool) {
	for _, info := range OptionTable() {
		for _, p := range scopePrefixes(info.Scope) {
			if p+info.Name == name {
				return info, true
			}
		}
	}
	if rest, ok := strings.CutPrefix(name, "ws.enableExtension."); ok && rest != "" {
		return OptionInfo{Name: name, Kind: "bool", Default: "true", Scope: "ws", Help: "negotiate this WebSocket extension"}, true
	}
	return OptionInfo{}, false
}

// OptionError tells what is wrong with an option.
type OptionError struct {
	Name, Value string
	// Want says what the value may be; empty when the name is unknown.
	Want string
	// Nearest is the known name closest to an unknown one.
	Nearest string
}

// Error names the option, the value and the mend.
func (e *OptionError) Error() string {
	if e.Want == "" {
		return fmt.Sprintf("option %q is unknown; the nearest is %q", e.Name, e.Nearest)
	}
	return fmt.Sprintf("option %s=%q: want %s", e.Name, e.Value, e.Want)
}

// Check validates names and values; the error is an *OptionError.
func (o Options) Check() error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if err := CheckOption(name, o[name]); err != nil {
			return err
		}
	}
	return nil
}

// CheckOption validates one option; the error is an *OptionError.
func CheckOption(name, value string) error {
	info, ok := LookupOption(name)
	if !ok {
		return &OptionError{Name: name, Value: value, Nearest: NearestName(name, OptionNames())}
	}
	if want := wrongValue(info, value); want != "" {
		return &OptionError{Name: name, Value: value, Want: want}
	}
	return nil
}

// wrongValue returns what the value should be, or "" when it is fine.
func wrongValue(info OptionInfo, value string) string {
	value = strings.TrimSpace(value)
	switch info.Kind {
	case "bool":
		if value != "true" && value != "false" {
			return "true or false"
		}
		if info.Name == "validateMessageFields" && value == "false" { // [R-OP-1]
			return "true: unchecked channels are not supported"
		}
	case "ms":
		if _, err := parseMillis(value); err != nil {
			return "milliseconds, or a duration such as 20s"
		}
	case "count", "bytes":
		if _, err := strconv.ParseInt(value, 10, 32); err != nil {
			return "a whole number below 2^31"
		}
	case "status":
		if n, err := strconv.Atoi(value); err != nil || n < 400 || n > 599 {
			return "an HTTP status from 400 to 599"
		}
	default:
		return wrongText(info.Name, value)
	}
	return ""
}

func wrongText(name, value string) string {
	choice := map[string][]string{
		"browserCookieSameSite": {"", "Strict", "Lax", "None"},
		"ackFrames":             {"joined", "separate"},
		"slowConsumer":          bayeux.SlowConsumerNames(),
	}[name]
	if choice != nil && !slices.ContainsFunc(choice, func(c string) bool { return strings.EqualFold(c, value) }) {
		if choice[0] == "" {
			return "one of " + strings.Join(choice[1:], ", ") + ", or nothing"
		}
		return "one of " + strings.Join(choice, ", ")
	}
	if name == "allowedTransports" {
		for _, t := range splitList(value) {
			if !slices.Contains(allTransports(), t) {
				return "a list of " + strings.Join(allTransports(), ", ")
			}
		}
	}
	if name == "allowedOrigins" {
		return wrongOrigins(value)
	}
	if name == "browserCookieName" && strings.ContainsAny(value, " ,;=\"\t\r\n") || name == "browserCookieName" && value == "" {
		return "a cookie name"
	}
	if want := wrongPath(name, value); want != "" {
		return want
	}
	if strings.ContainsAny(value, "\r\n;") {
		return "text without line breaks and semicolons"
	}
	return ""
}

func allTransports() []string { return []string{"websocket", "long-polling", "callback-polling"} }

func splitList(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
}

func parseMillis(value string) (time.Duration, error) {
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		const most = int64(1<<62) / int64(time.Millisecond)
		if n > most || n < -most {
			return 0, strconv.ErrRange
		}
		return time.Duration(n) * time.Millisecond, nil
	}
	return time.ParseDuration(value)
}

// NearestName returns the known name with the least edit distance from name,
// letter case aside; the first of equals, "" if none is known. It is what error
// texts suggest.
func NearestName(name string, known []string) string {
	best, least := "", -1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); least < 0 || d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance of bytes, of at most the first 64, one
// row at a time.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
