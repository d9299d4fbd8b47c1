package serve

import (
	"fmt"
	"strings"
	"time"

	"github.com/halleypush/halley/bayeux/server"
)

// postureScreen is what an operator sees who has not chosen a posture, where
// strangers can come: what is wrong, why, what to type, where to read on.
const postureScreen = `listen %q %s, and no posture says what strangers may do there.

A Bayeux server that behaves as CometD does lets everybody connect, publish and
read everything. Halley does not do so by accident. Choose one:

  %[3]s --posture strict
      Clients may do what permissions allow: without any, handshake and connect,
      nothing else. Pages of other sites are refused, floods are limited.

  %[3]s --posture cometd
      Clients may do everything, as with CometD without a policy. For closed
      networks, and for proxies that check who comes.

The word can also be given as HALLEY_POSTURE=strict, or as posture: strict in the
file. What each posture does, and how to change one thing of it, is told in
docs/SECURITY.md (https://github.com/halleypush/halley/blob/main/docs/SECURITY.md).`

// strictHSTS is the default of hsts in the strict posture.
const strictHSTS = 365 * 24 * time.Hour

// settleHSTS has browsers stay with TLS where the posture is strict and nothing
// else was said.
func (s *Settings) settleHSTS() {
	for i := range s.shown {
		if line := &s.shown[i]; line.Name == "hsts" && line.Source == sourceDefault && s.Posture == server.PostureStrict {
			s.TLS.HSTS = strictHSTS
			s.show(line.Name, server.SpanText(strictHSTS))
		}
	}
}

// settlePosture refuses to serve strangers by accident (DESIGN 4.10).
func (s *Settings) settlePosture() error {
	if s.Posture != "" {
		return nil
	}
	for _, a := range s.Listen {
		if !a.loopback() {
			return usagef("", postureScreen, a, openness(a), s.command)
		}
	}
	s.Posture = server.PostureCometD
	s.show("posture", string(s.Posture))
	return nil
}

func openness(a Address) string {
	if a.Socket != "" {
		return "may be open to other machines"
	}
	return "is open to other machines"
}

// commandLine is the command as it was typed: the file and the flags.
func (s *Settings) commandLine(config string) string {
	var b strings.Builder
	b.WriteString("halley serve")
	add := func(flag, value string) { fmt.Fprintf(&b, " --%s %s", flag, shellWord(value)) }
	if config != "" {
		add("config", config)
	}
	for _, line := range s.shown {
		flag, ok := strings.CutPrefix(line.Source, "flag --")
		if !ok {
			continue
		}
		value := line.Value
		if flag != line.Name { // options.timeout came by --set timeout=…
			_, name, _ := strings.Cut(line.Name, ".")
			value = name + "=" + value
		}
		add(flag, value)
	}
	return b.String()
}

// shellWord quotes what a shell would not take as it is.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return !strings.ContainsRune("%+,-./:=@_", r) && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	}
	if text != "" && !strings.ContainsFunc(text, plain) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
