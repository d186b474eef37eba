package slack

import (
	"encoding/json"
	"html"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/channel"
)

// identity is whom the bot's token belongs to.
type identity struct{ team, user, bot string }

// event is a message of the Events API, as far as it is needed.
type event struct {
	Type        string `json:"type"` // message, app_mention
	Subtype     string `json:"subtype"`
	Channel     string `json:"channel"`
	ChannelType string `json:"channel_type"` // im, mpim, channel, group; of messages
	User        string `json:"user"`
	BotID       string `json:"bot_id"`
	Text        string `json:"text"`
	TS          string `json:"ts"`
	ThreadTS    string `json:"thread_ts"`
}

// place is a channel, and a thread in it.
type place struct{ channel, thread string }

// String is how the port spells it: "D012", "C012/1700000000.000100".
func (p place) String() string {
	if p.thread == "" {
		return p.channel
	}
	return p.channel + "/" + p.thread
}

var placeShape = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,30}(/[0-9]{1,20}\.[0-9]{1,10})?$`)

func parsePlace(s string) (place, error) {
	if !placeShape.MatchString(s) {
		return place{}, channel.ErrChat.Withf("%q is no chat of Slack", s)
	}
	of, thread, _ := strings.Cut(s, "/")
	return place{of, thread}, nil
}

// read returns what an event says to the bot; false when it says nothing to it.
func (e event) read(me identity) (channel.Message, bool) {
	switch e.Subtype {
	case "", "file_share", "thread_broadcast":
	default: // edits, deletions, people who join
		return channel.Message{}, false
	}
	if e.Type != "message" && e.Type != "app_mention" || e.User == "" || e.User == me.user || e.BotID != "" {
		return channel.Message{}, false
	}
	direct := e.Type == "message" && e.ChannelType == "im"
	text, mentioned := plain(e.Text, me.user)
	at := place{e.Channel, e.ThreadTS}
	if !direct && at.thread == "" {
		at.thread = e.TS
	}
	if !direct && !mentioned || text == "" || !placeShape.MatchString(at.String()) || !placeShape.MatchString(e.Channel+"/"+e.TS) {
		return channel.Message{}, false
	}
	seconds, _ := strconv.ParseFloat(e.TS, 64)
	return channel.Message{
		Key: me.team + ":" + e.Channel + ":" + e.TS, Chat: at.String(), Peer: at.String(), Author: e.User, Group: !direct, Text: text,
		At: time.UnixMilli(int64(seconds * 1000)).UTC(),
	}, true
}

// reference is what Slack puts into angle brackets: people, channels, links.
var reference = regexp.MustCompile(`<([^<>|]+)(?:\|([^<>]*))?>`)

// plain returns a text as people read it, without what mentions the bot, and whether anything does.
func plain(text, me string) (string, bool) {
	mentioned := false
	text = reference.ReplaceAllStringFunc(text, func(s string) string {
		parts := reference.FindStringSubmatch(s)
		target, label := parts[1], parts[2]
		switch {
		case target == "@"+me:
			mentioned = true
			return ""
		case strings.HasPrefix(target, "@"), strings.HasPrefix(target, "#"), strings.HasPrefix(target, "!"):
			if label != "" {
				return target[:1] + strings.TrimPrefix(label, target[:1])
			}
			return target
		case label == "" || label == target || "mailto:"+label == target || strings.HasSuffix(target, "://"+label):
			return strings.TrimPrefix(target, "mailto:")
		}
		return label + " (" + target + ")"
	})
	return strings.TrimSpace(html.UnescapeString(text)), mentioned
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// units is how many characters a rune has once it is escaped.
func units(r rune) int {
	switch r {
	case '&':
		return 5
	case '<', '>':
		return 4
	}
	return 1
}

// envelope is what comes over the connection.
type envelope struct {
	Type    string `json:"type"` // hello, disconnect, events_api, slash_commands, interactive
	ID      string `json:"envelope_id"`
	Reason  string `json:"reason"` // of disconnect
	Payload struct {
		Event json.RawMessage `json:"event"`
	} `json:"payload"`
}
