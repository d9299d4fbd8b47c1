package serve

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rs/cors"
)

// preflightSeconds is how long a browser may remember the answer to a
// preflight request.
const preflightSeconds = 600

func applyOrigins(s *Settings, values []string) error {
	s.CORSOrigins = nil
	for _, v := range list(values) {
		origin, err := parseOrigin(v)
		if err != nil {
			return err
		}
		s.CORSOrigins = append(s.CORSOrigins, origin)
	}
	return nil
}

// parseOrigin checks an origin and writes it as browsers do.
func parseOrigin(text string) (string, error) {
	if text == "*" {
		return text, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Contains(u.Host, "*") ||
		!strings.EqualFold(text, u.Scheme+"://"+u.Host) {
		return "", fmt.Errorf("%q: want an origin such as https://app.example:8443, without a path, or *", text)
	}
	origin := strings.ToLower(text)
	switch u.Scheme + u.Port() {
	case "http80", "https443":
		return "", fmt.Errorf("%q: browsers leave this port out, so it would never match; want %s://%s", text, u.Scheme, u.Hostname())
	}
	return origin, nil
}

func (s *Settings) validateCORS() error {
	if !slices.Contains(s.CORSOrigins, "*") {
		return nil
	}
	if len(s.CORSOrigins) > 1 {
		return usagef("", "cors-origins: * stands for all origins and must stand alone")
	}
	if s.CORSCredentials {
		return usagef("", "cors-origins * lets every page in, so it needs --cors-credentials=false; or name the origins")
	}
	return nil
}

// crossOrigin lets pages of the chosen origins read answers. Which headers
// they send is theirs to choose: applications add their own to CometD's.
func (s *Settings) crossOrigin(h http.Handler) http.Handler {
	if len(s.CORSOrigins) == 0 {
		return h
	}
	return cors.New(cors.Options{
		AllowedOrigins:   s.CORSOrigins,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:   []string{"*"},
		AllowCredentials: s.CORSCredentials,
		MaxAge:           preflightSeconds,
	}).Handler(h)
}
