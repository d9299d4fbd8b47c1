package importwebxml

import (
	"fmt"
	"slices"
	"strings"
)

// maxNotes bounds the warnings and the notes of one file.
const maxNotes = 200

// note is something to tell the reader, with the line of the file, 0 for none.
type note struct {
	line int
	text string
}

// config is the halley.yaml that comes of a descriptor.
type config struct {
	file, generation string
	path             string
	pathComment      string
	origins          []string
	credentials      string // of cors-origins; empty for the default
	corsComment      string // instead of origins
	options          []option
	warnings         []note // something is lost unless it is seen to
	remarks          []note // nothing need be done
	dropped          int    // notes beyond maxNotes
	idle             map[string]int
}

// option is a line of options:.
type option struct{ name, value, comment string }

func (c *config) warn(line int, format string, args ...any) { c.add(&c.warnings, line, format, args) }

func (c *config) remark(line int, format string, args ...any) { c.add(&c.remarks, line, format, args) }

func (c *config) add(to *[]note, line int, format string, args []any) {
	if len(*to) >= maxNotes {
		c.dropped++
		return
	}
	*to = append(*to, note{line, fmt.Sprintf(format, args...)})
}

func (c *config) at(n note) string {
	if n.line == 0 {
		return c.file
	}
	return fmt.Sprintf("%s:%d", c.file, n.line)
}

// set sets an option; a later value replaces an earlier one.
func (c *config) set(o option) (twice bool) {
	for i := range c.options {
		if c.options[i].name == o.name {
			c.options[i] = o
			return true
		}
	}
	c.options = append(c.options, o)
	return false
}

func (c *config) get(name string) string {
	for _, o := range c.options {
		if o.name == name {
			return o.value
		}
	}
	return ""
}

// convert reads a descriptor and makes a configuration of it. An *Error says
// that nothing was understood.
func convert(name string, text []byte) (*config, error) {
	doc, err := parse(name, text)
	if err != nil {
		return nil, err
	}
	if root := doc.root.name; root != "web-app" && root != "web-fragment" {
		return nil, nothing("%s: the root element is <%s>, not <web-app>: this is no deployment descriptor", name, clean(root))
	}
	d := describe(doc)
	at := slices.IndexFunc(d.servlets, func(s component) bool { return s.isCometD() })
	if at < 0 {
		return nil, nothing("%s: no CometD servlet in it; %s", name, found(d.servlets))
	}
	main := &d.servlets[at]
	c := &config{file: name, idle: map[string]int{}}
	var eight bool
	c.generation, eight = main.generation(doc.namespace)
	if doc.recoded != "" {
		c.remark(1, "the file is not in the encoding that it declares; it was read as %s", doc.recoded)
	}
	c.servlet(d, main, eight)
	for i := range d.servlets {
		if i != at {
			c.otherServlet(&d.servlets[i], main)
		}
	}
	for i := range d.filters {
		c.filter(&d.filters[i], main)
	}
	for _, e := range d.rest {
		c.element(e)
	}
	c.finish()
	return c, nil
}

// found names the servlets there are.
func found(servlets []component) string {
	if len(servlets) == 0 {
		return "it has no servlets at all; one that is configured in Java code cannot be imported"
	}
	var names []string
	for _, s := range servlets[:min(len(servlets), 5)] {
		names = append(names, fmt.Sprintf("%s (%s)", clean(s.name), clean(s.class)))
	}
	return "there are " + strings.Join(names, ", ")
}

// servlet carries over CometD's own servlet.
func (c *config) servlet(d *descriptor, s *component, eight bool) {
	if s.isDerived() {
		c.warn(s.line, "servlet %s: class %s is taken for one derived from CometD's; what it does in Java is not known", clean(s.name), clean(s.class))
	}
	c.mount(d, s)
	for _, p := range s.params {
		c.param(p)
	}
	c.transports(s)
	c.socketMapping(d, s)
	given := slices.ContainsFunc(s.params, func(p param) bool { return p.name == "timeout" })
	if !given && !eight {
		c.set(option{"timeout", "30000", "CometD's default before 8; Halley's is 20000"})
	}
	c.bounds(s)
	for _, e := range s.runtime {
		switch e {
		case "async-supported", "load-on-startup":
			c.idle[e]++
		case "run-as", "security-role-ref":
			c.warn(s.line, "servlet %s: %s: the container's roles are not Halley's; write a Policy in Go", clean(s.name), e)
		default:
			c.remark(s.line, "servlet %s: %s means nothing outside a servlet container", clean(s.name), clean(e))
		}
	}
}

// mount finds the path of the endpoint.
func (c *config) mount(d *descriptor, s *component) {
	c.path = ""
	for _, p := range s.patterns {
		path, ok := pathOf(p)
		switch {
		case !ok:
			c.warn(s.line, "servlet %s: URL pattern %s is no path; set path: to where clients connect", clean(s.name), clean(p))
		case c.path == "":
			c.path = d.prefix + path
			if c.path != "/" {
				c.path = strings.TrimSuffix(c.path, "/")
			}
		case d.prefix+path != c.path:
			c.warn(s.line, "servlet %s: Halley serves one path, %s; %s is left out (let a proxy rewrite it)", clean(s.name), c.path, clean(p))
		}
	}
	switch {
	case c.path == "":
		c.warn(s.line, "servlet %s: it is mapped to no path; set path: to where clients connect, the default is /cometd", clean(s.name))
	case d.prefix != "":
		c.pathComment = "with default-context-path in front"
	default:
		c.pathComment = "put the context path in front if the application was not deployed at /"
	}
}

// pathOf turns a URL pattern into a path that Halley can serve.
func pathOf(pattern string) (path string, ok bool) {
	if pattern == "/" || pattern == "/*" {
		return "/", true
	}
	path, _ = strings.CutSuffix(pattern, "/*")
	return path, strings.HasPrefix(path, "/") && len(path) > 1 && !strings.ContainsAny(path, "*?#%\\\"'<>{} \t\r\n") && path == clean(path)
}

// otherServlet names what is lost with a servlet that is not the endpoint.
func (c *config) otherServlet(s, main *component) {
	name := fmt.Sprintf("servlet %s (%s)", clean(s.name), clean(s.class))
	switch {
	case s.isOort() && strings.HasSuffix(s.class, "SetiServlet"):
		c.warn(s.line, "%s: Seti's directory of users: Halley knows the sessions of a user on one node; there is no cluster yet", name)
	case s.isOort():
		c.oort(s, name)
	case s.isCometD():
		c.warn(s.line, "%s: a second CometD servlet; only %s was imported. Run a Halley for each, or give both the same path", name, clean(main.name))
	case strings.HasSuffix(s.class, "DefaultServlet"), strings.HasSuffix(s.class, "JspServlet"), strings.HasSuffix(s.class, "DispatcherServlet"):
		c.remark(s.line, "%s: pages stay with a web server; Halley serves the Bayeux endpoint only", name)
	default:
		c.warn(s.line, "%s is the application's: if it sets up CometD (services, SecurityPolicy, extensions) write that in Go, else it stays where it is", name)
	}
}

// oort names the settings of a cluster, secrets apart.
func (c *config) oort(s *component, name string) {
	settings := make([]string, 0, len(s.params))
	for _, p := range s.params {
		value := clean(p.value)
		if secret(p.name) {
			value = "(not shown)"
		}
		settings = append(settings, clean(p.name)+"="+value)
	}
	text := ""
	if len(settings) > 0 {
		text = ": " + strings.Join(settings[:min(len(settings), 10)], ", ")
	}
	c.warn(s.line, "%s: a cluster of CometD's%s. Halley's nodes do not join one; run one node, or write a server.Broker", name, text)
}

// secret tells whether the value of a parameter must not be shown.
func secret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"secret", "password", "passwd", "token", "credential", "apikey", "privatekey"},
		func(word string) bool { return strings.Contains(name, word) })
}

func (c *config) element(e *element) {
	text, needed := elementAdvice(e)
	switch {
	case text == "":
	case needed:
		c.warn(e.line, "%s", text)
	default:
		c.remark(e.line, "%s", text)
	}
}

// finish adds what is to be told of several elements together.
func (c *config) finish() {
	if len(c.idle) > 0 {
		names := make([]string, 0, len(c.idle))
		for name := range c.idle {
			names = append(names, name)
		}
		slices.Sort(names)
		c.remark(0, "not needed here: %s", strings.Join(names, ", "))
	}
	if c.dropped > 0 {
		c.warnings = append(c.warnings, note{0, fmt.Sprintf("and %d more that are not shown", c.dropped)})
	}
	slices.SortStableFunc(c.warnings, byLine)
	slices.SortStableFunc(c.remarks, byLine)
}

// byLine sorts notes; those without a line come last.
func byLine(a, b note) int {
	if (a.line == 0) != (b.line == 0) {
		return b.line - a.line
	}
	return a.line - b.line
}
