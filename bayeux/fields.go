package bayeux

// Names of the fields that a Message has a place for.
const (
	fieldAdvice       = "advice"
	fieldChannel      = "channel"
	fieldClientID     = "clientId"
	fieldData         = "data"
	fieldError        = "error"
	fieldExt          = "ext"
	fieldID           = "id"
	fieldSubscription = "subscription"
	fieldSuccessful   = "successful"
)

// metaName returns the name of a meta channel that clients use, without memory
// of its own; empty for all others.
func metaName(channel []byte) string {
	switch string(channel) {
	case "/meta/connect":
		return "/meta/connect"
	case "/meta/handshake":
		return "/meta/handshake"
	case "/meta/subscribe":
		return "/meta/subscribe"
	case "/meta/unsubscribe":
		return "/meta/unsubscribe"
	case "/meta/disconnect":
		return "/meta/disconnect"
	}
	return ""
}

// fieldName returns the key as a string. The names that clients send with each
// handshake and connect cost no memory.
func fieldName(key []byte) string {
	switch string(key) {
	case "connectionType":
		return "connectionType"
	case "version":
		return "version"
	case "minimumVersion":
		return "minimumVersion"
	case "supportedConnectionTypes":
		return "supportedConnectionTypes"
	case "timestamp":
		return "timestamp"
	}
	return string(key)
}
