package filter

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/halleypush/halley/bayeux"
	"github.com/halleypush/halley/channels"
)

// Filter returns what takes the place of a value of the data, which is a string,
// number, boolean or null in JSON; the value itself where nothing changes. What
// it returns has to be JSON, of any kind. bayeux.Drop and a *bayeux.Error refuse
// the message. It is called by many goroutines.
type Filter func(value bayeux.Raw) (bayeux.Raw, error)

// Text makes a Filter of a function that changes texts, as they are without
// escapes. Other values stay.
func Text(f func(text string) (string, error)) Filter {
	return func(value bayeux.Raw) (bayeux.Raw, error) {
		before, ok := text(value)
		if !ok {
			return value, nil
		}
		after, err := f(before)
		if err != nil || after == before {
			return value, err
		}
		return bayeux.AppendString(nil, after), nil
	}
}

// NoMarkup replaces < and > in texts by &lt; and &gt;.
func NoMarkup() Filter {
	markup := strings.NewReplacer("<", "&lt;", ">", "&gt;")
	return Text(func(text string) (string, error) { return markup.Replace(text), nil })
}

// NoScripts turns script elements in texts into span elements, which browsers
// do not run. Other ways to have a script run, such as attributes, stay: texts
// that are shown as markup need more than this.
func NoScripts() Filter {
	open := regexp.MustCompile(`(?i)<\s*script`)
	end := regexp.MustCompile(`(?i)script\s*>`)
	first, second := Replace(open, "<span"), Replace(end, "span>")
	return func(value bayeux.Raw) (bayeux.Raw, error) {
		value, err := first(value)
		if err != nil {
			return value, err
		}
		return second(value)
	}
}

// Replace puts with in the place of what the expression matches in texts; $1 or
// ${name} in it stand for submatches, as with regexp.Regexp.Expand.
func Replace(expression *regexp.Regexp, with string) Filter {
	return Text(func(text string) (string, error) { return replace(expression, text, with) })
}

// replace is ReplaceAllString with a bound on the result: an expression that
// matches everywhere must not make a small text a huge one.
func replace(expression *regexp.Regexp, text, with string) (string, error) {
	var out []byte
	last, most := 0, bound(len(text))
	for _, match := range expression.FindAllStringSubmatchIndex(text, -1) {
		out = append(out, text[last:match[0]]...)
		out = expression.ExpandString(out, with, text, match)
		if last = match[1]; len(out) > most {
			return "", errGrown
		}
	}
	if out == nil && last == 0 {
		return text, nil
	}
	return string(append(out, text[last:]...)), nil
}

// Refuse deletes messages in which the expression matches anywhere in a text:
// the sender gets 404::message_deleted. ^ and $ tie it to a whole text.
func Refuse(expression *regexp.Regexp) Filter {
	return Text(func(text string) (string, error) {
		if expression.MatchString(text) {
			return "", bayeux.Drop
		}
		return text, nil
	})
}

// errGrown refuses data that filters make too large.
var errGrown = &bayeux.Error{Code: 400, Args: "filtered_data_limit", Text: "message_deleted"}

// bound is the most that data of a size may become.
func bound(size int) int { return 16*size + 64<<10 }

// Apply returns the data after the filters; the data itself where nothing
// changes. The error is that of a filter, or says that the data is no JSON or
// grows too large.
func Apply(data bayeux.Raw, filters ...Filter) (bayeux.Raw, error) {
	w := walker{src: data, most: bound(len(data))}
	for {
		start, end, err := w.next()
		if err != nil {
			return nil, err
		}
		if start == end {
			return w.result(), nil
		}
		value := data[start:end:end]
		changed := value
		for _, f := range filters {
			if changed, err = f(changed); err != nil {
				return nil, err
			}
		}
		if err := w.replace(start, end, changed); err != nil {
			return nil, err
		}
	}
}

// Listener applies filters to the data of messages: srv.Listen("/chat/**",
// filter.Listener(filter.NoMarkup())). Listeners that are called after it, and
// the subscribers, get what is left. Where a filter fails the message is
// deleted, not passed on. A message without data passes.
func Listener(filters ...Filter) bayeux.Listener {
	filters = slices.Clone(filters)
	return func(_ context.Context, _ bayeux.Session, m *bayeux.Message) error {
		if len(m.Data) == 0 {
			return nil
		}
		data, err := Apply(m.Data, filters...)
		if err != nil {
			return refusal(err)
		}
		m.Data = data
		return nil
	}
}

// refusal makes sure that an error refuses: what a filter could not look at must
// not pass.
func refusal(err error) error {
	if _, ok := errors.AsType[*bayeux.Error](err); ok || errors.Is(err, bayeux.Drop) {
		return err
	}
	return fmt.Errorf("%w: filter: %w", bayeux.Drop, err)
}

// Extension applies filters to what clients publish to channels that match, a
// channel, a wildcard or a template, before policies and listeners see it. What
// the server publishes itself does not come by.
func Extension(channel string, filters ...Filter) (bayeux.Extension, error) {
	t, err := channels.ParseTemplate(channel)
	if err != nil {
		return nil, fmt.Errorf("filter %q: %w", channel, err)
	}
	listener := Listener(filters...)
	return bayeux.Funcs{In: func(ctx context.Context, from bayeux.Session, m *bayeux.Message) error {
		n, err := channels.Parse(m.Channel)
		if err != nil || n.IsMeta() || !t.Matches(n) {
			return nil //nolint:nilerr // others refuse such a channel
		}
		return listener(ctx, from, m)
	}}, nil
}
