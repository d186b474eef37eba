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
	pay = spec("pay", "Pay money from your wallet to a vendor or another payee. Use it when you are asked to pay, buy, send money or settle a bill.",
		`{"type":"object","properties":{
			"amount":{"type":["string","number"],"description":"How much to pay, a decimal number such as 20.00"},
			"currency":{"type":"string","description":"Currency code such as USDC; your wallet's currency when left out"},
			"payee":{"type":"string","description":"Who is paid: a name, a domain or an address"},
			"description":{"type":"string","description":"What the payment is for"},
			"category":{"type":"string","description":"Kind of expense, such as software or travel"}},
		"required":["amount","payee"]}`)
	knowledge = spec("search_knowledge", "Search the knowledge base for texts that answer a question. Use it for every question about facts that "+
		"the user's organisation may have written down. Quote the source of what you use.",
		`{"type":"object","properties":{
			"query":{"type":"string","description":"The question, or words to look for.","minLength":1,"maxLength":4000},
			"limit":{"type":"integer","description":"How many texts to return.","minimum":1,"maximum":20,"default":5}},
		"required":["query"]}`)
	calculator = spec("calculator", "Works out arithmetic exactly: sums, products, quotients, remainders, powers, roots and rounding of numbers of "+
		"any size. Use it to calculate or compute whenever numbers matter, instead of guessing.",
		`{"type":"object","properties":{"expression":{"type":"string","minLength":1,"maxLength":1000,"description":"the arithmetic to work out, with + - * / % ^ ( ) and sqrt(x)"}},
		"required":["expression"],"additionalProperties":false}`)
	httpFetch = spec("http_fetch", "Fetches a web page or a text document from a public URL and returns its readable text. Use it to read, open, "+
		"download or look up an address on the web.",
		`{"type":"object","properties":{
			"url":{"type":"string","format":"uri","description":"the address of the page, with http:// or https://"},
			"method":{"type":"string","enum":["GET","HEAD"],"default":"GET","description":"GET reads the page, HEAD only its headers"},
			"format":{"type":"string","enum":["text","raw"],"default":"text","description":"text takes the readable text out of HTML, raw leaves it as it is"},
			"max_bytes":{"type":"integer","minimum":1,"maximum":800000,"default":100000,"description":"how much of the text to answer with, at most"}},
		"required":["url"],"additionalProperties":false}`)
	wordCount = spec("word_count", "Counts the words of a text.", `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`)
	forecast  = spec("get_weather", "Get the current weather for a city.",
		`{"type":"object","properties":{"city":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city"],"additionalProperties":false}`)
	sendEmail = spec("send_email", "Send an email message.",
		`{"type":"object","properties":{"to":{"type":"string","format":"email"},"subject":{"type":"string"},"body":{"type":"string"}},"required":["to","subject","body"]}`)
	createTicket = spec("create_ticket", "Create a ticket in the issue tracker.",
		`{"type":"object","properties":{"title":{"type":"string"},"priority":{"type":"string","enum":["low","medium","high"]},"due_date":{"type":"string","format":"date"}},"required":["title"]}`)
	convertUnits = spec("convert_units", "Converts a value between units of measurement.",
		`{"type":"object","properties":{"value":{"type":"number"},"from":{"type":"string"},"to":{"type":"string"}},"required":["value","from","to"]}`)
	tellAgent = spec("message_agent", "Sends a message to another agent.",
		`{"type":"object","properties":{"agent":{"type":"string"},"message":{"type":"string"}},"required":["agent","message"]}`)
	bash = spec("bash", "Runs a shell command in the sandbox.", `{"type":"object","properties":{"command":{"type":"string"}},"required":["command"]}`)
	dice = spec("roll_dice", "Roll some dice.", `{"type":"object","properties":{"sides":{"type":"integer","minimum":2},"count":{"type":"integer"}},"required":["sides"]}`)

	strange = []tool.Spec{
		spec("slack_dm", "Sends a direct message to a Slack user.", `{"type":"object","properties":{"user":{"type":"string"},"text":{"type":"string"}},"required":["user","text"]}`),
		spec("memory_write", "Remembers a fact for later sessions.", `{"type":"object","properties":{"key":{"type":"string"},"value":{"type":"string"}},"required":["value"]}`),
		spec("read", "Reads a file in the sandbox.", `{"type":"object","properties":{"file_path":{"type":"string"},"offset":{"type":"integer"}},"required":["file_path"]}`),
		spec("write", "Writes a file in the sandbox.", `{"type":"object","properties":{"file_path":{"type":"string"},"content":{"type":"string"}},"required":["file_path","content"]}`),
		spec("grep", "Searches files for a pattern.", `{"type":"object","properties":{"pattern":{"type":"string"},"path":{"type":"string"}},"required":["pattern"]}`),
		spec("web_search", "Searches the web.", `{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}`),
		spec("reverse", "Reverses a text.", `{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`),
		spec("echo", "Echoes its input.", `{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}`),
		spec("book_flight", "Books a flight.", `{"type":"object","properties":{"origin":{"type":"string"},"destination":{"type":"string"},"date":{"type":"string","format":"date"},"passengers":{"type":"integer","minimum":1}},"required":["origin","destination","date"]}`),
		spec("lookup_order", "Look up the status of an order by its id.", `{"type":"object","properties":{"order_id":{"type":"string","pattern":"^ORD-[0-9]+$"}},"required":["order_id"]}`),
		spec("set_reminder", "Set a reminder.", `{"type":"object","properties":{"text":{"type":"string"},"when":{"type":"string","format":"date-time"}},"required":["text","when"]}`),
		spec("translate", "Translate a text into another language.", `{"type":"object","properties":{"text":{"type":"string"},"target_language":{"type":"string","enum":["german","french"]}},"required":["text","target_language"]}`),
		spec("stock_price", "Current price of a stock by ticker symbol.", `{"type":"object","properties":{"ticker":{"type":"string","pattern":"^[A-Z]{1,5}$"}},"required":["ticker"]}`),
		spec("refund_customer", "Refunds a customer.", `{"type":"object","properties":{"customer":{"type":"string"},"amount":{"type":"number"}},"required":["customer","amount"]}`),
		spec("list_invoices", "List invoices.", `{"type":"object","properties":{"status":{"type":"string","enum":["open","paid"]}}}`),
		spec("delete_agent", "Deletes an agent.", `{"type":"object","properties":{"agent_id":{"type":"string"}},"required":["agent_id"]}`),
		pay, knowledge, calculator, httpFetch,
	}

	main     = []tool.Spec{pay, knowledge, calculator, httpFetch, wordCount}
	everyone = []tool.Spec{pay, knowledge, calculator, httpFetch, wordCount, forecast, sendEmail, createTicket, convertUnits, tellAgent, bash, dice}
)
