// Package doctor is `halley doctor`: it tells an operator what lies between
// here and a push server, and which setting to change. Package internal/doctor
// measures and judges.
package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/halleypush/halley/internal/cli/interrupt"
	"github.com/halleypush/halley/internal/doctor"
	"github.com/halleypush/halley/internal/probe"
)

// Exit codes besides 0 and 1.
const (
	// ExitUsage: called wrongly.
	ExitUsage = 2
	// ExitUnexamined: there is no server, or it does not let itself be examined.
	ExitUnexamined = 3
)

// tokenVariable is the variable of the environment that has the token, as for
// halley serve.
const tokenVariable = "HALLEY_DOCTOR_TOKEN"

// Env is what the command needs of its surroundings.
type Env struct {
	// Lookup is os.LookupEnv.
	Lookup func(name string) (string, bool)
	// Stdout gets the report, Stderr what happens meanwhile.
	Stdout, Stderr io.Writer
	// Signals end the run. Nil for none.
	Signals <-chan os.Signal
}

// ExitError is an error with the exit code of the program.
type ExitError struct {
	Code int
	Err  error
}

// Error implements error.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

func usage(format string, args ...any) error {
	return &ExitError{ExitUsage, fmt.Errorf(format, args...)}
}

// ErrFound says that something was found; the report has said what.
var ErrFound = errors.New("something lies between")

// Command is the command line of `halley doctor`.
type Command struct {
	URL string `arg:"" name:"url" help:"Address of the server, such as https://push.example.com/cometd."`

	Token        string   `placeholder:"TOKEN" help:"Token of halley serve --doctor-token. Default: that of HALLEY_DOCTOR_TOKEN; without one, plain Bayeux."`
	TokenFile    string   `placeholder:"FILE" help:"File with that token, on one line."`
	Thorough     bool     `help:"Take five minutes instead of one, and find cuts of up to four minutes instead of 50 seconds."`
	JSON         string   `name:"json" placeholder:"FILE" help:"Write the report, with all that was seen, as JSON; - for standard output."`
	Header       []string `sep:"none" placeholder:"NAME:VALUE" help:"Header of each request; repeatable."`
	HandshakeExt string   `placeholder:"JSON" help:"The ext object of handshakes, for credentials mostly."`
	Insecure     bool     `help:"Do not verify the server's certificate."`
	CA           string   `name:"ca" placeholder:"FILE" help:"Certificates (PEM) to trust instead of the system's."`
}

// Help is shown below the flags.
func (Command) Help() string {
	return `Tells what lies between here and the server: after which time requests are cut, or silent ones; how large an answer may be; ` +
		`whether answers are held back until they are whole, or their first bytes; whether WebSockets open and live, or open and ` +
		`carry nothing; cookies that are lost, HTTP/1.0, compression, clocks that differ. Each finding comes with the setting to ` +
		`change in nginx, HAProxy, Apache, an AWS load balancer, or Halley. It takes up to a minute, all tests at the same time on ` +
		`some thirty connections; what is longer than 50 seconds needs --thorough. Proxies of the environment (HTTPS_PROXY) are part of the way.

To see all it needs the server's help: start it with --doctor-token. Without that, and with servers of other makers, it does what ` +
		`stock clients could do, with sessions and a channel of its own (/halley/doctor/...), and says what it could not test.

Exits with 0 when it found nothing that harms, with 1 when it did, with 2 when called wrongly, with 3 when the server could not be examined.

  HALLEY_DOCTOR_TOKEN=... halley doctor https://push.example.com/cometd
  halley doctor https://push.example.com/cometd --thorough --json report.json`
}

// Run examines and reports. ErrFound says that something harmful was found; an
// *ExitError has another exit code.
func (c *Command) Run(ctx context.Context, env Env) error {
	cfg, err := c.config(env)
	if err != nil {
		return err
	}
	ctx, stop := interrupt.Context(ctx, env.Signals)
	defer stop()
	cfg.Progress = func(line string) { _, _ = fmt.Fprintln(env.Stderr, line) }
	report, err := doctor.Run(ctx, cfg)
	switch {
	case errors.Is(err, doctor.ErrUnreachable), errors.Is(err, doctor.ErrToken):
		return &ExitError{ExitUnexamined, err}
	case err != nil:
		return err
	}
	if err := c.write(report, env.Stdout); err != nil {
		return err
	}
	for _, f := range report.Findings {
		if f.Severity != doctor.Note {
			return ErrFound
		}
	}
	return nil
}

// config is what the flags ask for.
func (c *Command) config(env Env) (doctor.Config, error) {
	cfg := doctor.Config{URL: c.URL, Header: http.Header{}, Plan: doctor.Quick()}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return cfg, usage("%q: want a URL such as https://push.example.com/cometd", c.URL)
	}
	if c.Thorough {
		cfg.Plan = doctor.Thorough()
	}
	if cfg.Token, err = c.token(env.Lookup); err != nil {
		return cfg, err
	}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return cfg, usage("--header %q: want NAME:VALUE", h)
		}
		cfg.Header.Add(name, strings.TrimSpace(value))
	}
	if c.HandshakeExt != "" {
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(c.HandshakeExt), &object); err != nil || object == nil {
			return cfg, usage("--handshake-ext: want a JSON object")
		}
		cfg.Ext = json.RawMessage(c.HandshakeExt)
	}
	cfg.Transport, err = c.transport()
	return cfg, err
}

// maxTokenFile bounds what is read of a file.
const maxTokenFile = 64 << 10

func (c *Command) token(lookup func(string) (string, bool)) (string, error) {
	token, where := c.Token, "--token"
	switch {
	case c.Token != "" && c.TokenFile != "":
		return "", usage("--token and --token-file exclude each other")
	case c.TokenFile != "":
		f, err := os.Open(c.TokenFile)
		if err != nil {
			return "", usage("--token-file: %w", err)
		}
		raw, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
		if err = errors.Join(err, f.Close()); err != nil {
			return "", usage("--token-file: %w", err)
		}
		token, where = strings.TrimSpace(string(raw)), "--token-file"
	case token == "":
		token, _ = lookup(tokenVariable)
		if where = tokenVariable; token == "" {
			return "", nil
		}
	}
	if err := probe.CheckToken(token); err != nil {
		return "", usage("%s: %w", where, err)
	}
	return token, nil
}

// Bounds of a connection.
const (
	tlsTime     = 10 * time.Second
	maxHeadSize = 64 << 10
)

// transport makes transports as the flags ask for.
func (c *Command) transport() (func() *http.Transport, error) {
	var secure *tls.Config
	if c.Insecure {
		secure = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for by its name
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, usage("--ca: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, usage("--ca: %s has no certificate", c.CA)
		}
		secure = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return func() *http.Transport {
		t := &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableCompression: true,
			TLSHandshakeTimeout: tlsTime, MaxResponseHeaderBytes: maxHeadSize,
		}
		if secure != nil {
			t.TLSClientConfig = secure.Clone()
		}
		return t
	}, nil
}

// Describe returns the variable of the environment that stands for a flag.
func (c *Command) Describe(flag string) (values []string, variable string) {
	if flag == "token" {
		return nil, tokenVariable
	}
	return nil, ""
}
