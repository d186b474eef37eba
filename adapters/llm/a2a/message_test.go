package a2a

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2asrv"

	"github.com/bureau-agents/bureau/ports/llm"
)

// lister is an agent that says what it was sent.
func lister(_ context.Context, _ string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
	var got []string
	for _, p := range req.Message.Parts {
		switch c := p.Content.(type) {
		case vendor.Text:
			got = append(got, string(c))
		case vendor.Raw:
			got = append(got, fmt.Sprintf("<%s %s %q>", p.MediaType, p.Filename, string(c)))
		case vendor.URL:
			got = append(got, fmt.Sprintf("<%s %s %q>", p.MediaType, p.Filename, string(c)))
		}
	}
	write(text(strings.Join(got, "|")))
	return nil
}

// taking is a provider for an agent whose card names these modes.
func (s *server) taking(t *testing.T, d dialect, modes ...string) *Provider {
	t.Helper()
	members := d.card(false)
	members["defaultInputModes"] = modes
	card, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Card: card, Transport: everywhere{strings.TrimPrefix(s.URL, "http://")}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sent asks with these blocks in the newest message, of which the last newest ones are of it.
func sent(t *testing.T, p *Provider, newest int, blocks ...llm.Block) (string, error) {
	t.Helper()
	req := llm.Request{Messages: []llm.Message{{Role: llm.RoleUser, Blocks: blocks}}, Newest: newest}
	for event, err := range p.Generate(t.Context(), req) {
		if err != nil {
			return "", err
		}
		if event.Response != nil {
			return event.Response.Blocks[0].Text, nil
		}
	}
	t.Fatal("no answer")
	return "", nil
}

func media(mediaType, title, data string) llm.Block {
	return llm.Block{Media: &llm.Media{MediaType: mediaType, Title: title, Data: []byte(data)}}
}

// TestFilesAreSent gives an agent files in every dialect, as far as its card takes them.
func TestFilesAreSent(t *testing.T) {
	t.Parallel()
	picture, letter, note := media("image/png", "", "\x89PNG"), media("application/pdf", "letter.pdf", "%PDF-"), media("text/plain", "note.md", "# hi")
	link := llm.Block{Media: &llm.Media{MediaType: "image/*", URL: "https://example.com/a.png"}}
	hello := llm.Block{Text: "hello"}
	for spoken, d := range dialects {
		t.Run(spoken, func(t *testing.T) {
			t.Parallel()
			s := serve(t, scripted{do: lister}, d, false)
			for _, tc := range []struct {
				modes  []string
				newest int
				blocks []llm.Block
				want   string
				err    string
			}{
				{[]string{"text/plain", "image/png", "application/pdf"}, 0, []llm.Block{hello, picture, letter, note, link},
					`hello|<image/png  "\x89PNG">|<application/pdf letter.pdf "%PDF-">|<text/plain note.md "# hi">|<  "https://example.com/a.png">`, ""},
				{[]string{"*/*"}, 0, []llm.Block{letter}, `<application/pdf letter.pdf "%PDF-">`, ""},
				{[]string{"application/json"}, 0, []llm.Block{hello, note}, "hello|[file note.md]\n# hi", ""},
				{[]string{"text/plain", "application/json"}, 2, []llm.Block{hello, picture}, "", "does not take files of the type image/png; by its card it takes text/plain, application/json"},
				{[]string{"text/plain"}, 0, []llm.Block{link}, "", "files of the type image;"},
				// It was refused before: the conversation goes on.
				{[]string{"text/plain"}, 1, []llm.Block{picture, hello, {Text: "again"}}, "[a file of the type image/png was here, which was not sent]|hello|again", ""},
				{[]string{"image/png"}, 1, []llm.Block{picture, hello}, `<image/png  "\x89PNG">|hello`, ""},
				{[]string{"image/*"}, 1, []llm.Block{hello, media("image/png", "", strings.Repeat("x", maxSent+1))}, "", fmt.Sprintf("have %d bytes; agents elsewhere are sent %d", maxSent+1, maxSent)},
				{[]string{"image/*"}, 1, []llm.Block{media("image/png", "", strings.Repeat("x", maxSent+1)), hello}, "[a file of the type image/png was here, which was not sent]|hello", ""},
				{
					[]string{"image/png"}, 1, []llm.Block{media("text/plain", "long.txt", strings.Repeat("x", maxSent+1)), note, hello},
					"[a file of the type text/plain was here, which was not sent]|[file note.md]\n# hi|hello", "",
				},
				{
					[]string{"image/png"}, 1, []llm.Block{note, media("text/plain", "long.txt", strings.Repeat("x", maxSent)), hello},
					"[file note.md]\n# hi|[a file of the type text/plain was here, which was not sent]|hello", "",
				},
			} {
				got, err := sent(t, s.taking(t, d, tc.modes...), tc.newest, tc.blocks...)
				if tc.err != "" {
					if !errors.Is(err, llm.ErrRefusedRequest) || !strings.Contains(err.Error(), tc.err) {
						t.Errorf("%v: %v, want %s", tc.modes, err, tc.err)
					}
				} else if err != nil || got != tc.want {
					t.Errorf("%v: %.300q, %v; want %q", tc.modes, got, err, tc.want)
				}
			}
		})
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		modes, media string
		want         bool
	}{
		{"", "image/png", true}, {"text/plain", "text/plain", true}, {"Text/Plain; charset=utf-8", "text/plain", true}, {"text", "text/plain", true},
		{"text/markdown", "text/plain", false}, {"text/plain", "image/png", false}, {"image/*", "image/png", true}, {"image", "image/png", true},
		{"image/png", "image/*", true}, {"image/jpeg", "image/png", false}, {"application/*", "application/pdf", true}, {"file", "application/pdf", true},
		{"application/octet-stream", "application/pdf", true}, {"*/*", "image/png", true}, {"*", "image/png", true}, {"json", "application/json", false},
	} {
		var modes []string
		if tc.modes != "" {
			modes = []string{"audio/ogg", tc.modes}
		}
		if takes(modes, tc.media) != tc.want {
			t.Errorf("%q takes %s: %t", tc.modes, tc.media, !tc.want)
		}
	}
	of := inputModes(&vendor.AgentCard{DefaultInputModes: []string{"a/b"}, Skills: []vendor.AgentSkill{{InputModes: []string{"c/d", "a/b"}}}})
	if strings.Join(of, " ") != "a/b c/d" {
		t.Errorf("%v", of)
	}
}

// TestFilesInAnswers: what files are called, and what texts among them say, is a part of the answer.
func TestFilesInAnswers(t *testing.T) {
	t.Parallel()
	for spoken, d := range dialects {
		t.Run(spoken, func(t *testing.T) {
			t.Parallel()
			p := serve(t, scripted{do: func(_ context.Context, _ string, req *a2asrv.ExecutorContext, write func(vendor.Event)) error {
				table, link, archive := vendor.NewRawPart([]byte("a,b\n1,2")), vendor.NewFileURLPart("https://example.com/x", "video/mp4"), vendor.NewRawPart([]byte("PK"))
				table.Filename, table.MediaType, link.Filename = "t\n.csv", "text/csv; charset=utf-8", "x.mp4"
				archive.Filename, archive.MediaType = "a.zip", "application/zip"
				write(vendor.NewSubmittedTask(req, req.Message))
				write(vendor.NewArtifactEvent(req, vendor.NewTextPart("Here:")))
				write(vendor.NewArtifactEvent(req, table, link, archive, vendor.NewDataPart(map[string]any{"n": 1})))
				write(vendor.NewStatusUpdateEvent(req, vendor.TaskStateCompleted, nil))
				return nil
			}}, d, true).provider(t, "")
			_, resp, err := ask(t.Context(), p, "", "draw")
			want := "Here:\n\n[file of 7 bytes, t .csv, text/csv; charset=utf-8]\na,b\n1,2\n[file https://example.com/x, x.mp4, video/mp4]\n" +
				"[file of 2 bytes, a.zip, application/zip]\n{\"n\":1}"
			if err != nil || resp.Blocks[0].Text != want {
				t.Errorf("%+v, %v", resp, err)
			}
		})
	}
	if got := fileText("text/plain", []byte(strings.Repeat("x", maxFileText)+"yy")); !strings.HasSuffix(got, "x\n[cut: the file is longer]") {
		t.Errorf("a long text ends with %q", got[len(got)-40:])
	}
	for typ, content := range map[string]string{"text/plain": "\xff", "text/html": "a\x00", "image/png": "x", "": "x"} {
		if got := fileText(typ, []byte(content)); got != "" {
			t.Errorf("%s: %q", typ, got)
		}
	}
}
