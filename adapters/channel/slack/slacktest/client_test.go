package slacktest_test

import (
	"context"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"

	"github.com/bureau-agents/bureau/adapters/channel/slack/slacktest"
)

// TestOtherClient has somebody else's Socket Mode client talk with the double, so that it is not made to the measure of ours.
func TestOtherClient(t *testing.T) {
	t.Parallel()
	s := slacktest.New(t)
	app, room := s.AddApp(), s.AddChannel("channel")
	api := slack.New(app.BotToken, slack.OptionAppLevelToken(app.AppToken), slack.OptionAPIURL(s.URL+"/api/"))
	client := socketmode.New(api)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = client.RunContext(ctx); close(done) }()
	defer func() {
		stop()
		<-done
	}()
	next := func() *slackevents.AppMentionEvent {
		t.Helper()
		for {
			select {
			case e := <-client.Events:
				if e.Type != socketmode.EventTypeEventsAPI {
					continue
				}
				if err := client.Ack(*e.Request); err != nil {
					t.Error(err)
				}
				mention, ok := e.Data.(slackevents.EventsAPIEvent).InnerEvent.Data.(*slackevents.AppMentionEvent)
				if !ok {
					t.Fatalf("got %+v", e.Data)
				}
				return mention
			case <-time.After(10 * time.Second):
				t.Fatal("nothing was received")
			}
		}
	}
	ts := s.Post(app, room, "<@"+app.User+"> hi", nil)
	m := next()
	if m.User != "U0ADA" || m.Channel != room || m.TimeStamp != ts || m.Text != "<@"+app.User+"> hi" {
		t.Errorf("got %+v", m)
	}
	if _, _, err := api.PostMessageContext(ctx, m.Channel, slack.MsgOptionText("Hi.", false), slack.MsgOptionTS(ts)); err != nil {
		t.Error(err)
	}
	s.Wait(t, "the event is acknowledged", func() bool { return s.Pending(app) == 0 })
	if sent := s.Sent(); len(sent) != 1 || sent[0] != (slacktest.Sent{Team: app.Team, Channel: room, Thread: ts, Text: "Hi."}) {
		t.Errorf("sent %+v", sent)
	}
	s.Refresh(app, "refresh_requested")
	s.Post(app, room, "<@"+app.User+"> again", nil)
	if m := next(); m.Text != "<@"+app.User+"> again" {
		t.Errorf("after a refresh: %+v", m)
	}
	s.Wait(t, "the event is acknowledged", func() bool { return s.Pending(app) == 0 })
	if faults := s.Faults(); len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
}
