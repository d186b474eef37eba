package native

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
)

const contentSVG = "image/svg+xml"

// How long badges may be shown from a cache: a report does not change, but may be deleted; a card's verdict does.
const (
	reportBadgeAge = 24 * time.Hour
	cardBadgeAge   = 5 * time.Minute
)

// badgeFormat is the picture: two words on two colours, with a title for those who do not see it. Its texts are ours, and not the card's.
const badgeFormat = `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img" aria-label="agent card: %[2]s">` +
	`<title>agent card: %[2]s</title><clipPath id="r"><rect width="%[1]d" height="20" rx="3"/></clipPath>` +
	`<g clip-path="url(#r)"><path fill="#444" d="M0 0h75v20H0z"/><path fill="%[3]s" d="M75 0h%[4]dv20H75z"/></g>` +
	`<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">` +
	`<text x="37.5" y="14" textLength="63">agent card</text><text x="%[5]d" y="14" textLength="%[6]d">%[2]s</text></g></svg>`

// badgeSVG draws a verdict. The colours stand out from white by 4.5 to 1 at least.
func badgeSVG(valid bool, score int) string {
	text, colour := "invalid", "#b42318"
	if valid {
		text, colour = "valid "+strconv.Itoa(score), "#9a5b00"
		if score >= 80 {
			colour = "#1a7f37"
		}
	}
	letters := len(text) * 65 / 10
	width := letters + 12
	return fmt.Sprintf(badgeFormat, 75+width, text, colour, width, 75+width/2, letters)
}

// badge answers with the picture of a verdict.
func badge(valid bool, score int, age time.Duration) httpx.Stream {
	picture := badgeSVG(valid, score)
	sum := sha256.Sum256([]byte(picture))
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentSVG)
		h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(age.Seconds())))
		h.Set("ETag", tag)
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		if strings.Contains(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write([]byte(picture)) // the caller went away; there is nobody to tell
	}
}
