package importwebxml

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/halleypush/halley/bayeux/server"
)

// bareName cuts the prefixes of transports off.
func bareName(name string) string {
	for _, prefix := range []string{"callback-polling.jsonp.", "callback-polling.", "long-polling.jsonp.", "long-polling.json.", "long-polling.", "ws."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest
		}
	}
	return name
}

// param carries over an init-param of CometD's servlet.
func (c *config) param(p param) {
	shown := clean(p.value)
	if secret(p.name) {
		shown = "(not shown)"
	}
	bare := bareName(p.name)
	why, idle := needless(bare)
	switch {
	case p.name == "":
		c.warn(p.line, "an init-param without a name was left out; look whether one is missing")
		return
	case bare == "services":
		c.services(p)
		return
	case bare == "transports", bare == "cometdURLMapping": // see there
		return
	case idle:
		c.remark(p.line, "%s is not needed: %s", clean(p.name), why)
		return
	case unresolved(p.value):
		c.warn(p.line, "%s=%q has a placeholder that something replaces at build time or when it is deployed; set it by hand", clean(p.name), shown)
		return
	}
	name, info, ok := lookup(p.name)
	if !ok {
		c.warn(p.line, "%s=%q is no option of CometD's or of Halley's%s", clean(p.name), shown, meant(p.name))
		return
	}
	value, comment, problem := fit(info, p.value)
	if problem == "" {
		if err := server.CheckOption(name, value); err != nil {
			problem = "want " + err.Error()
			if wrong, ok := errors.AsType[*server.OptionError](err); ok && wrong.Want != "" {
				problem = "want " + wrong.Want
			}
		}
	}
	if problem != "" {
		c.warn(p.line, "%s=%q was left out: %s", clean(p.name), shown, problem)
		return
	}
	if comment == "" && name != p.name {
		comment = "was " + p.name
	}
	if c.set(option{name, value, comment}) {
		c.warn(p.line, "%s stands twice; the last one counts here", clean(p.name))
	}
	if comment != "" && name == p.name {
		c.warn(p.line, "%s=%q: %s", clean(p.name), shown, comment)
	}
}

// meant suggests a name where one differs by a few letters.
func meant(name string) string {
	near := server.NearestName(name, server.OptionNames())
	letters := map[rune]int{}
	for _, r := range strings.ToLower(name) {
		letters[r]++
	}
	for _, r := range strings.ToLower(near) {
		letters[r]--
	}
	differ := 0
	for _, n := range letters {
		differ += max(n, -n)
	}
	if differ > 2 {
		return "; where the application's own code reads it, that needs a configuration of its own"
	}
	return ", so it did nothing; " + near + " may have been meant"
}

// unresolved tells whether a value is still to be filled in.
func unresolved(value string) bool {
	if strings.Contains(value, "${") || strings.Contains(value, "#{") || strings.HasPrefix(value, "@") && strings.HasSuffix(value, "@") && len(value) > 2 {
		return true
	}
	at := strings.IndexByte(value, '&') // an entity that was not expanded
	return at >= 0 && strings.IndexByte(value[at:], ';') > 1
}

// lookup finds an option. CometD takes options of the WebSocket transport
// without their prefix too.
func lookup(name string) (string, server.OptionInfo, bool) {
	if info, ok := server.LookupOption(name); ok {
		return name, info, true
	}
	info, ok := server.LookupOption("ws." + name)
	return "ws." + name, info, ok
}

// fit turns a value into one that means the same here as it did in CometD.
func fit(info server.OptionInfo, value string) (fitted, comment, problem string) {
	value = strings.TrimSpace(value)
	switch info.Kind {
	case "bool":
		switch {
		case strings.EqualFold(value, "true"):
			return "true", "", ""
		case strings.EqualFold(value, "false"):
			return "false", "", ""
		}
		return "false", "CometD took everything but true for false, so this is false", ""
	case "ms", "count", "bytes", "status":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return "", "", "CometD wants a whole number there and would not have started; set it by hand"
		}
		return strconv.FormatInt(n, 10), "", ""
	}
	if info.Name == "allowedTransports" {
		return transportNames(value)
	}
	return value, "", ""
}

// transportNames keeps the transports there are, in their order.
func transportNames(value string) (fitted, comment, problem string) {
	var known, unknown []string
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		switch {
		case slices.Contains([]string{"websocket", "long-polling", "callback-polling"}, name):
			known = append(known, name)
		case name != "":
			unknown = append(unknown, clean(name))
		}
	}
	if len(known) == 0 {
		return "", "", "there is no transport in it that Halley has: websocket, long-polling, callback-polling"
	}
	if len(unknown) > 0 {
		comment = "without " + strings.Join(unknown, ", ") + ", which Halley does not have"
	}
	return strings.Join(known, ","), comment, ""
}

// services names the classes of the option services, which are Java.
func (c *config) services(p param) {
	var names []string
	for class := range strings.SplitSeq(p.value, ",") {
		if class = clean(class); class != "" {
			names = append(names, class)
		}
	}
	if len(names) == 0 {
		return
	}
	c.warn(p.line, "services: %s: Java classes; write them in Go with package bayeux/service (docs/MIGRATION.md)", strings.Join(names[:min(len(names), 20)], ", "))
}

// transports carries over the option transports: classes of CometD's, or an
// application's own.
func (c *config) transports(s *component) {
	for _, p := range s.params {
		if p.name != "transports" {
			continue
		}
		var names []string
		for class := range strings.SplitSeq(p.value, ",") {
			class = clean(class)
			name, ok := transportOf(class)
			switch {
			case class == "":
			case !ok:
				c.warn(p.line, "transports: %s is the application's own; Halley has websocket, long-polling and callback-polling", class)
			case !slices.Contains(names, name):
				names = append(names, name)
			}
		}
		allowed := c.get("allowedTransports")
		if allowed == "" && len(names) > 0 {
			c.set(option{"allowedTransports", strings.Join(names, ","), "from transports"})
			continue
		}
		// Both: those that are installed, in the order of what is allowed.
		var both []string
		for name := range strings.SplitSeq(allowed, ",") {
			if slices.Contains(names, name) {
				both = append(both, name)
			}
		}
		if len(both) > 0 {
			c.set(option{"allowedTransports", strings.Join(both, ","), "those that transports installs too"})
		}
	}
}

// socketMapping compares where WebSockets were served with the path.
func (c *config) socketMapping(d *descriptor, s *component) {
	for _, p := range s.params {
		if bareName(p.name) != "cometdURLMapping" {
			continue
		}
		for pattern := range strings.SplitSeq(p.value, ",") {
			pattern = strings.TrimSpace(pattern)
			path, ok := pathOf(pattern)
			if pattern != "" && (!ok || d.prefix+path != c.path) {
				c.warn(p.line, "%s: WebSockets were served at %s, Halley serves them where everything else is", clean(p.name), clean(pattern))
			}
		}
		c.idle["ws.cometdURLMapping"]++
		return
	}
	if c.generation == cometD2 {
		return // which needed no mapping
	}
	if allowed := c.get("allowedTransports"); allowed == "" || strings.Contains(allowed, "websocket") {
		c.remark(s.line, "servlet %s: without ws.cometdURLMapping CometD served no WebSockets; Halley does. To keep them off: allowedTransports: long-polling,callback-polling", clean(s.name))
	}
}

// bounds tells where Halley has bounds that CometD had not, or that did nothing.
func (c *config) bounds(s *component) {
	bounded := false
	for _, o := range c.options {
		if bareName(o.name) == "maxQueue" && !strings.HasPrefix(o.value, "-") && o.value != "0" {
			bounded = true
			c.remark(s.line, "%s: in CometD it does nothing without a QueueMaxedListener; here it acts, by slowConsumer: disconnect, drop-oldest, drop-newest or conflate", o.name)
		}
	}
	if !slices.ContainsFunc(c.options, func(o option) bool { return bareName(o.name) == "maxMessageSize" }) {
		c.remark(s.line, "maxMessageSize is not set: CometD takes HTTP bodies of any size, Halley up to 1000000 bytes; WebSocket messages are as there, up to 65536")
	}
	if !bounded && c.get("maxQueue") == "" {
		c.remark(s.line, "maxQueue is not set: CometD's queues have no bound, Halley's have 10000 messages and 16 MiB; see slowConsumer")
	}
}
