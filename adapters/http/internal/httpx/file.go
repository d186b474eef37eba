package httpx

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"

	"github.com/bureau-agents/bureau/core/file"
)

// SendFile returns what writes a stored file, for RegisterStream, and closes content, whatever comes of it. It takes Range and conditional headers. A
// damaged file is an error here when it is small or a part of it is asked for; otherwise the connection is broken off.
func SendFile(ctx context.Context, v file.File, content *file.Content) (Stream, error) {
	// A part of a file says nothing about the rest, so the rest is looked at first.
	if v.Size <= file.SmallSize || Request(ctx).Header.Get("Range") != "" {
		if err := content.Verify(); err != nil {
			return nil, errors.Join(err, content.Close())
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		defer content.Close() //nolint:errcheck // read to its end or given up
		h := w.Header()
		h.Set("Content-Type", v.MediaType)
		h.Set("Content-Disposition", cmp.Or(mime.FormatMediaType("attachment", map[string]string{"filename": v.Name}), "attachment"))
		h.Set("ETag", `"`+hex.EncodeToString(v.SHA256[:])+`"`)
		h.Set("Cache-Control", "private, no-cache")
		// The content is its maker's: a browser must neither guess what it is nor run it with this server's rights.
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		// When reading fails the answer has less than its Content-Length says, and the connection is broken off.
		http.ServeContent(w, r, "", v.CreatedAt, content)
	}, nil
}
