package serve

import (
	"errors"
	"net/http"

	"github.com/rs/zerolog"

	"github.com/halleypush/halley/internal/probe"
)

// hidden stands for secrets where settings are shown.
const hidden = "(not shown)"

// display is what may be shown of the values of a flag.
func (f setting) display(text string) string {
	if f.name == "doctor-token" && text != "" {
		return hidden
	}
	return text
}

func applyDoctorToken(s *Settings, values []string) error {
	s.DoctorToken = last(values)
	if s.DoctorToken == "" {
		return nil
	}
	return probe.CheckToken(s.DoctorToken)
}

// validateDoctor reads the file of the token.
func (s *Settings) validateDoctor() error {
	if s.DoctorTokenFile == "" {
		return nil
	}
	if s.DoctorToken != "" {
		return usagef("", "doctor-token and doctor-token-file exclude each other")
	}
	token, err := readSecret(s.DoctorTokenFile)
	if err == nil {
		err = probe.CheckToken(token)
	}
	if err != nil {
		return usagef("", "doctor-token-file: %v", err)
	}
	s.DoctorToken = token
	return nil
}

// openProbe puts the endpoint of halley doctor over h, where there is a token.
// stop ends what it does.
func (s *Settings) openProbe(h http.Handler, log zerolog.Logger) (over http.Handler, stop func(), err error) {
	if s.DoctorToken == "" {
		return h, func() {}, nil
	}
	p, err := probe.New(probe.Config{Token: s.DoctorToken, Path: s.Path})
	if err != nil {
		return nil, nil, errors.Join(errors.New("doctor-token"), err)
	}
	log.Info().Msg("whoever has the token can examine the way here with halley doctor")
	return p.Over(h), p.Close, nil
}
