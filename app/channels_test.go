package app_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/channel/slack/slacktest"
	"github.com/bureau-agents/bureau/adapters/channel/telegram/telegramtest"
	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// TestChannels has people write to an agent in Telegram and in Slack: each chat is a session of its own, from the agent's start to its stop, and
// what is said meanwhile is answered after the next start.
func TestChannels(t *testing.T) {
	t.Parallel()
	tg, sl := telegramtest.New(t), slacktest.New(t)
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) {
		c.Channels = app.ChannelConfig{TelegramURL: tg.URL, SlackURL: sl.URL}
	}})
	s.WaitForPlugins("calculator")
	bot, installed := tg.AddBot("bureau_bot"), sl.AddApp()
	const agents = agentoPrefix + "/v1/agents"
	var made struct {
		Data struct{ ID, Status, LastError string }
	}
	s.Admin.Call("POST", agents, m{
		"name": "Assistant", "config": m{"llmProvider": "offline"}, "secrets": m{
			"openaiApiKey": "sk-of-the-test", "telegramBotToken": bot.Token, "slackBotToken": installed.BotToken, "slackAppToken": installed.AppToken,
		},
	}, &made)
	same(t, "running", made.Data.Status)
	at := agents + "/" + made.Data.ID
	s.Admin.Call("POST", at+"/skills", m{"skillId": "calculator", "trustLevel": "verified"}, nil)

	one, two, group := tg.AddChat("private"), tg.AddChat("private"), tg.AddChat("supergroup")
	answered := func(chat *telegramtest.Chat, want string) {
		t.Helper()
		tg.Wait(t, "the answer "+want, func() bool {
			return slices.ContainsFunc(tg.Sent(), func(m telegramtest.Sent) bool { return m.Chat == chat.ID && strings.Contains(m.Text, want) })
		})
	}
	tg.Post(bot, one, "Use the calculator to calculate 6173 * 2", nil)
	tg.Post(bot, two, "Use the calculator to calculate 17 * 23", nil)
	answered(one, "12346")
	answered(two, "391")
	tg.Post(bot, group, "Use the calculator to calculate 2 * 2", nil) // of no concern to the bot
	tg.Post(bot, group, "@bureau_bot use the calculator to calculate 5 * 5", m{"entities": []m{{"type": "mention", "offset": 0, "length": 11}}})
	answered(group, "25")
	direct, room := sl.AddChannel("im"), sl.AddChannel("channel")
	sl.Post(installed, direct, "Use the calculator to calculate 11 * 11", nil)
	thread := sl.Post(installed, room, "<@"+installed.User+"> use the calculator to calculate 12 * 12", nil)
	for chat, want := range map[slacktest.Sent]string{{Channel: direct}: "121", {Channel: room, Thread: thread}: "144"} {
		sl.Wait(t, "the answer "+want, func() bool {
			return slices.ContainsFunc(sl.Sent(), func(m slacktest.Sent) bool {
				return m.Channel == chat.Channel && m.Thread == chat.Thread && strings.Contains(m.Text, want)
			})
		})
	}
	channels := func() (of []string) {
		t.Helper()
		var list struct {
			Data []struct{ ID, Channel string }
		}
		s.Admin.Call("GET", at+"/chat/sessions", nil, &list)
		for _, one := range list.Data {
			of = append(of, one.Channel)
		}
		slices.Sort(of)
		return of
	}
	same(t, []string{"slack", "slack", "telegram", "telegram", "telegram"}, channels())

	s.Admin.Call("POST", at+"/stop", nil, nil)
	sl.Wait(t, "the connection is closed", func() bool { return sl.Links(installed) == 0 })
	polls := tg.Calls("getUpdates")
	sent := len(tg.Sent())
	tg.Post(bot, one, "Use the calculator to calculate 9 * 9", nil)
	same(t, 1, tg.Pending(bot))
	same(t, polls, tg.Calls("getUpdates"))
	same(t, sent, len(tg.Sent()))
	s.Admin.Call("POST", at+"/start", nil, nil)
	answered(one, "81")
	same(t, 5, len(channels()))
	for _, token := range []string{bot.Token, installed.BotToken, installed.AppToken} {
		if strings.Contains(s.Log(), token) {
			t.Error("the server's log has a token")
		}
	}
	s.Admin.Call("DELETE", at, nil, nil)
	sl.Wait(t, "the connection is closed", func() bool { return sl.Links(installed) == 0 })
	if faults := sl.Faults(); len(faults) > 0 {
		t.Errorf("Slack does not expect: %q", faults)
	}
}

// TestChannelTokens checks that an agent whose tokens are worth nothing runs all the same and says what is wrong.
func TestChannelTokens(t *testing.T) {
	t.Parallel()
	tg := telegramtest.New(t)
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.Channels.TelegramURL = tg.URL }})
	const agents = agentoPrefix + "/v1/agents"
	var made struct {
		Data struct{ ID, Status string }
	}
	s.Admin.Call("POST", agents, m{
		"name": "Assistant", "config": m{"llmProvider": "offline"}, "secrets": m{"openaiApiKey": "sk-of-the-test", "telegramBotToken": "1:wrong"},
	}, &made)
	same(t, "running", made.Data.Status)
	late, tick := time.After(10*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(s.Log(), "Telegram does not know the bot token") {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("nobody says that the token is wrong")
		}
	}
	eventually(t, "the agent's own log says it", func() bool {
		return strings.Contains(logText(s.Admin, made.Data.ID), "[warn] channel telegram: Telegram does not know the bot token")
	})
	var status struct {
		Channels []struct{ Name, Problem string }
	}
	eventually(t, "its status says it", func() bool {
		s.Admin.Call("GET", "/v1/agents/"+made.Data.ID+"/status", nil, &status)
		return len(status.Channels) == 1 && status.Channels[0].Name == "telegram" && status.Channels[0].Problem != ""
	})
}
