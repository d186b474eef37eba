package httpx

import (
	"cmp"
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/ports/fault"
)

// rawOutput is the output of an operation whose answer is a T, for the document.
type rawOutput[T any] struct{ Body T }

// RegisterRaw adds an operation whose handler gets the body as it was sent, within its limit and otherwise unchecked: what it says about texts that
// are JSON only nearly is for the handler to decide. I documents the body; what the handler returns is written as JSON.
func RegisterRaw[I, T any](f *Face, op Op, handler func(ctx context.Context, body []byte) (T, error)) {
	op.raw = true
	Register(f, op, func(context.Context, *I) (*rawOutput[T], error) { return nil, errInternal })
	item := f.api.OpenAPI().Paths[op.Path]
	if item == nil || item.Post == nil || op.Method != http.MethodPost {
		return // Register has noted why
	}
	o, _ := item.Post.Metadata[metaOperation].(*operation)
	o.run = func(c *call) {
		out, err := handler(&c.ctx, c.body)
		if err != nil {
			c.fail(err)
			return
		}
		c.Header().Set("Content-Type", contentJSON)
		c.status = cmp.Or(o.Status, http.StatusOK)
		if err := f.api.Marshal(c, contentJSON, out); err != nil {
			c.status = 0
			c.fail(err)
		}
	}
}

// DecodeFault is the fault of a body that encoding/json could not read into what it should hold, without the values in it.
func DecodeFault(err error) error {
	return invalid([]fault.Field{{Path: "body", Message: decodeError(err).Error()}})
}
