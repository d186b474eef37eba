package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/ports/id"
)

// ModelCardWire is a model card on the wire. Its type is exported because others embed it.
type ModelCardWire struct {
	ID            string            `json:"id" doc:"mcard_..."`
	Type          string            `json:"type" enum:"model_card"`
	ModelID       string            `json:"model_id" doc:"What agents name as their model to use this card."`
	Model         string            `json:"model" doc:"The provider's name of the model."`
	Provider      string            `json:"provider" enum:"ant,ant-compatible,oai,oai-compatible"`
	APIKeyPreview string            `json:"api_key_preview" doc:"The last four characters of the key; empty for a short one."`
	BaseURL       *string           `json:"base_url" doc:"null: the provider's own."`
	CustomHeaders map[string]string `json:"custom_headers" doc:"Sent with every request. Their values are not shown."`
	IsDefault     bool              `json:"is_default" doc:"Whether it answers agents that name no model."`
	CreatedAt     stamp             `json:"created_at"`
	UpdatedAt     stamp             `json:"updated_at"`
	ArchivedAt    *stamp            `json:"archived_at" doc:"Always null: cards are deleted."`
}

// probedCardWire is a card with what the model said to it.
type probedCardWire struct {
	ModelCardWire
	Probe *probeWire `json:"probe,omitempty" doc:"There when the model was asked."`
}

type probeWire struct {
	OK bool `json:"ok" doc:"Always true: a card whose model does not answer is refused."`
}

func showCard(c model.Card) ModelCardWire {
	w := ModelCardWire{
		ID: c.ID.String(), Type: "model_card", ModelID: c.ModelID, Model: c.Name(), Provider: string(c.Provider), APIKeyPreview: c.KeyPreview,
		BaseURL: textOrNull(c.BaseURL), CustomHeaders: map[string]string{}, IsDefault: c.Default, CreatedAt: stampOf(c.CreatedAt),
		UpdatedAt: stampOf(c.UpdatedAt),
	}
	for _, name := range c.Headers {
		w.CustomHeaders[name] = model.HiddenHeader
	}
	return w
}

func showProbed(c model.Card, probed bool) *output[probedCardWire] {
	w := probedCardWire{ModelCardWire: showCard(c)}
	if probed {
		w.Probe = &probeWire{OK: true}
	}
	return ok(w)
}

type createModelCardInput struct {
	Body struct {
		ModelID       string            `json:"model_id" minLength:"1" maxLength:"256" pattern:"\\S" patternDescription:"more than blanks" doc:"What agents name as their model."`
		Provider      string            `json:"provider" enum:"ant,ant-compatible,oai,oai-compatible" doc:"Whose protocol the address speaks."`
		APIKey        string            `json:"api_key" minLength:"1" pattern:"\\S" patternDescription:"more than blanks" doc:"It is sealed, and never shown."`
		Model         *string           `json:"model,omitempty" doc:"The provider's name of the model; model_id when left out."`
		BaseURL       *string           `json:"base_url,omitempty" doc:"With or without /v1 at its end; the provider's own when left out."`
		CustomHeaders map[string]string `json:"custom_headers,omitempty" doc:"Sent with every request; sealed like the key."`
		IsDefault     bool              `json:"is_default,omitempty" doc:"Answers agents that name no model."`
	}
}

type updateModelCardInput struct {
	ModelCardInput
	Body struct {
		ModelID       *string                      `json:"model_id,omitempty"`
		Provider      *string                      `json:"provider,omitempty" enum:"ant,ant-compatible,oai,oai-compatible"`
		APIKey        *string                      `json:"api_key,omitempty"`
		Model         httpx.Opt[string]            `json:"model,omitempty" doc:"null: the model is called as model_id says."`
		BaseURL       httpx.Opt[string]            `json:"base_url,omitempty" doc:"null: the provider's own."`
		CustomHeaders httpx.Opt[map[string]string] `json:"custom_headers,omitempty" doc:"Replaces them; null removes them. A value of [redacted] stays what it was."`
		IsDefault     *bool                        `json:"is_default,omitempty"`
	}
}

// ModelCardInput names a model card. Its type is exported because others embed it.
type ModelCardInput struct {
	CardID string `path:"card_id" doc:"The id of a model card."`
}

func (in *ModelCardInput) card() (id.ModelCard, error) { return id.Parse[id.ModelCardKind](in.CardID) }

type listModelCardsInput struct{ ArchivedQuery }

func (f *face) registerModelCards() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createModelCard", Method: http.MethodPost, Path: "/v1/model_cards", Tag: "models", Status: http.StatusCreated,
		Example: `{"model_id":"my-anthropic","provider":"ant","model":"claude-sonnet-4-6","api_key":"sk-ant-..."}`,
		Summary: "Add a model with a key of your own", Permission: account.ModelsWrite,
		Description: "The model is asked for one token, within 6 seconds. When it does not answer, the call fails with what the provider said, and " +
			"nothing is stored. Agents use the card by naming its model_id as their model.",
	}, func(ctx context.Context, in *createModelCardInput) (*output[probedCardWire], error) {
		b := &in.Body
		c, err := f.deps.Cards.Create(ctx, httpx.Scope(ctx), model.CardDraft{
			ModelID: b.ModelID, Model: textOf(b.Model), Provider: model.CardProvider(b.Provider), BaseURL: textOf(b.BaseURL), APIKey: b.APIKey,
			Headers: b.CustomHeaders, Default: b.IsDefault,
		})
		if err != nil {
			return nil, err
		}
		return showProbed(c, true), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listModelCards", Method: http.MethodGet, Path: "/v1/model_cards", Tag: "models",
		Summary: "List model cards, newest first", Permission: account.ModelsRead,
	}, func(ctx context.Context, in *listModelCardsInput) (*output[httpx.List[ModelCardWire]], error) {
		found, err := f.deps.Cards.List(ctx, httpx.Scope(ctx), in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showCard)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getModelCard", Method: http.MethodGet, Path: "/v1/model_cards/{card_id}", Tag: "models",
		Summary: "Read a model card", Permission: account.ModelsRead,
	}, func(ctx context.Context, in *ModelCardInput) (*output[ModelCardWire], error) {
		card, err := in.card()
		if err != nil {
			return nil, err
		}
		c, err := f.deps.Cards.Get(ctx, httpx.Scope(ctx), card)
		if err != nil {
			return nil, err
		}
		return ok(showCard(c)), nil
	})

	for method, op := range map[string]string{
		http.MethodPatch: "patchModelCard", http.MethodPost: "updateModelCard", http.MethodPut: "putModelCard",
	} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/model_cards/{card_id}", Tag: "models", Summary: "Change a model card, or rotate its key",
			Example: `{"api_key":"sk-ant-..."}`,
			Description: "Changes what the body names. POST, PATCH and PUT do the same. A change of how the model is reached is tried like a new card; " +
				"when the model does not answer, the card stays as it was. Sessions use the change from their next model call on.",
			Permission: account.ModelsWrite, Statuses: []int{http.StatusConflict},
		}, f.updateModelCard)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteModelCard", Method: http.MethodDelete, Path: "/v1/model_cards/{card_id}", Tag: "models",
		Summary: "Delete a model card", Permission: account.ModelsWrite,
	}, func(ctx context.Context, in *ModelCardInput) (*output[httpx.Deleted], error) {
		card, err := in.card()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Cards.Delete(ctx, httpx.Scope(ctx), card); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: card.String(), Type: "model_card_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getModelCardKey", Method: http.MethodGet, Path: "/v1/model_cards/{card_id}/key", Tag: "models",
		Summary: "Refused: the key of a model card is for the server's own workers", Permission: account.ModelsRead,
		Status: http.StatusForbidden, // there is no other answer to a card that is there
	}, func(ctx context.Context, in *ModelCardInput) (*struct{}, error) {
		card, err := in.card()
		if err != nil {
			return nil, err
		}
		return nil, f.deps.Cards.Key(ctx, httpx.Scope(ctx), card)
	})
}

func (f *face) updateModelCard(ctx context.Context, in *updateModelCardInput) (*output[probedCardWire], error) {
	card, err := in.card()
	if err != nil {
		return nil, err
	}
	b := &in.Body
	p := model.CardPatch{ModelID: b.ModelID, APIKey: b.APIKey, Default: b.IsDefault}
	if b.Provider != nil {
		p.Provider = ptr(model.CardProvider(*b.Provider))
	}
	if b.Model.Set {
		p.Model = &b.Model.Value
	}
	if b.BaseURL.Set {
		p.BaseURL = &b.BaseURL.Value
	}
	if b.CustomHeaders.Set {
		p.Headers = &b.CustomHeaders.Value
	}
	c, probed, err := f.deps.Cards.Update(ctx, httpx.Scope(ctx), card, p)
	if err != nil {
		return nil, err
	}
	return showProbed(c, probed), nil
}
