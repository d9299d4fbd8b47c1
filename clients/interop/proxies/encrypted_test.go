//go:build interop

package proxies

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// encrypted are the changes by which a recipe speaks TLS to the backends too; docs/RECIPES.md has the same lines.
func encrypted(g *rig) []change {
	toSecure := []change{{g.a.plain, g.a.secure}, {g.b.plain, g.b.secure}}
	switch g.name {
	case "nginx":
		return append(toSecure, change{escaped(g.a.plain), escaped(g.a.secure)}, change{escaped(g.b.plain), escaped(g.b.secure)},
			change{"proxy_pass http://$halley_pool;", "proxy_pass https://$halley_pool;\n" + `            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate /etc/ssl/halley/ca.pem;
            proxy_ssl_name push.example.com;`})
	case "haproxy":
		return append(toSecure, change{"cookie a check", "cookie a ssl verify required ca-file /etc/ssl/halley/ca.pem no-check-ssl check"},
			change{"cookie b check", "cookie b ssl verify required ca-file /etc/ssl/halley/ca.pem no-check-ssl check"})
	default:
		return append(toSecure, change{"BalancerMember \"http:", "BalancerMember \"https:"}, change{"    ProxyPreserveHost On\n", "    ProxyPreserveHost On\n" +
			"    SSLProxyEngine on\n    SSLProxyVerify require\n    SSLProxyCACertificateFile /etc/ssl/halley/ca.pem\n"})
	}
}

// named is the change of the public name, which fill has not seen yet in what was added.
func named(g *rig) change {
	if g.name == "nginx" {
		return change{"proxy_ssl_name push.example.com", "proxy_ssl_name 127.0.0.1"}
	}
	return change{"127.0.0.1", "127.0.0.1"}
}

// TestEncrypted has the proxies speak TLS to the backends, whose certificate they check.
func TestEncrypted(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../../docs/RECIPES.md")
	require.NoError(t, err)
	through(t, httpKinds(), func(t *testing.T, k kind) {
		filled := k.changes
		k.changes = func(g *rig, dir string) []change {
			changes := encrypted(g)
			for _, c := range changes {
				for line := range strings.Lines(c.new) {
					if strings.Contains(line, "/ca.pem") || strings.Contains(strings.ToLower(line), "ssl") {
						require.Contains(t, string(document), strings.TrimSpace(line))
					}
				}
			}
			return append(append(filled(g, dir), changes...),
				change{"/etc/ssl/halley/ca.pem", shared.certs + "/cert.pem"}, named(g))
		}
		g := newRig(t, k, hold)
		for _, transport := range transports() {
			t.Run(transport, func(t *testing.T) {
				t.Parallel()
				converse(t, g, transport)
			})
		}
	})
}
