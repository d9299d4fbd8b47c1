package transport

import (
	"net/http"
	"strconv"
	"strings"
)

// maxCookie bounds the value of a browser cookie, which the server keeps with
// the session. Longer ones are not ours and count as missing.
const maxCookie = 256

// Cookie describes the browser cookie. The zero value is CometD's default:
// BAYEUX_BROWSER=…; Path=/; HttpOnly.
type Cookie struct {
	// Name of the cookie. Default BAYEUX_BROWSER.
	Name string
	// Domain attribute. Default none: the host alone.
	Domain string
	// Path attribute. Default "/".
	Path string
	// MaxAge attribute in seconds. Zero or less: none, the cookie ends with
	// the browser.
	MaxAge int
	// Secure sets that attribute on answers to https requests.
	Secure bool
	// ScriptReadable leaves HttpOnly out, which stands otherwise.
	ScriptReadable bool
	// SameSite is the value of that attribute: Strict, Lax or None. Default
	// none.
	SameSite string
	// Partitioned sets that attribute.
	Partitioned bool
}

func (c Cookie) withDefaults() Cookie {
	if c.Name == "" {
		c.Name = "BAYEUX_BROWSER"
	}
	if c.Path == "" {
		c.Path = "/"
	}
	return c
}

// cookieSize is enough for most.
const cookieSize = 80

// header returns the value of Set-Cookie, its attributes in CometD's order
// ([R-HS-15]).
func (c *Cookie) header(value string, https bool) string {
	var b strings.Builder
	b.Grow(cookieSize)
	b.WriteString(c.Name)
	b.WriteByte('=')
	b.WriteString(value)
	attribute := func(set bool, name, value string) {
		if !set {
			return
		}
		b.WriteString("; ")
		b.WriteString(name)
		if value != "" {
			b.WriteByte('=')
			b.WriteString(value)
		}
	}
	attribute(c.Domain != "", "Domain", c.Domain)
	attribute(true, "Path", c.Path)
	attribute(c.MaxAge > 0, "Max-Age", strconv.Itoa(c.MaxAge))
	attribute(!c.ScriptReadable, "HttpOnly", "")
	attribute(c.Secure && https, "Secure", "")
	attribute(c.SameSite != "", "SameSite", c.SameSite)
	attribute(c.Partitioned, "Partitioned", "")
	return b.String()
}

// read returns the value of the first cookie of that name, empty if there is
// none: where a request has two, the first one decides ([R-ID-3]).
func (c *Cookie) read(r *http.Request) string {
	found, err := r.Cookie(c.Name)
	if err != nil || len(found.Value) > maxCookie {
		return ""
	}
	// The copy keeps a session from holding the whole Cookie header.
	return strings.Clone(found.Value)
}
