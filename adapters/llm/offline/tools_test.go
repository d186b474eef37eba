package offline_test

import (
	"encoding/json"

	"github.com/bureau-agents/bureau/ports/tool"
)

func spec(name, description, schema string) tool.Spec {
	return tool.Spec{Name: name, Description: description, InputSchema: json.RawMessage(schema)}
}

// The tools of the tests: those that every agent has, and some that the rules were not made for.
var (
	pay = spec("pay", "Pays a vendor out of the agent's wallet.", `{"type":"object","additionalProperties":false,
		"properties":{
			"amount":{"type":"string","description":"how much, as a decimal","pattern":"^[0-9]+(\\.[0-9]{1,6})?$"},
			"currency":{"type":"string","description":"default: the wallet's"},
			"payee":{"type":"string","description":"the vendor's domain name"},
			"description":{"type":"string","description":"what it is for"},
			"category":{"type":"string"}},
		"required":["amount","payee"]}`)
	knowledge = spec("search_knowledge", "Searches what this agent was taught and answers with passages and their sources.",
		`{"type":"object","properties":{"query":{"type":"string"},"limit":{"type":"integer"}},"required":["query"]}`)
	calculator = spec("calculator", "Evaluates an arithmetic expression.",
		`{"type":"object","properties":{"expression":{"type":"string","description":"such as 2 * (3 + 4)"}},"required":["expression"],"additionalProperties":false}`)
	httpFetch = spec("http_fetch", "Fetches a web page or another resource over HTTP.",
		`{"type":"object","properties":{"url":{"type":"string","format":"uri"},"method":{"type":"string","enum":["GET","HEAD"],"default":"GET"}},"required":["url"]}`)
	wordCount = spec("word_count", "Counts the words of a text.", `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`)
	forecast  = spec("get_weather", "Get the current weather for a city.",
		`{"type":"object","properties":{"city":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city"],"additionalProperties":false}`)
	sendEmail = spec("send_email", "Send an email message.",
		`{"type":"object","properties":{"to":{"type":"string","format":"email"},"subject":{"type":"string"},"body":{"type":"string"}},"required":["to","subject","body"]}`)
	createTicket = spec("create_ticket", "Create a ticket in the issue tracker.",
		`{"type":"object","properties":{"title":{"type":"string"},"priority":{"type":"string","enum":["low","medium","high"]},"due_date":{"type":"string","format":"date"}},"required":["title"]}`)
	convertUnits = spec("convert_units", "Converts a value between units of measurement.",
		`{"type":"object","properties":{"value":{"type":"number"},"from":{"type":"string"},"to":{"type":"string"}},"required":["value","from","to"]}`)
	listPayments = spec("list_payments", "Lists payments that were made to a vendor.",
		`{"type":"object","properties":{"vendor":{"type":"string"}},"required":["vendor"]}`)
	tellAgent = spec("message_agent", "Sends a message to another agent.",
		`{"type":"object","properties":{"agent":{"type":"string"},"message":{"type":"string"}},"required":["agent","message"]}`)
	bash = spec("bash", "Runs a shell command in the sandbox.", `{"type":"object","properties":{"command":{"type":"string"}},"required":["command"]}`)
	dice = spec("roll_dice", "Roll some dice.", `{"type":"object","properties":{"sides":{"type":"integer","minimum":2},"count":{"type":"integer"}},"required":["sides"]}`)

	main     = []tool.Spec{pay, knowledge, calculator, httpFetch, wordCount}
	everyone = []tool.Spec{pay, knowledge, calculator, httpFetch, wordCount, forecast, sendEmail, createTicket, convertUnits, tellAgent, bash, dice}
)
