package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/halleypush/halley/internal/certs"
)

// tlsFlags are the flags of transport security (docs/TLS.md).
type tlsFlags struct {
	TLSCert       []string `sep:"none" name:"tls-cert" placeholder:"FILE" help:"Certificate chain in PEM; with --tls-key the listeners speak TLS. Repeatable, each with its key: the name that a client asks for chooses, the first serves the others. Files that change are read again."`
	TLSKey        []string `sep:"none" name:"tls-key" placeholder:"FILE" help:"Private key in PEM; repeatable, in the order of the certificates."`
	TLSMinVersion []string `sep:"none" name:"tls-min-version" placeholder:"VERSION" help:"Oldest version of TLS, 1.2 or 1.3. Default 1.2."`
	TLSClientCA   []string `sep:"none" name:"tls-client-ca" placeholder:"FILE" help:"Authorities in PEM whose certificates clients show."`
	TLSClientAuth []string `sep:"none" name:"tls-client-auth" placeholder:"WORD" help:"none, request or require a certificate of clients; one that is shown is always verified. Default require with --tls-client-ca, else none."`
	TLSClientCRL  []string `sep:"none" name:"tls-client-crl" placeholder:"FILE" help:"Revocation lists in PEM of those authorities."`
	TLSClientName []string `sep:"none" name:"tls-client-name" placeholder:"KIND" help:"Which name of a client's certificate is its principal: dn, cn, dns, email or uri; one without is refused. Default dn."`
	HSTS          []string `sep:"none" name:"hsts" placeholder:"TIME" help:"Tell browsers over TLS to use nothing else for so long, such as 8760h (Strict-Transport-Security); off for no word. Default off, in the posture strict 8760h."`
	HTTPRedirect  []string `sep:"none" name:"http-redirect" placeholder:"ADDR" help:"Address on which plain HTTP is sent to https, such as :80. Default off."`
	ACMEDomain    []string `sep:"none" name:"acme-domain" placeholder:"NAMES" help:"Hosts to get certificates for by ACME, separated by commas; the listeners speak TLS then. Needs --acme-cache and --acme-accept-terms."`
	ACMECache     []string `sep:"none" name:"acme-cache" placeholder:"DIR" help:"Folder that keeps the ACME account and certificates."`
	ACMEAccept    []string `sep:"none" name:"acme-accept-terms" placeholder:"BOOL" help:"true: you accept the terms of the ACME authority. Default false."`
	ACMEEmail     []string `sep:"none" name:"acme-email" placeholder:"ADDRESS" help:"Whom the ACME authority may write to. Default nobody."`
	ACMEDirectory []string `sep:"none" name:"acme-directory" placeholder:"URL" help:"Directory of the ACME authority. Default that of Let's Encrypt."`
	ACMECA        []string `sep:"none" name:"acme-ca" placeholder:"FILE" help:"Authorities in PEM that the directory's own certificate is checked against. Default those of the system."`
	ACMEHTTP      []string `sep:"none" name:"acme-http-listen" placeholder:"ADDR" help:"Address that answers http-01 challenges, such as :80; it may be that of --http-redirect, which answers them too. Default off: tls-alpn-01 alone, on port 443."`
}

// TLS are the settings of transport security.
type TLS struct {
	// Certs says which certificates there are.
	Certs certs.Config
	// HSTS is for how long browsers shall use TLS alone; zero says nothing.
	HSTS time.Duration
	// Redirect and Challenges are where plain HTTP is redirected and where
	// http-01 is answered; the zero Address for nowhere.
	Redirect, Challenges Address
}

func tlsTable() []setting {
	return []setting{
		{"tls-cert", "", ",", func(c *Command) []string { return c.TLSCert }, applyPairs(func(p *certs.Pair) *string { return &p.Cert })},
		{"tls-key", "", ",", func(c *Command) []string { return c.TLSKey }, applyPairs(func(p *certs.Pair) *string { return &p.Key })},
		{"tls-min-version", "1.2", "", func(c *Command) []string { return c.TLSMinVersion }, applyVersion},
		{"tls-client-ca", "", "", func(c *Command) []string { return c.TLSClientCA }, applyText(func(s *Settings) *string { return &s.TLS.Certs.ClientCA })},
		{"tls-client-auth", "", "", func(c *Command) []string { return c.TLSClientAuth }, applyClientAuth},
		{"tls-client-crl", "", "", func(c *Command) []string { return c.TLSClientCRL }, applyText(func(s *Settings) *string { return &s.TLS.Certs.ClientCRL })},
		{"tls-client-name", "dn", "", func(c *Command) []string { return c.TLSClientName }, applyClientName},
		{"hsts", "off", "", func(c *Command) []string { return c.HSTS }, applyHSTS},
		{"http-redirect", "", "", func(c *Command) []string { return c.HTTPRedirect }, applyPlain(func(s *Settings) *Address { return &s.TLS.Redirect })},
		{"acme-domain", "", ",", func(c *Command) []string { return c.ACMEDomain }, applyDomains},
		{"acme-cache", "", "", func(c *Command) []string { return c.ACMECache }, applyText(func(s *Settings) *string { return &s.TLS.Certs.ACME.Cache })},
		{"acme-accept-terms", "false", "", func(c *Command) []string { return c.ACMEAccept }, applyBool(func(s *Settings) *bool { return &s.TLS.Certs.ACME.AcceptTerms })},
		{"acme-email", "", "", func(c *Command) []string { return c.ACMEEmail }, applyEmail},
		{"acme-directory", certs.LetsEncrypt, "", func(c *Command) []string { return c.ACMEDirectory }, applyDirectory},
		{"acme-ca", "", "", func(c *Command) []string { return c.ACMECA }, applyText(func(s *Settings) *string { return &s.TLS.Certs.ACME.Roots })},
		{"acme-http-listen", "", "", func(c *Command) []string { return c.ACMEHTTP }, applyPlain(func(s *Settings) *Address { return &s.TLS.Challenges })},
	}
}

// applyPairs sets one half of each pair; validateTLS finds the odd ones.
func applyPairs(half func(*certs.Pair) *string) func(*Settings, []string) error {
	return func(s *Settings, values []string) error {
		files := list(values)
		if len(files) > certs.MaxPairs {
			return fmt.Errorf("want at most %d files", certs.MaxPairs)
		}
		for i, file := range files {
			if i == len(s.TLS.Certs.Pairs) {
				s.TLS.Certs.Pairs = append(s.TLS.Certs.Pairs, certs.Pair{})
			}
			*half(&s.TLS.Certs.Pairs[i]) = file
		}
		return nil
	}
}

func applyVersion(s *Settings, values []string) error {
	s.TLS.Certs.MinVersion = tls.VersionTLS12
	if last(values) == "1.3" {
		s.TLS.Certs.MinVersion = tls.VersionTLS13
	}
	return oneOf(last(values), tlsVersions()...)
}

func applyClientAuth(s *Settings, values []string) error {
	s.TLS.Certs.ClientAuth = certs.Auth(last(values))
	if last(values) == "" {
		return nil
	}
	return oneOf(last(values), clientAuths()...)
}

func applyClientName(s *Settings, values []string) error {
	s.TLS.Certs.ClientName = certs.Name(last(values))
	return oneOf(last(values), clientNames()...)
}

func tlsVersions() []string { return []string{"1.2", "1.3"} }

func clientAuths() []string {
	return []string{string(certs.AuthNone), string(certs.AuthRequest), string(certs.AuthRequire)}
}

func clientNames() []string {
	return []string{string(certs.NameDN), string(certs.NameCN), string(certs.NameDNS), string(certs.NameEmail), string(certs.NameURI)}
}

func applyHSTS(s *Settings, values []string) error {
	s.TLS.HSTS = 0
	text := last(values)
	if text == "" || text == "off" {
		return nil
	}
	d, err := time.ParseDuration(text)
	if seconds, notSeconds := strconv.ParseUint(text, 10, 31); notSeconds == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || d < time.Second {
		return errors.New("want a time such as 8760h, or seconds, or off")
	}
	s.TLS.HSTS = d
	return nil
}

// applyPlain sets the address of a listener without TLS.
func applyPlain(field func(*Settings) *Address) func(*Settings, []string) error {
	return func(s *Settings, values []string) error {
		*field(s) = Address{}
		text := last(values)
		if text == "" || text == "off" {
			return nil
		}
		a, err := parseAddress(text)
		if err == nil && a.Plain {
			err = errors.New("it is plain HTTP without tls=off")
		}
		*field(s) = a
		return err
	}
}

func applyDomains(s *Settings, values []string) error {
	s.TLS.Certs.ACME.Domains = nil
	for _, v := range list(values) {
		name := strings.ToLower(strings.TrimSuffix(v, "."))
		if !isHost(name) {
			return fmt.Errorf("%q: want names of hosts such as push.example.com; wildcards need DNS challenges, which are not there", v)
		}
		if !slices.Contains(s.TLS.Certs.ACME.Domains, name) {
			s.TLS.Certs.ACME.Domains = append(s.TLS.Certs.ACME.Domains, name)
		}
	}
	if len(s.TLS.Certs.ACME.Domains) > certs.MaxDomains {
		return fmt.Errorf("want at most %d names", certs.MaxDomains)
	}
	return nil
}

// isHost tells whether a text in lower case is the name of a host.
func isHost(name string) bool {
	label := `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
	digits := regexp.MustCompile(`^[0-9.]+$`)
	return len(name) <= 253 && !digits.MatchString(name) && regexp.MustCompile(`^`+label+`(\.`+label+`)*$`).MatchString(name)
}

func applyEmail(s *Settings, values []string) error {
	s.TLS.Certs.ACME.Email = last(values)
	if last(values) == "" {
		return nil
	}
	if a, err := mail.ParseAddress(last(values)); err != nil || a.Address != last(values) {
		return errors.New("want an address such as ops@example.com")
	}
	return nil
}

func applyDirectory(s *Settings, values []string) error {
	s.TLS.Certs.ACME.Directory = last(values)
	u, err := url.Parse(last(values))
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("want the URL of a directory, which begins with https://")
	}
	return nil
}

// validateTLS checks what the settings of transport security say together.
func (s *Settings) validateTLS() error {
	c := &s.TLS.Certs
	for _, p := range c.Pairs {
		if p.Cert == "" || p.Key == "" {
			return usagef("", "tls-cert and tls-key need each other")
		}
	}
	if c.ClientAuth == "" {
		c.ClientAuth = certs.AuthNone
		if c.ClientCA != "" {
			c.ClientAuth = certs.AuthRequire
		}
		s.show("tls-client-auth", string(c.ClientAuth))
	}
	switch {
	case c.ClientCA == "" && c.ClientAuth != certs.AuthNone:
		return usagef("", "tls-client-auth %s needs tls-client-ca: the authorities to believe", c.ClientAuth)
	case c.ClientCA == "" && c.ClientCRL != "":
		return usagef("", "tls-client-crl needs tls-client-ca")
	case c.ClientCA != "" && !c.Enabled():
		return usagef("", "tls-client-ca needs TLS: tls-cert and tls-key, or acme-domain")
	case s.TLS.Redirect != (Address{}) && !c.Enabled():
		return usagef("", "http-redirect needs TLS: tls-cert and tls-key, or acme-domain")
	}
	return s.validateACME()
}

func (s *Settings) validateACME() error {
	a := &s.TLS.Certs.ACME
	a.HTTP = s.TLS.Challenges != (Address{}) || s.TLS.Redirect != (Address{})
	switch {
	case len(a.Domains) == 0 && s.TLS.Challenges != (Address{}):
		return usagef("", "acme-http-listen needs acme-domain")
	case len(a.Domains) == 0:
		return nil
	case a.Cache == "":
		return usagef("", "acme-domain needs acme-cache: the folder that keeps account and certificates")
	case !a.AcceptTerms:
		return usagef("", "acme-domain needs acme-accept-terms=true: you accept the terms of %s, which its directory names", a.Directory)
	}
	return nil
}

// show changes the value that --print-config has for a default.
func (s *Settings) show(name, value string) {
	for i := range s.shown {
		if s.shown[i].Name == name {
			s.shown[i].Value, s.shown[i].Default = value, value
		}
	}
}

// tlsValues are the values of flags, for completion.
func tlsValues(flag string) []string {
	switch flag {
	case "tls-min-version":
		return tlsVersions()
	case "tls-client-auth":
		return clientAuths()
	case "tls-client-name":
		return clientNames()
	case "acme-accept-terms":
		return []string{"true", "false"}
	default:
		return nil
	}
}
