package doctor

import (
	"fmt"
	"math"
	"strconv"
)

// Remedy is what to change in one place.
type Remedy struct {
	// For is nginx, HAProxy, Apache, AWS ALB, Halley or another place.
	For string `json:"for"`
	// Set is the setting, or what to look for.
	Set string `json:"set"`
}

// The places.
const (
	nginx   = "nginx"
	haproxy = "HAProxy"
	apache  = "Apache"
	alb     = "AWS ALB"
	halley  = "Halley"
	others  = "elsewhere"
)

// enough is a time-out that lets a poll of 20 s live, in seconds; with a larger
// cut to beat, half as much more.
const enough = 90

// remedies are the recipes for a finding. docs/recipes has whole configurations.
func remedies(f Finding) []Remedy {
	switch f.ID {
	case MaxDuration, IdleCut, Connections:
		return ofTime(f)
	case ResponseCap, ResponseAltered, StoreAndForward, FirstBytesHeld, PiecesHeld, Compression:
		return ofBodies(f)
	case UpgradeStripped, UpgradeRefused, UpgradeBlackHole, WebSocketIdleCut, WebSocketLifetime, WebSocketFrameCap:
		return ofSockets(f)
	default:
		return ofHeaders(f)
	}
}

// below is a time of four fifths of the cut, in milliseconds, for options of
// Halley's.
func below(cut float64) string { return strconv.Itoa(int(math.Round(cut*8)) * 100) }

func above(cut float64) int { return int(math.Ceil(max(enough, cut*1.5))) }

func ofTime(f Finding) []Remedy {
	switch f.ID {
	case IdleCut:
		n := above(f.Value)
		return []Remedy{
			{nginx, fmt.Sprintf("proxy_read_timeout %ds; (default 60s)", n)},
			{haproxy, fmt.Sprintf("timeout server %ds and timeout client %ds", n, n)},
			{apache, fmt.Sprintf("timeout=%d on ProxyPass or BalancerMember, or ProxyTimeout %d (default that of Timeout, 60)", n, n)},
			{alb, fmt.Sprintf("the load balancer's attribute idle_timeout.timeout_seconds=%d (default 60)", n)},
			{halley, "where the path cannot be changed: --set timeout=" + below(f.Value)},
		}
	case MaxDuration:
		return []Remedy{
			{halley, "--set timeout=" + below(f.Value) + ", so that polls are answered before"},
			{nginx + ", " + haproxy + ", " + apache + ", " + alb, "their time-outs count silence, and do not do this"},
			{others, "limits of a whole request: timeout of an Envoy or Istio route (default 15s), timeoutSec of a Google backend service (30), a scanner's or forward proxy's longest transfer"},
		}
	default:
		return []Remedy{
			{nginx, "limit_conn, and worker_connections"},
			{haproxy, "maxconn of the frontend and of each server, and timeout queue"},
			{apache, "MaxRequestWorkers, and max= on ProxyPass: each held poll takes one"},
			{halley, "--limit sessionsPerAddress and --limit webSocketsPerAddress, with --trusted-proxies so that clients are told apart"},
		}
	}
}

func ofBodies(f Finding) []Remedy {
	switch f.ID {
	case ResponseCap:
		return []Remedy{
			{halley, "--set maxResponseSize=" + strconv.Itoa(int(f.Low*0.9)) + ", so that a poll's answer stays below; one larger message still goes alone"},
			{nginx, "proxy_buffering off; or room and rights for proxy_temp_path: answers beyond proxy_buffers go to files"},
			{haproxy, "no http-response wait-for-body, and no rule on res.body_size"},
			{apache, "with mod_security: SecResponseBodyLimit, SecResponseBodyLimitAction ProcessPartial, or SecResponseBodyAccess Off for the path"},
			{alb, "it limits answers of Lambda targets only (1 MB); else look behind it"},
		}
	case ResponseAltered:
		return []Remedy{
			{nginx, "no sub_filter for the path"},
			{apache, "no mod_substitute and no mod_proxy_html for the path"},
			{others, "exempt the path from whatever rewrites answers; use https, which ends there only"},
		}
	case Compression:
		return []Remedy{
			{nginx, "gzip off; in the location"},
			{haproxy, "no compression algo for the backend"},
			{apache, "SetEnv no-gzip 1 for the path"},
			{halley, "nothing to change: polls are whole answers"},
		}
	case FirstBytesHeld, PiecesHeld, StoreAndForward:
		return []Remedy{
			{nginx, "proxy_buffering off;"},
			{haproxy, "no http-response wait-for-body; option http-no-delay"},
			{apache, "flushpackets=on on ProxyPass; with mod_security SecResponseBodyAccess Off for the path"},
			{others, "exempt the host from response scanning (ICAP, antivirus, web gateways), which holds answers until they are whole"},
			{halley, "nothing to change: a poll's answer is whole when it leaves. Nothing that streams works here"},
		}
	}
	return nil
}

func ofSockets(f Finding) []Remedy {
	without := Remedy{halley, "where the path cannot be changed: --set allowedTransports=long-polling,callback-polling, so that clients do not try"}
	switch f.ID {
	case UpgradeStripped, UpgradeRefused:
		return []Remedy{
			{nginx, `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`},
			{haproxy, "mode http passes upgrades; no http-request del-header Upgrade, and timeout tunnel set"},
			{apache, "upgrade=websocket on ProxyPass (2.4.47 or newer), before that mod_proxy_wstunnel"},
			{alb, "a target group of protocol version HTTP1"},
			without,
		}
	case UpgradeBlackHole:
		return []Remedy{
			{halley, "--set allowedTransports=long-polling,callback-polling, until the path is repaired: a client whose WebSocket opened does not fall back by itself"},
			{nginx, "proxy_http_version 1.1, and Upgrade and Connection passed on; no body filters for the path"},
			{haproxy, "timeout tunnel longer than a hold"},
			{apache, "upgrade=websocket on ProxyPass, and no mod_security or other filter on its answers"},
			{others, "a scanner or TLS inspection that knows the upgrade and not the frames: exempt the host, or use https so that it sees neither"},
		}
	case WebSocketFrameCap:
		return []Remedy{
			{others, "limits of a WebSocket frame or message in gateways, firewalls and scanners"},
			{halley, "--set ws.maxMessageSize is Halley's own, for what clients send"},
		}
	default: // idle, lifetime
		n := above(f.Value)
		all := []Remedy{
			{nginx, fmt.Sprintf("proxy_read_timeout %ds; and proxy_send_timeout %ds;", n, n)},
			{haproxy, fmt.Sprintf("timeout tunnel %ds", n)},
			{apache, fmt.Sprintf("timeout=%d on ProxyPass", n)},
			{alb, fmt.Sprintf("idle_timeout.timeout_seconds=%d", n)},
			{halley, "where the path cannot be changed: --set ws.timeout=" + below(f.Value) + ", so that something is sent before"},
		}
		if f.ID == WebSocketLifetime {
			return []Remedy{
				{others, "limits of a connection's life: timeoutSec of a Google backend service, worker_shutdown_timeout of nginx and hard-stop-after of HAProxy when they reload often"},
				{halley, "clients come back by themselves; the ack extension keeps what was on the way"},
			}
		}
		return all
	}
}

func ofHeaders(f Finding) []Remedy {
	switch f.ID {
	case CookieStripped:
		return []Remedy{
			{nginx, `no proxy_hide_header Set-Cookie, no proxy_set_header Cookie ""; proxy_cookie_domain and proxy_cookie_path must fit`},
			{haproxy, "no http-request del-header Cookie, no http-response del-header Set-Cookie"},
			{apache, "no RequestHeader unset Cookie, no Header unset Set-Cookie"},
			{others, "CDNs drop cookies unless told otherwise (CloudFront: an origin request policy that forwards them)"},
			{halley, "where the path cannot be changed: --set trustClientSession=true; a clientId is all that an attacker needs then"},
		}
	case HTTP10:
		return []Remedy{
			{nginx, `proxy_http_version 1.1; proxy_set_header Connection ""; (most releases speak 1.0 to servers unless told otherwise)`},
			{apache, "no SetEnv force-proxy-request-1.0, downgrade-1.0 or force-response-1.0"},
			{haproxy + ", " + alb, "they speak HTTP/1.1; look before and behind"},
			{halley, "nothing to change; count on more connections"},
		}
	case ClockOffset:
		return []Remedy{
			{others, "run NTP on both machines (chronyc tracking, timedatectl status)"},
			{halley, "--auth jwt.leeway bounds how far the issuer's clock may be off"},
		}
	}
	return nil
}
