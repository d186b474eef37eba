package a2a

import "testing"

// Both forms in which libraries of 0.3 post a configuration are read: the one of the protocol's mapping to HTTP, and the whole request.
func TestWrapPush(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, config, want string }{
		{`{"name":"tasks/t/pushNotificationConfigs/two","pushNotificationConfig":{"url":"u"}}`, "",
			`{"config":{"name":"tasks/t/pushNotificationConfigs/two","pushNotificationConfig":{"url":"u"}}}`},
		{`{"push_notification_config":{"url":"u"}}`, "two", `{"config":{"push_notification_config":{"url":"u"}},"configId":"two"}`},
		{`{"parent":"tasks/t","configId":"two","config":{"pushNotificationConfig":{}}}`, "three", `{"parent":"tasks/t","configId":"two","config":{"pushNotificationConfig":{}}}`},
		{`{}`, "", `{"config":{}}`},
		{`null`, "", `null`},
		{`[1]`, "", `[1]`},
		{``, "", ``},
	} {
		if got := string(wrapPush([]byte(c.body), c.config)); got != c.want {
			t.Errorf("%s: %s; want %s", c.body, got, c.want)
		}
	}
}
