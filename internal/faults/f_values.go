package faults

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// onValues rewrites the data, ext and unknown fields of delivered messages.
func onValues(f func(value string) string) factory {
	return onPushes(func(_ *unit, m *message) {
		for _, x := range m.fields {
			if x.name == "channel" {
				continue
			}
			if value := f(string(x.value)); value != string(x.value) {
				m.set(x.name, value)
			}
		}
	})
}

// messageValues break values on their way through: WIRE 1, R-MSG-15.
func messageValues() []Fault {
	number := regexp.MustCompile(`-?\d+(\.\d+)?([eE][-+]?\d+)?`)
	return []Fault{
		fault("F-MSG-48", "R-MSG-15 R-PB-6", "Numbers lose what a double cannot hold, in value and spelling.", everywhere(), onValues(func(value string) string {
			return outsideStrings(value, func(s string) string { return number.ReplaceAllStringFunc(s, double) })
		})).tolerated(),
		fault("F-MSG-49", "R-MSG-15 R-PB-6", "Whole numbers beyond 64 bits overflow.", everywhere(), onValues(func(value string) string {
			return outsideStrings(value, func(s string) string { return number.ReplaceAllStringFunc(s, overflow) })
		})).tolerated(),
		fault("F-MSG-50", "R-MSG-15 R-PB-6", "The keys of objects in data are sorted, and of duplicate ones the last stays.", everywhere(), onValues(sorted)).tolerated(),
		fault("F-MSG-51", "R-MSG-15 R-PB-6", "Escapes in strings are resolved where JSON does not need them.", everywhere(), onValues(func(value string) string {
			return strings.ReplaceAll(value, `\/`, "/")
		})).tolerated(),
		fault("F-MSG-52", "R-MSG-15 R-OUT-1", "Text that is not ASCII is delivered as question marks.", everywhere(), onValues(func(value string) string {
			return strings.Map(func(r rune) rune {
				if r > 127 {
					return '?'
				}
				return r
			}, value)
		})),
		fault("F-MSG-53", "R-MSG-15 R-PB-6", "Blanks at the ends of strings in data are lost.", everywhere(), onValues(func(value string) string {
			var s string
			if json.Unmarshal([]byte(value), &s) != nil {
				return value
			}
			if trimmed := strings.TrimSpace(s); trimmed != s {
				return quote(trimmed)
			}
			return value
		})),
	}
}

// outsideStrings applies f to what of a JSON text is not in strings.
func outsideStrings(text string, f func(string) string) string {
	var out strings.Builder
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			if quoted {
				out.WriteString(text[start : i+1])
			} else {
				out.WriteString(f(text[start:i]))
				out.WriteByte('"')
			}
			start, quoted = i+1, !quoted
		}
	}
	return out.String() + f(text[start:])
}

func double(s string) string {
	f, _ := strconv.ParseFloat(s, 64) // the largest one, out of range
	if f > 1e308 || f < -1e308 {
		return "null"
	}
	b, err := json.Marshal(f)
	if err != nil {
		return s
	}
	return string(b)
}

func overflow(s string) string {
	if strings.ContainsAny(s, ".eE") {
		return s
	}
	if _, err := strconv.ParseInt(s, 10, 64); err == nil {
		return s
	}
	return "-1"
}

func sorted(value string) string {
	if !strings.HasPrefix(value, "{") {
		return value
	}
	d := json.NewDecoder(strings.NewReader(value))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return value
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return value
	}
	return strings.TrimSpace(b.String())
}
