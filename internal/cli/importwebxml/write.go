package importwebxml

import (
	"fmt"
	"regexp"
	"strings"
)

// yaml writes the configuration. Comments are one line each, whatever the
// descriptor holds.
func (c *config) yaml() string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	line("# Made by halley import from %s (%s).", clean(c.file), c.generation)
	line("# Check it: halley serve --config THIS-FILE --check-config")
	line("")
	line("# A descriptor does not say where it is served:")
	line("# listen: 0.0.0.0:8080")
	line("# posture: cometd   # to be chosen with an address that others can reach; see docs/SECURITY.md")
	if c.path == "" {
		line("# path: /cometd")
	} else {
		line("path: %s   # %s", quote(c.path), c.pathComment)
	}
	if len(c.origins) > 0 {
		line("")
		line("cors-origins:")
		for _, o := range c.origins {
			line("  - %s", quote(o))
		}
		if c.credentials != "" {
			line("cors-credentials: %s", c.credentials)
		}
	} else if c.corsComment != "" {
		line("")
		line("# cors-origins: [https://app.example]   # %s", c.corsComment)
	}
	if len(c.options) > 0 {
		line("")
		line("options:")
		for _, o := range c.options {
			text := fmt.Sprintf("  %s: %s", quote(o.name), quote(o.value))
			if o.comment != "" {
				text += "   # " + clean(o.comment)
			}
			line("%s", text)
		}
	}
	c.section(&b, "Not carried over; see to each:", c.warnings)
	c.section(&b, "Nothing need be done about these:", c.remarks)
	return b.String()
}

func (c *config) section(b *strings.Builder, title string, notes []note) {
	if len(notes) == 0 {
		return
	}
	_, _ = fmt.Fprintf(b, "\n# %s\n", title)
	for _, n := range notes {
		where := ""
		if n.line > 0 {
			where = fmt.Sprintf("line %d: ", n.line)
		}
		_, _ = fmt.Fprintf(b, "#  - %s%s\n", where, oneLine(n.text))
	}
}

// oneLine is clean without a limit, for text that has been cleaned in its parts.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// quote writes a YAML scalar: plain where that is safe.
func quote(text string) string {
	if regexp.MustCompile(`^(-?[0-9]+|true|false|/[A-Za-z0-9._/-]*|[a-zA-Z][A-Za-z0-9._-]*)$`).MatchString(text) && !reserved(text) {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r >= 0x7F && r < 0xA0 || r == 0x2028 || r == 0x2029 || r == 0xFEFF:
			_, _ = fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// reserved tells words that YAML takes for something else than text.
func reserved(text string) bool {
	switch strings.ToLower(text) {
	case "null", "yes", "no", "on", "off", "y", "n":
		return true
	}
	return false
}
