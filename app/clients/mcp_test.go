package clients

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// everything is where the MCP server's program lies below the folder of packages.
const everything = "node_modules/@modelcontextprotocol/server-everything/dist/index.js"

// TestMCPServer lets an agent use the tools of an MCP server that another project wrote: over the network, and as a program in the
// session's sandbox.
func TestMCPServer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs what the set-up installs")
	}
	dir := installed(t)
	t.Run("streamable HTTP", func(t *testing.T) {
		t.Parallel()
		addr := serveMCP(t, filepath.Join(dir, everything))
		s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.EgressAllow = []string{addr} }})
		useMCP(t, s, object{"name": "everything", "type": "url", "url": "http://" + addr + "/mcp"}, nil)
	})
	t.Run("stdio", func(t *testing.T) {
		t.Parallel()
		s := apptest.Start(t, apptest.Config{})
		file := upload(t, s, filepath.Join(dir, "mcp-server.tgz"))
		useMCP(t, s, object{"name": "everything", "type": "stdio", "stdio": object{
			"command": "sh", "args": []string{"-c", "mkdir -p /tmp/mcp && tar -xzf /workspace/mcp.tgz -C /tmp/mcp && exec node /tmp/mcp/" + everything + " stdio"},
		}}, []object{{"type": "file", "file_id": file, "mount_path": "/workspace/mcp.tgz"}})
	})
}

type object = map[string]any

// useMCP has an agent call a tool of the server.
func useMCP(t *testing.T, s *apptest.Server, server object, resources []object) {
	t.Helper()
	var agent, session struct{ ID string }
	s.Admin.Call("POST", "/v1/agents", object{
		"name": "caller", "model": "offline", "mcp_servers": []object{server},
		"tools": []object{{"type": "mcp_toolset", "mcp_server_name": "everything", "default_config": object{
			"enabled": true, "permission_policy": object{"type": "always_allow"},
		}}},
	}, &agent)
	s.Admin.Call("POST", "/v1/sessions", object{"agent": agent.ID, "resources": resources}, &session)
	events := s.Admin.Stream("POST", "/v1/sessions/"+session.ID+"/messages", object{"content": "Use the echo tool with the message `good morning`"}).Rest()
	var use struct {
		ID, Name string
		Server   string `json:"mcp_server_name"`
	}
	var result struct {
		Use     string `json:"mcp_tool_use_id"`
		IsError bool   `json:"is_error"`
		Content []struct{ Text string }
	}
	var order []string
	for _, e := range events {
		order = append(order, e.Type)
		var err error
		switch e.Type {
		case "agent.mcp_tool_use":
			err = json.Unmarshal(e.Data, &use)
		case "agent.mcp_tool_result":
			err = json.Unmarshal(e.Data, &result)
		case "session.error":
			t.Errorf("%s", e.Data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if use.Name != "echo" || use.Server != "everything" {
		t.Fatalf("the tool was not used: %s", strings.Join(order, " "))
	}
	if result.Use != use.ID || result.IsError || len(result.Content) == 0 || !strings.Contains(result.Content[0].Text, "good morning") {
		t.Errorf("result: %+v", result)
	}
}

// serveMCP runs the server until the test ends and returns its address.
func serveMCP(t *testing.T, program string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close() // the server takes a port's number and does not say which it got for 0
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", program, "streamableHttp")
	cmd.Env = append(os.Environ(), "PORT="+port)
	out, err := cmd.StderrPipe()
	if err == nil {
		cmd.Stdout = cmd.Stderr
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "listening on port") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return addr
		}
		said.WriteString(lines.Text() + "\n")
	}
	t.Fatalf("the MCP server does not listen:\n%s", said.String())
	return ""
}

// upload stores a file on the server and returns its id.
func upload(t *testing.T, s *apptest.Server, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", filepath.Base(path))
	if err == nil {
		_, err = part.Write(raw)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ ID string }
	s.Admin.Call("POST", "/v1/files", body.Bytes(), &file, "Content-Type: "+form.FormDataContentType())
	return file.ID
}
