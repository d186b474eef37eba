// Package channel is the port to services in which people write to agents: Telegram, Slack.
package channel

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of channels.
var (
	// ErrTokens is returned when the service does not take the tokens, or one is missing: nothing but other tokens helps.
	ErrTokens = fault.New(fault.Invalid, "channel_tokens", "the service does not take the tokens")
	// ErrChat is returned for a chat that is not there, or in which the bot may not write.
	ErrChat = fault.New(fault.NotFound, "channel_chat_not_found", "the bot cannot write in this chat")
	// ErrConflict is told to Inbox.Trouble while somebody else receives the same account's messages.
	ErrConflict = fault.New(fault.Conflict, "channel_conflict", "somebody else receives the messages of this account")
	// ErrUnreachable is told to Inbox.Trouble, and returned by Send, when the service does not answer, or not as it should.
	ErrUnreachable = fault.New(fault.Unavailable, "channel_unreachable", "the service cannot be reached")
)

// Account is a bot at a service.
type Account struct {
	// Tokens are by the names that Channel.Tokens returns. They must not be logged.
	Tokens map[string]string
}

// Message is what somebody has written to a bot.
type Message struct {
	// Key names the message among all that the agent ever gets by this channel. One that the service delivers again has the same.
	Key string
	// Chat is where to answer, for Send.
	Chat string
	// Peer names whom the agent talks to: the chat, and where chats have threads the thread. One conversation has one peer, 1 to 256
	// characters.
	Peer string
	// Author is who has written, as the service calls them; Group says that others hear the conversation too.
	Author string
	Group  bool
	// Text is what was written, without the mention of the bot; never blank.
	Text string
	At   time.Time // by the service's clock
}

// Inbox takes what comes in. Implementations are safe for concurrent use.
type Inbox interface {
	// Take stores a message durably and returns before it is answered. Once it has returned nil the service is told that the message has
	// arrived, and does not deliver it again; otherwise it is offered again later. A message that was taken before, by its Key, changes
	// nothing.
	Take(ctx context.Context, m Message) error
	// Trouble learns why nothing comes in at the moment, again when the reason changes, and nil once messages come in.
	Trouble(ctx context.Context, err error)
}

// Channel is a service. Implementations are safe for concurrent use, and may run for many accounts at once.
type Channel interface {
	// Name is how sessions call it: "telegram", "slack".
	Name() string
	// Tokens names the tokens that an account needs, all of them: "telegram_bot_token".
	Tokens() []string
	// Run receives the messages of an account in the order in which each chat has them, until ctx ends, which is no error. It returns
	// ErrTokens at once when the tokens are not taken, also later when they are revoked. Whatever else goes wrong is told to
	// Inbox.Trouble and tried again, with growing pauses.
	Run(ctx context.Context, a Account, in Inbox) error
	// Send writes into a chat, in as many messages as it takes, in order. Rates that the service asks for are kept, and it is tried
	// again a few times. ErrTokens, ErrChat, ErrUnreachable; some messages may have been sent by then.
	Send(ctx context.Context, a Account, chat, text string) error
	// Typing shows in a chat that an answer is being written, for a few seconds, where the service has such a sign. It is not tried
	// again.
	Typing(ctx context.Context, a Account, chat string) error
}
