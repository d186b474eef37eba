package a2a

import (
	"context"
	"fmt"
	"net/http"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	tasks "github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// filePath is where the files of a task are, below the agent's address. The protocol has no addresses there.
const filePath = "/tasks/{task}/files/{file}"

// FileInput names a file of a task. It is exported because inputs embed it.
type FileInput struct {
	AgentInput

	Task string `path:"task" doc:"The task's id."`
	File string `path:"file" doc:"The file's id."`
}

// registerFiles serves what is too large to be a part of a task, to whose task it is.
func (f *face) registerFiles() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "getTaskFile", Method: http.MethodGet, Path: "/{agent}" + filePath, Summary: "Download a file that an agent made for a task",
		Permission: account.Chat, Hidden: true,
	}, func(ctx context.Context, in *FileInput) (httpx.Stream, error) {
		of, err := f.find(ctx, in.AgentInput)
		if err != nil {
			return nil, err
		}
		task, err := id.Parse[id.TurnKind](in.Task)
		if err != nil {
			return nil, err
		}
		want, err := id.Parse[id.FileKind](in.File)
		if err != nil {
			return nil, err
		}
		v, content, err := f.deps.Tasks.OpenOutput(ctx, httpx.Scope(ctx), of, task, want)
		if err != nil {
			return nil, err
		}
		return httpx.SendFile(ctx, v, content)
	})
}

// madeOf tells of a file in a stream.
func madeOf(info a2a.TaskInfo, a *a2a.Artifact) *a2a.TaskArtifactUpdateEvent {
	return &a2a.TaskArtifactUpdateEvent{TaskID: info.TaskID, ContextID: info.ContextID, Artifact: a, LastChunk: true}
}

// artifactsOf shows the files of a task. base is the server's address; "" is not known.
func artifactsOf(t tasks.Task, all []tasks.Output, base string) []*a2a.Artifact {
	out := make([]*a2a.Artifact, len(all))
	for i, o := range all {
		out[i] = artifactOf(t, o, base)
	}
	return out
}

// artifactOf shows a file: with its bytes, or by where the caller's key can read it. What is neither is told in words.
func artifactOf(t tasks.Task, o tasks.Output, base string) *a2a.Artifact {
	a := &a2a.Artifact{
		ID: a2a.ArtifactID("outputs/" + o.Path), Name: o.Name,
		Metadata: map[string]any{"path": o.Path, "sizeBytes": o.Size, "fileId": o.File.String()},
	}
	part := &a2a.Part{Filename: o.Name, MediaType: o.MediaType}
	switch {
	case o.Gone:
		a.Metadata["omitted"] = "gone"
		part = a2a.NewTextPart(fmt.Sprintf("[the file %s is not kept any more]", o.Name))
	case o.Data != nil:
		part.Content = a2a.Raw(o.Data)
	case base != "":
		part.Content = a2a.URL(base + Prefix + "/" + t.Agent.String() + "/tasks/" + t.ID.String() + "/files/" + o.File.String())
	case o.Unread:
		a.Metadata["omitted"] = "unreadable"
		part = a2a.NewTextPart(fmt.Sprintf("[the file %s of %d bytes could not be read]", o.Name, o.Size))
	default:
		a.Metadata["omitted"] = "too large"
		part = a2a.NewTextPart(fmt.Sprintf("[the file %s of %d bytes is too large to be sent here]", o.Name, o.Size))
	}
	a.Parts = a2a.ContentParts{part}
	return a
}
