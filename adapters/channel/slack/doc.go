// Package slack lets people write to agents in Slack, by Socket Mode: a connection that the server opens, so that Slack need not reach it.
//
// Slack's methods are called through github.com/slack-go/slack. Its Socket Mode client chooses itself when it acknowledges and how long it pauses,
// so the connection is this package's own, over github.com/coder/websocket: an envelope is acknowledged once the inbox has stored its message. One
// that the inbox does not take is offered to it again and again, since Slack gives up after three times.
//
// The bot answers direct messages, in the thread where they stand, and what mentions it elsewhere, in a thread. Messages of bots and edits are
// passed over. The app needs connections:write on its own token, chat:write, im:history and app_mentions:read on the bot's, and subscriptions to
// message.im and app_mention.
package slack
