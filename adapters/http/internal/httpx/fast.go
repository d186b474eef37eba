package httpx

import (
	"context"
	"net/http"
	"sync"
)

// Fast answers a request from its body. The body has passed CheckJSON. It returns false for one that is not plainly right, before it has done
// anything: then the usual way finds out what is wrong with it, or that nothing is. The answer is appended to buf, which is empty, and is written
// before buf is used again.
type Fast func(ctx context.Context, body, buf []byte) (answer []byte, ok bool, err error)

// fastAnswers are what answers of Fast are appended to.
var fastAnswers = sync.Pool{New: func() any { return new([]byte) }}

// fastAnswer is how large one of fastAnswers may be in bytes.
const fastAnswer = 1 << 20

// RegisterFast is Register for a POST whose bodies are large and many. fast answers those that are plainly right, as handler would; handler, which
// is decoded for and documented by its input and output, answers the others. An answer of fast is JSON; an error is one of handler's.
func RegisterFast[I, O any](f *Face, op Op, handler func(context.Context, *I) (*O, error), fast Fast) {
	Register(f, op, handler)
	item := f.api.OpenAPI().Paths[op.Path]
	if item == nil || item.Post == nil || op.Method != http.MethodPost || op.Strict {
		return // Register has noted why, or there is no other way than the usual one
	}
	o, _ := item.Post.Metadata[metaOperation].(*operation)
	usual := o.run
	o.run = func(c *call) {
		if len(c.body) == 0 {
			usual(c)
			return
		}
		kept, _ := fastAnswers.Get().(*[]byte)
		answer, ok, err := fast(&c.ctx, c.body, (*kept)[:0])
		switch {
		case err != nil:
			c.fail(err)
		case !ok:
			usual(c)
		default:
			status := o.Status
			if status == 0 {
				status = http.StatusOK
			}
			c.send(status, contentJSON, answer)
			if cap(answer) <= fastAnswer {
				*kept = answer
				fastAnswers.Put(kept)
			}
		}
	}
}
