package offline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/tool"
)

// TestAddressed asks others by name: the tool is found by what its schema says, whatever it is called.
func TestAddressed(t *testing.T) {
	t.Parallel()
	team := tool.Spec{
		Name: "delegate", Description: "Delegate a task to another agent of your team: ask it to do something, and get its answer.",
		InputSchema: json.RawMessage(`{"type":"object","required":["agent","message"],"properties":{
			"agent":{"type":"string","enum":["researcher","Copy Writer"]},"message":{"type":"string"},"thread_id":{"type":"string"}}}`),
	}
	channel := tool.Spec{
		Name: "notify", Description: "Send a text to somebody.",
		InputSchema: json.RawMessage(`{"type":"object","required":["recipient","text"],"properties":{
			"recipient":{"type":"string","enum":["ops","night watch"]},"text":{"type":"string"}}}`),
	}
	pay := tool.Spec{
		Name: "pay", Description: "Pay money to a payee.",
		InputSchema: json.RawMessage(`{"type":"object","required":["amount","payee"],"properties":{"amount":{"type":"string"},"payee":{"type":"string"}}}`),
	}
	for message, want := range map[string]string{
		"Ask the researcher agent to find the capital of France.": `delegate {"agent":"researcher","message":"find the capital of France."}`,
		"Please ask researcher about Go 1.26":                     `delegate {"agent":"researcher","message":"about Go 1.26"}`,
		"Tell the researcher to pay 5 USDC to vendor.example":     `delegate {"agent":"researcher","message":"pay 5 USDC to vendor.example"}`,
		"Ask the copy writer to write a poem and the researcher to count its words": `delegate {"agent":"Copy Writer","message":"write a poem"}` +
			` delegate {"agent":"researcher","message":"count its words"}`,
		"Delegate the summary of the report to researcher.": `delegate {"agent":"researcher","message":"the summary of the report"}`,
		"Tell the night watch: the door is open":            `notify {"recipient":"night watch","text":"the door is open"}`,
		"Pay 5 USDC to researcher.example":                  `pay {"amount":"5","payee":"researcher.example"}`,
		"The researcher is on leave.":                       ``,
	} {
		m := New().model
		var got []string
		for _, s := range m.plan(message, m.views.of(m.v, []tool.Spec{pay, team, channel})) {
			if s.tool != nil {
				got = append(got, s.tool.spec.Name+" "+string(s.args))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s\n got %s\nwant %s", message, strings.Join(got, " "), want)
		}
	}
}
