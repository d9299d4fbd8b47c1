package importwebxml

import (
	"net/url"
	"slices"
	"strings"
)

// filter carries over a filter for cross-origin requests, and names others that
// are in front of the endpoint.
func (c *config) filter(f, main *component) {
	if !f.covers(main) {
		if f.crossOrigin() != nil {
			c.warn(f.line, "filter %s (%s) is not in front of the servlet %s; its origins were left out", clean(f.name), clean(f.class), clean(main.name))
		}
		return
	}
	for _, e := range f.runtime {
		if e == "async-supported" {
			c.idle[e]++
		}
	}
	if how := f.crossOrigin(); how != nil {
		c.cors(f, how)
		return
	}
	text, needed := filterAdvice(f)
	if needed {
		c.warn(f.line, "%s", text)
	} else {
		c.remark(f.line, "%s", text)
	}
}

// corsFilter is how a filter for cross-origin requests is configured.
type corsFilter struct {
	origins, credentials       string // names of parameters
	defOrigins, defCredentials string
	idle                       []string // parameters that need no counterpart
}

// crossOrigin returns how the filter is configured if it is one of the two that
// come with servlet containers.
func (c *component) crossOrigin() *corsFilter {
	switch {
	case strings.HasPrefix(c.class, "org.eclipse.jetty.") && strings.HasSuffix(c.class, ".CrossOriginFilter"):
		return &corsFilter{
			"allowedOrigins", "allowCredentials", "*", "true",
			[]string{"allowedTimingOrigins", "allowedMethods", "allowedHeaders", "preflightMaxAge", "exposedHeaders", "chainPreflight"},
		}
	case c.class == "org.apache.catalina.filters.CorsFilter":
		return &corsFilter{
			"cors.allowed.origins", "cors.support.credentials", "", "false",
			[]string{"cors.allowed.methods", "cors.allowed.headers", "cors.exposed.headers", "cors.preflight.maxage", "cors.request.decorate"},
		}
	}
	return nil
}

func (c *config) cors(f *component, how *corsFilter) {
	origins, credentials, line := how.defOrigins, how.defCredentials, f.line
	for _, p := range f.params {
		switch {
		case p.name == how.origins:
			origins, line = p.value, p.line
		case p.name == how.credentials:
			credentials = strings.ToLower(strings.TrimSpace(p.value))
		case slices.Contains(how.idle, p.name):
			c.remark(p.line, "%s is not needed: GET, POST and every header are allowed, preflights hold for ten minutes", clean(p.name))
		default:
			c.warn(p.line, "filter %s: %s is not known here", clean(f.name), clean(p.name))
		}
	}
	all := false
	var exact []string
	for text := range strings.SplitSeq(origins, ",") {
		text = strings.TrimSpace(text)
		origin, ok := parseOrigin(text)
		switch {
		case text == "":
		case text == "*":
			all = true
		case unresolved(text):
			c.warn(line, "%s: %q has a placeholder; set cors-origins by hand", how.origins, clean(text))
		case !ok:
			c.warn(line, "%s: %q is no single origin, and patterns are not supported; list each such as https://app.example", how.origins, clean(text))
		case !slices.Contains(exact, origin):
			exact = append(exact, origin)
		}
	}
	switch {
	case all && credentials != "true":
		c.origins, c.credentials = []string{"*"}, "false"
	case all:
		c.corsComment = "name the origins of your pages"
		c.warn(line, "filter %s let pages of every origin in, with their cookies; Halley wants their names: set cors-origins. Until then pages of other origins cannot use long-polling", clean(f.name))
	case len(exact) > 0:
		c.origins = exact
		if credentials != "true" {
			c.credentials = "false"
		}
	}
}

// parseOrigin checks an origin and writes it as browsers do.
func parseOrigin(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(text, "*?#@()|^$\\\"'{} \t\r\n") {
		return "", false
	}
	if strings.TrimSuffix(u.Path, "/") != "" {
		return "", false
	}
	host := strings.ToLower(u.Host)
	switch u.Scheme + u.Port() { // which browsers leave out
	case "http80", "https443":
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return u.Scheme + "://" + host, true
}
