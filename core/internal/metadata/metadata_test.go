package metadata_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/fault"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	pairs := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint("k", i)] = ""
		}
		return m
	}
	for name, tc := range map[string]struct {
		m    map[string]string
		want []fault.Field
	}{
		"none":          {nil, nil},
		"most":          {pairs(metadata.MaxPairs), nil},
		"too many":      {pairs(metadata.MaxPairs + 1), []fault.Field{{Path: "metadata", Message: "has 17 pairs; at most 16 are allowed"}}},
		"longest":       {map[string]string{strings.Repeat("é", 64): strings.Repeat("é", 512)}, nil},
		"no key":        {map[string]string{"": "x"}, []fault.Field{{Path: "metadata", Message: "keys must have 1 to 64 characters"}}},
		"long key":      {map[string]string{strings.Repeat("k", 65): "x"}, []fault.Field{{Path: "metadata", Message: "keys must have 1 to 64 characters"}}},
		"NUL in a key":  {map[string]string{"a\x00": "x"}, []fault.Field{{Path: "metadata", Message: "must not contain the NUL character"}}},
		"key not UTF-8": {map[string]string{"a\xff": "x"}, []fault.Field{{Path: "metadata", Message: "must be valid UTF-8"}}},
		"values": {
			map[string]string{"b": strings.Repeat("v", 513), "a": "\x00", "c": "fine"},
			[]fault.Field{
				{Path: "metadata.a", Message: "must not contain the NUL character"},
				{Path: "metadata.b", Message: "has 513 characters; at most 512 are allowed"},
			},
		},
	} {
		var f check.Faults
		metadata.Check(&f, tc.m)
		if d := cmp.Diff(tc.want, f.Fields); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	other, same := "new", "1"
	have := map[string]string{"a": "1", "b": "2"}
	for name, tc := range map[string]struct {
		have  map[string]string
		patch map[string]*string
		want  map[string]string
	}{
		"nothing":         {have, nil, have},
		"nothing of none": {nil, map[string]*string{}, nil},
		"same":            {have, map[string]*string{"a": &same, "gone": nil}, have},
		"change":          {have, map[string]*string{"a": &other, "b": nil, "c": &other}, map[string]string{"a": "new", "c": "new"}},
		"first":           {nil, map[string]*string{"a": &same}, map[string]string{"a": "1"}},
		"last":            {map[string]string{"a": "1"}, map[string]*string{"a": nil}, map[string]string{}},
	} {
		before := maps.Clone(tc.have)
		if d := cmp.Diff(tc.want, metadata.Merge(tc.have, tc.patch)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := cmp.Diff(before, tc.have); d != "" {
			t.Errorf("%s changed what there was: %s", name, d)
		}
	}
}
