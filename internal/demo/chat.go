package demo

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/halleypush/halley/bayeux"
)

const (
	// maxText bounds a line of the chat, in runes.
	maxText = 280
	// maxLines bounds what the chat remembers.
	maxLines = 80
)

// line is what somebody said. At is in milliseconds since 1970.
type line struct {
	ID   int    `json:"id"`
	At   int64  `json:"at"`
	Who  member `json:"who"`
	Text string `json:"text"`
}

// chat remembers the last lines.
type chat struct {
	mu      sync.Mutex
	last    int
	history []line
}

func (c *chat) add(who member, text string, at time.Time) line {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	l := line{ID: c.last, At: at.UnixMilli(), Who: who, Text: text}
	if len(c.history) == maxLines {
		c.history = slices.Delete(c.history, 0, 1)
	}
	c.history = append(c.history, l)
	return l
}

func (c *chat) lines() []line {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]line{}, c.history...)
}

func (d *demo) onChat(_ context.Context, from bayeux.Session, m *bayeux.Message) error {
	var said struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(m.Data, &said) != nil {
		return refuse("want an object with a text")
	}
	text := cleanText(said.Text, maxText)
	if text == "" {
		return refuse("the text is empty")
	}
	return rewrite(m, d.chat.add(d.members.of(from), text, time.Now()))
}
