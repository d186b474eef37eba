package a2a

import (
	"slices"
	"strings"
)

// spoken is what parts say. The texts of their files stand apart: whether there is room for them is known when they are said, and what
// was said of an artifact is compared with its newest whole whether there was or not.
type spoken struct {
	text  string
	files []fileSaid // by their places
}

// fileSaid is what a text file says, in a line of its own behind its name.
type fileSaid struct {
	at   int // where its name ends in spoken.text
	text string
}

// and returns s with more behind it.
func (s spoken) and(more spoken) spoken {
	out := spoken{s.text + more.text, slices.Clone(s.files)}
	for _, f := range more.files {
		out.files = append(out.files, fileSaid{len(s.text) + f.at, f.text})
	}
	return out
}

// continues reports whether s begins with all that before says.
func (s spoken) continues(before spoken) bool {
	n := len(before.files)
	return strings.HasPrefix(s.text, before.text) && len(s.files) >= n && slices.Equal(s.files[:n], before.files)
}

// after returns what s, which continues before, says behind it. Files say what there is room for, which becomes less; of the others the
// names are left.
func (s spoken) after(before spoken, room *int) string {
	var b strings.Builder
	from := len(before.text)
	for _, f := range s.files[len(before.files):] {
		if len(f.text) > *room {
			continue
		}
		*room -= len(f.text)
		b.WriteString(s.text[from:f.at] + "\n" + f.text)
		from = f.at
	}
	b.WriteString(s.text[from:])
	return b.String()
}
