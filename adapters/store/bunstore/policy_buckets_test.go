package bunstore

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/policy"
)

// FuzzBuckets holds the reader and the writer of buckets to what encoding/json makes of them: what is written can be read there, and what
// was written there can be read here.
func FuzzBuckets(f *testing.F) {
	for _, text := range []string{
		"", "[", "[]", "[[1,2,3]]", "[[-1,0,9223372036854775807],[60,1,2]]", "[[1,2,3],]", "[[1,2]]", "[[1,2,3]", "[[1,2,3,4]]", "[[9223372036854775808,1,1]]", "[,[1,2,3]]", "[[1,2,3]]]",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := decodeBuckets(text)
		if err != nil || got == nil {
			return
		}
		var want [][3]int64
		if err := json.Unmarshal(text, &want); err != nil && len(text) > 0 && !looseNumber(text) {
			t.Fatalf("%q is read as %v and is no JSON: %v", text, got, err)
		}
		again, err := decodeBuckets([]byte(encodeBuckets(got).String))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%v is %v (%v) once it was written and read", got, again, err)
		}
	})
}

// looseNumber reports whether a number begins with a zero that JSON does not allow.
func looseNumber(text []byte) bool {
	for i := 0; i+1 < len(text); i++ {
		digit := func(c byte) bool { return '0' <= c && c <= '9' }
		if text[i] == '0' && digit(text[i+1]) && (i == 0 || !digit(text[i-1])) {
			return true
		}
	}
	return false
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	r := policy.Rolling{
		{Start: time.Unix(-60, 0).UTC(), Spent: 1, Reserved: 2}, {Start: time.Unix(1700000000, 0).UTC(), Spent: math.MaxInt64, Reserved: 0},
	}
	const text = "[[-60,1,2],[1700000000,9223372036854775807,0]]"
	if got := encodeBuckets(r).String; got != text {
		t.Errorf("buckets are written as %s", got)
	}
	if got, err := decodeBuckets([]byte(text)); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("buckets are read as %v, %v", got, err)
	}
	if got, err := decodeBuckets(nil); err != nil || got != nil {
		t.Errorf("no buckets are read as %v, %v", got, err)
	}
	for _, text := range []string{"", "[", "[[1,2]]", "[[1,2,3],]", "[[1,2,3]", "[[9223372036854775808,1,1]]", "[ [1,2,3]]", "[[1,2,-]]", "[,]", "[[1,2,3]]]"} {
		if got, err := decodeBuckets([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
