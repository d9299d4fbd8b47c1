package transport

import (
	"fmt"
	"mime"
	"net/http"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// bodyType is what the Content-Type of a request says of its body.
type bodyType struct {
	form    bool
	charset encoding.Encoding // nil for UTF-8
}

// parseContentType accepts any type, a missing and a malformed one too: bodies
// are taken for JSON in UTF-8 then ([R-LP-1]). An unknown charset gets 415
// ([R-LP-3]).
func parseContentType(value string) (bodyType, error) {
	if value == "" || plainJSON(value) {
		return bodyType{}, nil
	}
	media, params, err := mime.ParseMediaType(value)
	if err != nil {
		return bodyType{}, nil //nolint:nilerr // a malformed type says nothing, like a missing one
	}
	t := bodyType{form: media == "application/x-www-form-urlencoded"}
	name := params["charset"]
	if name == "" || strings.EqualFold(name, "utf-8") {
		return t, nil
	}
	charset, err := htmlindex.Get(name)
	if err != nil || charset == encoding.Replacement {
		return t, &StatusError{
			Status: http.StatusUnsupportedMediaType,
			Reason: fmt.Sprintf("unknown charset %.40q", name),
		}
	}
	if canonical, _ := htmlindex.Name(charset); canonical != "utf-8" {
		t.charset = charset
	}
	return t, nil
}

// plainJSON tells whether a Content-Type is what nearly all clients send.
func plainJSON(value string) bool {
	return value == "application/json" || strings.EqualFold(value, "application/json;charset=UTF-8")
}

// isJSON tells whether a Content-Type says JSON. Pages cannot send one of these
// to another origin without being asked for theirs first.
func isJSON(value string) bool {
	if plainJSON(value) {
		return true
	}
	media, _, err := mime.ParseMediaType(value)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

// knownType tells whether a Content-Type says JSON, or a form as old clients of
// Dojo and Faye send it. One that is missing or malformed does not: browsers
// send bodies of no type to other origins without asking.
func knownType(value string) bool {
	if isJSON(value) {
		return true
	}
	media, _, err := mime.ParseMediaType(value)
	return err == nil && media == "application/x-www-form-urlencoded"
}

// toUTF8 converts text of that charset.
func (t bodyType) toUTF8(text []byte) ([]byte, error) {
	if t.charset == nil {
		return text, nil
	}
	out, err := t.charset.NewDecoder().Bytes(text)
	if err != nil {
		return nil, badRequest("the body does not match its charset")
	}
	return out, nil
}
