package offline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/tool"
)

// TestCommands checks that commands and patterns are taken as they stand, also where they are not quoted and not required.
func TestCommands(t *testing.T) {
	t.Parallel()
	shell := spec("bash", "Run a command in a bash shell in your sandbox.", `{"type":"object","properties":{
		"command":{"type":"string","description":"The command to run, such as: ls -la"},
		"restart":{"type":"boolean","description":"Forget the working directory and exported variables first"},
		"timeout_ms":{"type":"number","minimum":1,"description":"How long it may take, in milliseconds"}}}`)
	grep := spec("grep", "Search the text files of your sandbox for lines that match a regular expression.",
		`{"type":"object","properties":{"pattern":{"type":"string"},"path":{"type":"string"}},"required":["pattern"]}`)
	tools := []tool.Spec{pay, knowledge, shell, grep}
	tests := map[string][]string{
		"Use the bash tool to run ls -la /workspace":              {`bash {"command":"ls -la /workspace"}`},
		"Use the bash tool to run cat /etc/passwd":                {`bash {"command":"cat /etc/passwd"}`},
		"Use the bash tool to execute the command env | sort.":    {`bash {"command":"env | sort"}`},
		"Please use bash to run `rm -rf \"a b\"`":                 {`bash {"command":"rm -rf \"a b\""}`},
		"Use the bash tool to run: echo one > /tmp/a.txt":         {`bash {"command":"echo one \u003e /tmp/a.txt"}`},
		"Use the grep tool to search for \"hello\" in /workspace": {`grep {"path":"/workspace","pattern":"hello"}`},
		"Use the grep tool to look for TODO in /workspace":        {`grep {"path":"/workspace","pattern":"TODO"}`},
	}
	for message, want := range tests {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			got, text := converse(t, tools, message, ok)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s\nsaid: %s", diff, text)
			}
		})
	}
}
