package importwebxml

import (
	"slices"
	"strings"
)

// descriptor is what matters of a web.xml.
type descriptor struct {
	doc      *document
	servlets []component
	filters  []component
	// prefix is default-context-path.
	prefix string
	rest   []*element // top-level elements that are neither
}

// component is a servlet or a filter with its mappings.
type component struct {
	name, class string
	line        int
	params      []param
	patterns    []string // URL patterns
	servlets    []string // servlets that a filter is mapped to by name
	runtime     []string // elements that only a servlet container needs
}

// param is an init-param.
type param struct {
	name, value string
	line        int
}

// describe sorts the elements of a web-app.
func describe(doc *document) *descriptor {
	d := &descriptor{doc: doc}
	for _, e := range doc.root.children {
		switch e.name {
		case "servlet":
			d.servlets = append(d.servlets, newComponent(e, "servlet"))
		case "filter":
			d.filters = append(d.filters, newComponent(e, "filter"))
		case "default-context-path":
			d.prefix = strings.TrimSuffix(e.text, "/")
		case "servlet-mapping", "filter-mapping": // below, for they may come first
		default:
			d.rest = append(d.rest, e)
		}
	}
	for _, e := range doc.root.all("servlet-mapping") {
		d.mapTo(d.servlets, e.value("servlet-name"), e)
	}
	for _, e := range doc.root.all("filter-mapping") {
		d.mapTo(d.filters, e.value("filter-name"), e)
	}
	return d
}

func newComponent(e *element, kind string) component {
	c := component{name: e.value(kind + "-name"), class: e.value(kind + "-class"), line: e.line}
	for _, child := range e.children {
		switch child.name {
		case "init-param":
			c.params = append(c.params, param{child.value("param-name"), child.value("param-value"), child.line})
		case kind + "-name", kind + "-class", "description", "display-name", "icon":
		default:
			c.runtime = append(c.runtime, child.name)
		}
	}
	return c
}

func (d *descriptor) mapTo(all []component, name string, mapping *element) {
	for i := range all {
		if all[i].name != name {
			continue
		}
		for _, p := range mapping.all("url-pattern") {
			all[i].patterns = append(all[i].patterns, p.text)
		}
		if mapping.name == "filter-mapping" {
			for _, s := range mapping.all("servlet-name") {
				all[i].servlets = append(all[i].servlets, s.text)
			}
		}
	}
}

// covers tells whether a filter is in front of a servlet.
func (c *component) covers(servlet *component) bool {
	if slices.Contains(c.servlets, servlet.name) || slices.Contains(c.servlets, "*") {
		return true
	}
	return slices.ContainsFunc(c.patterns, func(p string) bool {
		return slices.ContainsFunc(servlet.patterns, func(s string) bool { return overlap(p, s) })
	})
}

// overlap tells whether two URL patterns have a path in common.
func overlap(a, b string) bool {
	x, wide := strings.CutSuffix(a, "/*")
	y, wider := strings.CutSuffix(b, "/*")
	if a == "/" {
		x, wide = "", true
	}
	if b == "/" {
		y, wider = "", true
	}
	return x == y || wide && strings.HasPrefix(y, x+"/") || wider && strings.HasPrefix(x, y+"/") || x == "" && wide || y == "" && wider
}
