package serve

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rs/cors"

	"github.com/halleypush/halley/bayeux/server"
)

// preflightSeconds is how long a browser may remember the answer to a
// preflight request.
const preflightSeconds = 600

func applyOrigins(s *Settings, values []string) error {
	s.CORSOrigins = nil
	for _, v := range list(values) {
		origin, err := server.ParseOrigin(v)
		if err != nil {
			return err
		}
		s.CORSOrigins = append(s.CORSOrigins, origin)
	}
	return nil
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

// originsOption has the origins of CORS, for where a request comes from.
const originsOption = "allowedOrigins"

// shareOrigins lets the pages of --cors-origins pass checkOrigin where that is
// on: a page that may read answers may ask too. The option, where set, wins.
func (s *Settings) shareOrigins() {
	_, set := s.Options[originsOption]
	on, given := s.Options["checkOrigin"]
	if !given && s.Posture == server.PostureStrict {
		on = "true"
	}
	if set || len(s.CORSOrigins) == 0 || on != "true" {
		return
	}
	s.Options[originsOption] = strings.Join(s.CORSOrigins, ",")
	for i := range s.shown {
		if s.shown[i].Name == "options."+originsOption {
			s.shown[i].Value, s.shown[i].Source = s.Options[originsOption], "cors-origins"
		}
	}
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
