package importwebxml

import (
	"strings"
)

// Classes of CometD's, by the end of their names: packages moved with each
// generation.

// isCometD tells whether a servlet is CometD's own or, by its name, derived from
// it.
func (c *component) isCometD() bool {
	simple := strings.ToLower(simpleName(c.class))
	if strings.HasSuffix(simple, "cometdservlet") && !c.isOort() {
		return true
	}
	for _, p := range c.params {
		if p.name == "ws.cometdURLMapping" || strings.HasPrefix(p.name, "long-polling.") {
			return true
		}
	}
	return false
}

// isDerived tells whether the servlet is an application's own class.
func (c *component) isDerived() bool {
	return !strings.HasPrefix(c.class, "org.cometd.") && !strings.HasPrefix(c.class, "org.mortbay.cometd.")
}

// isOort tells whether a servlet configures a cluster of CometD's.
func (c *component) isOort() bool { return strings.HasPrefix(c.class, "org.cometd.oort.") }

func simpleName(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

// cometD2 is the generation before CometDServlet.
const cometD2 = "CometD 2"

// generation names the releases of CometD that a servlet can be of, and tells
// whether it is 8 or later, where the default of timeout changed.
func (c *component) generation(namespace string) (name string, eight bool) {
	switch {
	case c.isDerived():
		return "CometD", strings.Contains(namespace, "jakarta")
	case strings.Contains(c.class, ".jakarta."):
		return "CometD 8 or later", true
	case strings.Contains(c.class, "Cometd"), strings.HasPrefix(c.class, "org.cometd.java."):
		return cometD2, false
	case c.class == "org.cometd.annotation.AnnotationCometDServlet":
		return "CometD 3 or 4", false
	case c.class == "org.cometd.annotation.server.AnnotationCometDServlet":
		return "CometD 5 to 7", false
	default:
		return "CometD 3 to 7", false
	}
}

// transportOf returns the transport that a class of the option transports
// stands for.
func transportOf(class string) (string, bool) {
	if !strings.HasPrefix(class, "org.cometd.") {
		return "", false
	}
	switch name := simpleName(class); {
	case strings.Contains(name, "WebSocketTransport"):
		return "websocket", true
	case strings.HasPrefix(name, "JSONP"):
		return "callback-polling", true
	case strings.Contains(name, "JSON"):
		return "long-polling", true
	}
	return "", false
}

// needless are parameters of CometD's that have no counterpart because nothing
// is left to set, with the reason.
func needless(name string) (why string, ok bool) {
	why, ok = map[string]string{
		"jsonContext":                 "Halley passes JSON on byte for byte and has one parser",
		"jsonDebug":                   "for debugging there is --log-level debug",
		"logLevel":                    "set log-level",
		"sweepThreads":                "one goroutine serves all deadlines",
		"schedulerThreads":            "one goroutine serves all deadlines",
		"executorMaxThreads":          "there is no thread pool",
		"randomizeLazyTimeout":        "lazy messages leave at their time",
		"autoBatch":                   "a request is always a batch of its session",
		"allowMultiSessionsNoBrowser": "a client that keeps no cookies is a new browser with each handshake",
		"bufferSize":                  "buffers are pooled",
	}[name]
	return why, ok
}

// elementAdvice says what to do about a top-level element that is not carried
// over. needed tells a warning from a note.
func elementAdvice(e *element) (text string, needed bool) {
	switch e.name {
	case "description", "display-name", "icon", "small-icon", "large-icon", "module-name":
		return "", false
	case "context-param":
		return contextParam(e)
	case "listener":
		return listener(clean(e.value("listener-class")))
	case "security-constraint":
		text = "security-constraint: the container's logins are not Halley's. Write a Policy in Go (CanHandshake), or keep a proxy in front that authenticates"
		for _, d := range e.all("user-data-constraint") {
			if strings.EqualFold(d.value("transport-guarantee"), "CONFIDENTIAL") {
				text += "; for CONFIDENTIAL set tls-cert and tls-key, or let the proxy speak TLS"
			}
		}
		return text, true
	case "login-config", "security-role", "deny-uncovered-http-methods":
		return e.name + ": see security-constraint; authentication moves to a Policy or to a proxy", true
	case "session-config":
		return "session-config: Halley has no HTTP sessions. What the application kept in HttpSession goes to session attributes, or comes with the handshake", false
	case "ejb-ref", "ejb-local-ref", "resource-ref", "resource-env-ref", "message-destination-ref", "message-destination",
		"persistence-context-ref", "persistence-unit-ref", "service-ref", "env-entry", "data-source",
		"post-construct", "pre-destroy", "jms-connection-factory", "jms-destination", "mail-session", "connection-factory", "administered-object":
		return e.name + ": a resource of the container; Go code opens its own", true
	case "error-page", "welcome-file-list", "welcome-file", "mime-mapping", "jsp-config", "taglib", "locale-encoding-mapping-list",
		"request-character-encoding", "response-character-encoding":
		return e.name + ": pages and files stay with a web server; Halley serves the Bayeux endpoint only", false
	case "distributable":
		return "distributable: Halley's sessions live in one process; a balancer must be sticky", true
	case "absolute-ordering", "ordering":
		return e.name + ": fragments of the container are not looked at; import a web-fragment.xml that has CometD's servlet itself", true
	}
	return e.name + " is not known here; nothing of it was carried over: look whether the endpoint needs it", true
}

func contextParam(e *element) (text string, needed bool) {
	name := clean(e.value("param-name"))
	switch {
	case name == "contextConfigLocation" || name == "contextClass" || strings.Contains(name, "springframework"):
		return "context-param " + name + ": where Spring makes the BayeuxServer, options stand in its files, which are not read; copy them to options:", true
	case name == "org.eclipse.jetty.server.context.ManagedAttributes":
		return "context-param " + name + ": JMX is replaced by the metrics of --admin-listen", false
	case strings.HasPrefix(name, "org.cometd."):
		return "context-param " + name + ": set by Java code or for it; look for its counterpart in docs/MIGRATION.md", true
	}
	return "context-param " + name + ": a value for the application's own code", false
}

func listener(class string) (text string, needed bool) {
	switch {
	case strings.HasPrefix(class, "org.springframework."):
		return "listener " + class + ": what Spring configures (BayeuxServer, services, extensions) is Java; write it in Go", true
	case strings.HasPrefix(class, "ch.qos.logback."), strings.HasPrefix(class, "org.apache.logging."):
		return "listener " + class + ": logs go to standard error; see log-level and log-format", false
	}
	return "listener " + class + ": if it sets up the BayeuxServer (services, SecurityPolicy, extensions), write that in Go", true
}

// filterAdvice says what to do about a filter in front of the endpoint that is
// not for cross-origin requests.
func filterAdvice(f *component) (text string, needed bool) {
	name := "filter " + clean(f.name) + " (" + clean(f.class) + ")"
	switch {
	case strings.HasSuffix(f.class, "ContinuationFilter"):
		return name + ": held requests need no help", false
	case strings.Contains(f.class, "GzipFilter"), strings.Contains(f.class, "GZIPFilter"):
		return name + ": WebSockets are compressed as clients ask; answers to polls are not, as with CometD itself", false
	case strings.Contains(strings.ToLower(f.class), "cors"), strings.Contains(f.class, "CrossOrigin"):
		return name + ": its origins are not read; set cors-origins", true
	case strings.Contains(f.class, "DoSFilter"), strings.Contains(f.class, "QoSFilter"):
		return name + ": set limits: handshakesPerSecond and options: maxSessions; or a proxy that limits", true
	case strings.Contains(strings.ToLower(f.class), "security"), strings.HasSuffix(f.class, "DelegatingFilterProxy"), strings.Contains(strings.ToLower(f.class), "auth"):
		return name + " checked who may come in: write a Policy in Go, or keep a proxy in front that does", true
	case strings.HasSuffix(f.class, "CharacterEncodingFilter"):
		return name + ": bodies are read in the charset they declare, UTF-8 without", false
	}
	return name + " ran in front of CometD: what it did for the endpoint moves to a proxy or to middleware around server.Server", true
}
