package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/bureau-agents/bureau/ports/channel"
)

// maxAnswer bounds an answer of the API; a hundred updates of the longest texts have less than 4 MiB.
const maxAnswer = 16 << 20

// failure is an answer of the API that is no success.
type failure struct {
	status int
	text   string // description
	after  time.Duration
	moved  int64 // the chat has this id now
}

func (f *failure) Error() string { return fmt.Sprintf("Telegram answers %d: %s", f.status, f.text) }

// call calls a method. An error is a *failure, or says why there is no answer; it never has the token.
func (c *Channel) call(ctx context.Context, token, method string, params, result any) error {
	body, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("telegram: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.BaseURL+"/bot"+url.PathEscape(token)+"/"+method, bytes.NewReader(body))
	if err != nil {
		return errors.New("telegram: the address of the Bot API is not one")
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the URL has the token
		}
		return fmt.Errorf("telegram: %s: %w", method, err)
	}
	defer res.Body.Close()
	var answer struct {
		OK          bool            `json:"ok"`
		Result      json.RawMessage `json:"result"`
		ErrorCode   int             `json:"error_code"`
		Description string          `json:"description"`
		Parameters  struct {
			RetryAfter      int   `json:"retry_after"`
			MigrateToChatID int64 `json:"migrate_to_chat_id"`
		} `json:"parameters"`
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("telegram: %s: %w", method, err)
	}
	if json.Unmarshal(raw, &answer) != nil || !answer.OK && answer.ErrorCode == 0 {
		// Somebody between here and the API says so, which says nothing of the token.
		return &failure{status: http.StatusBadGateway, text: fmt.Sprintf("the status %d without an answer of the API", res.StatusCode)}
	}
	if !answer.OK {
		return &failure{
			status: answer.ErrorCode, text: answer.Description, after: time.Duration(answer.Parameters.RetryAfter) * time.Second,
			moved: answer.Parameters.MigrateToChatID,
		}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		return fmt.Errorf("telegram: %s: the answer cannot be read: %w", method, err)
	}
	return nil
}

// explain turns an error of call into one of the port, and says how long to wait at least.
func explain(err error) (after time.Duration, why error) {
	f, ok := errors.AsType[*failure](err)
	switch {
	case errors.Is(err, errNotTaken):
		return 0, channel.ErrUnreachable.Withf("a message could not be stored; Telegram is asked for it again")
	case !ok:
		return 0, channel.ErrUnreachable.Withf("Telegram cannot be reached").Wrap(err)
	case f.status == http.StatusUnauthorized, f.status == http.StatusNotFound:
		return 0, channel.ErrTokens.Withf("Telegram does not know the bot token")
	case f.status == http.StatusConflict:
		return 0, channel.ErrConflict.Withf("another program receives this Telegram bot's messages").Wrap(err)
	case f.status == http.StatusForbidden, f.status == http.StatusBadRequest:
		return 0, channel.ErrChat.Withf("Telegram does not deliver to this chat: %s", f.text)
	}
	return f.after, channel.ErrUnreachable.Withf("Telegram does not answer as it should: %d", f.status).Wrap(err)
}

// The objects of the API, as far as they are needed.
type (
	user struct {
		ID        int64  `json:"id"`
		IsBot     bool   `json:"is_bot"`
		FirstName string `json:"first_name"`
		LastName  string `json:"last_name"`
		Username  string `json:"username"`
	}
	chat struct {
		ID   int64  `json:"id"`
		Type string `json:"type"` // private, group, supergroup, channel
	}
	entity struct {
		Type   string `json:"type"`
		Offset int    `json:"offset"` // in UTF-16 units
		Length int    `json:"length"`
		User   *user  `json:"user"` // of text_mention
	}
	message struct {
		MessageID       int64    `json:"message_id"`
		MessageThreadID int64    `json:"message_thread_id"`
		IsTopicMessage  bool     `json:"is_topic_message"`
		From            *user    `json:"from"`
		Date            int64    `json:"date"`
		Chat            chat     `json:"chat"`
		ReplyTo         *message `json:"reply_to_message"`
		Text            string   `json:"text"`
		Entities        []entity `json:"entities"`
		Caption         string   `json:"caption"`
		CaptionEntities []entity `json:"caption_entities"`
	}
	update struct {
		ID      int64    `json:"update_id"`
		Message *message `json:"message"`
	}
)
