// Package telegram lets people write to agents in Telegram, by the Bot API and long polls (getUpdates).
//
// An update is confirmed to Telegram, by the offset of the next poll, once the inbox has stored its message. Go's client libraries move that
// offset on as soon as they have read an update, which loses what a server that dies has not stored; the five methods that are needed here are
// called directly instead.
//
// In groups the bot hears what mentions it or replies to it. Edited messages, messages of other bots and messages without text are passed over.
package telegram
