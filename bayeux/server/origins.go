package server

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/halleypush/halley/bayeux/internal/transport"
)

// ParseOrigin checks the origin of a page, or "*" for all, and writes it as
// browsers do. The error says what is wrong with it.
func ParseOrigin(text string) (string, error) {
	if text == "*" {
		return text, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Contains(u.Host, "*") ||
		!strings.EqualFold(text, u.Scheme+"://"+u.Host) {
		return "", fmt.Errorf("%q: want an origin such as https://app.example:8443, without a path, or *", text)
	}
	switch u.Scheme + u.Port() {
	case "http80", "https443":
		return "", fmt.Errorf("%q: browsers leave this port out, so it would never match; want %s://%s", text, u.Scheme, u.Hostname())
	}
	return strings.ToLower(text), nil
}

// wrongOrigins returns what a list of origins should be, or "" when it is fine.
func wrongOrigins(value string) string {
	list := splitList(value)
	for _, text := range list {
		if _, err := ParseOrigin(text); err != nil {
			return "a list of origins: " + err.Error()
		}
	}
	if len(list) > 1 && slices.Contains(list, "*") {
		return "* alone, or a list of origins"
	}
	return ""
}

// validateOptions checks what several options say together.
func (c Config) validateOptions() error {
	var errs []error
	http, jsonp := c.lookup(transport.LongPolling), c.lookup(transport.CallbackPolling)
	for _, l := range []lookup{http, jsonp} {
		cookie := cookie(l)
		if strings.HasPrefix(cookie.Name, "__Host-") && (!cookie.Secure || cookie.Domain != "" || cookie.Path != "/") {
			errs = append(errs, fmt.Errorf("option browserCookieName=%q: browsers keep such a cookie only with browserCookieSecure=true, "+
				"browserCookiePath=/ and no browserCookieDomain", cookie.Name))
			break
		}
	}
	everybody := slices.Contains(splitList(http.text("allowedOrigins", "")), "*")
	transports := splitList(http.text("allowedTransports", ""))
	if http.flag("checkOrigin", false) && everybody && slices.Contains(transports, transport.CallbackPolling) {
		errs = append(errs, errors.New("option allowedOrigins=\"*\": with callback-polling in allowedTransports every page could read answers; name the origins"))
	}
	return errors.Join(errs...)
}
