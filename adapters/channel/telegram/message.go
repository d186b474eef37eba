package telegram

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/bureau-agents/bureau/ports/channel"
)

// place is a chat, and a topic of a group that has topics.
type place struct{ chat, topic int64 }

// String is how the port spells it: "-1001", "-1001/7".
func (p place) String() string {
	s := strconv.FormatInt(p.chat, 10)
	if p.topic != 0 {
		s += "/" + strconv.FormatInt(p.topic, 10)
	}
	return s
}

func parsePlace(s string) (p place, err error) {
	of, topic, has := strings.Cut(s, "/")
	if p.chat, err = strconv.ParseInt(of, 10, 64); err == nil && has {
		p.topic, err = strconv.ParseInt(topic, 10, 64)
	}
	if err != nil {
		return p, channel.ErrChat.Withf("%q is no chat of Telegram", s)
	}
	return p, nil
}

// read returns what a message says to the bot; false when it says nothing to it.
func (m *message) read(me user) (channel.Message, bool) {
	if m == nil || m.From == nil || m.From.IsBot || m.Chat.Type == "channel" {
		return channel.Message{}, false
	}
	text, entities := m.Text, m.Entities
	if text == "" {
		text, entities = m.Caption, m.CaptionEntities
	}
	text, mentioned := unmention(text, entities, me)
	group := m.Chat.Type != "private"
	if group && !mentioned && !m.answers(me) || strings.TrimSpace(text) == "" {
		return channel.Message{}, false
	}
	at := place{chat: m.Chat.ID}
	if m.IsTopicMessage {
		at.topic = m.MessageThreadID
	}
	return channel.Message{
		Key: fmt.Sprintf("%d:%d:%d", me.ID, m.Chat.ID, m.MessageID), Chat: at.String(), Peer: at.String(), Author: m.From.name(), Group: group,
		Text: strings.TrimSpace(text), At: time.Unix(m.Date, 0).UTC(),
	}, true
}

func (m *message) answers(me user) bool {
	return m.ReplyTo != nil && m.ReplyTo.From != nil && m.ReplyTo.From.ID == me.ID
}

func (u *user) name() string {
	return cmp.Or(strings.TrimSpace(u.FirstName+" "+u.LastName), u.Username, strconv.FormatInt(u.ID, 10))
}

// unmention returns the text without what mentions the bot, and whether anything does. A command keeps its name: "/help@bot" is "/help".
func unmention(text string, entities []entity, me user) (string, bool) {
	units := utf16.Encode([]rune(text))
	type span struct{ from, to int }
	var cut []span
	for _, e := range entities {
		if e.Offset < 0 || e.Length <= 0 || e.Offset > len(units) || e.Length > len(units)-e.Offset {
			continue
		}
		part := string(utf16.Decode(units[e.Offset : e.Offset+e.Length]))
		end := e.Offset + e.Length
		switch {
		case e.Type == "text_mention" && e.User != nil && e.User.ID == me.ID, e.Type == "mention" && strings.EqualFold(part, "@"+me.Username):
			cut = append(cut, span{e.Offset, end})
		case e.Type == "bot_command":
			if name, bot, has := strings.Cut(part, "@"); has && strings.EqualFold(bot, me.Username) {
				cut = append(cut, span{e.Offset + len(utf16.Encode([]rune(name))), end})
			}
		}
	}
	slices.SortFunc(cut, func(a, b span) int { return cmp.Compare(b.from, a.from) }) // from the end on
	last := len(units)
	for _, s := range cut {
		if s.to > last { // two entities over one place
			continue
		}
		units = slices.Delete(units, s.from, s.to)
		last = s.from
	}
	return string(utf16.Decode(units)), len(cut) > 0
}
