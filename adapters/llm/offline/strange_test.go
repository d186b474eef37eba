package offline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestToolsItNeverSaw checks that names, descriptions and schemas are enough.
func TestToolsItNeverSaw(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"Send Bob a Slack message saying hello":                            {`slack_dm {"text":"hello","user":"Bob"}`},
		"Use the slack_dm tool to tell Bob 'hi'":                           {`slack_dm {"text":"hi","user":"Bob"}`},
		"Remember that my favourite colour is blue":                        {`memory_write {"value":"my favourite colour is blue"}`},
		"Please remember: the deploy is on Monday":                         {`memory_write {"value":"the deploy is on Monday"}`},
		"Read /etc/hosts":                                                  {`read {"file_path":"/etc/hosts"}`},
		"read the file notes.txt":                                          {`read {"file_path":"notes.txt"}`},
		"Write 'hello' to /tmp/x.txt":                                      {`write {"content":"hello","file_path":"/tmp/x.txt"}`},
		"grep for 'TODO' in /src":                                          {`grep {"path":"/src","pattern":"TODO"}`},
		"Search the web for golang generics":                               {`web_search {"query":"golang generics"}`},
		"Reverse 'abc'":                                                    {`reverse {"text":"abc"}`},
		"Use the echo tool with message 'hi'":                              {`echo {"message":"hi"}`},
		"echo hello":                                                       {`echo {"message":"hello"}`},
		"Book a flight from Berlin to Oslo on 2026-05-01 for 2 passengers": {`book_flight {"date":"2026-05-01","destination":"Oslo","origin":"Berlin","passengers":2}`},
		"Book me a flight to Oslo":                                         nil,
		"What is the status of order ORD-123?":                             {`lookup_order {"order_id":"ORD-123"}`},
		"Set a reminder to call mom at 2026-05-01T10:00":                   {`set_reminder {"text":"call mom","when":"2026-05-01T10:00:00Z"}`},
		"Translate 'good morning' to German":                               {`translate {"target_language":"german","text":"good morning"}`},
		"What's the price of AAPL?":                                        {`stock_price {"ticker":"AAPL"}`},
		"Refund customer Bob 5 USD":                                        {`refund_customer {"amount":5,"customer":"Bob"}`},
		"Which invoices are open?":                                         {`list_invoices {"status":"open"}`},
		"Delete agent agent_123":                                           {`delete_agent {"agent_id":"agent_123"}`},
		"Never delete agent agent_123":                                     nil,
		"Should I delete agent agent_123?":                                 {`search_knowledge {"query":"Should I delete agent agent_123"}`},
		"Pay 20 USDC to vendor.example for the SendGrid renewal":           {`pay {"amount":"20","currency":"USDC","description":"the SendGrid renewal","payee":"vendor.example"}`},
		"What is our SendGrid renewal price?":                              {`search_knowledge {"query":"What is our SendGrid renewal price"}`},
	}
	for message, want := range tests {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			got, text := converse(t, strange, message, ok)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s\nsaid: %s", diff, text)
			}
		})
	}
}
