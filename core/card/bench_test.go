package card

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkValidate judges cards of several sizes, and all of the corpus.
func BenchmarkValidate(b *testing.B) {
	cards := map[string][]byte{}
	var corpus [][]byte
	size := 0
	for _, s := range samples(b) {
		cards[s.file] = s.text
		corpus = append(corpus, s.text)
		size += len(s.text)
	}
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"0.3.0/2KB", cards["030-signed.json"]},
		{"1.0/2KB", cards["10-recipes.json"]},
		{"1.0/3KB", withSkills(6)},
		{"0.3.0/15KB", cards["030-handbook.json"]},
		{"1.0/5MB", large(5 << 20)},
		{"1.0/10000skills", withSkills(10_000)},
		{"0.3.0/100000members", withMembers(100_000)},
		{"0.3.0/1000000values", []byte(`{"skills":[` + strings.Repeat("0,", 999_990) + "0]}")},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				Validate(c.text, Options{})
			}
		})
	}
	b.Run("corpus", func(b *testing.B) {
		b.SetBytes(int64(size))
		b.ReportAllocs()
		for b.Loop() {
			for _, text := range corpus {
				Validate(text, Options{})
			}
		}
		b.ReportMetric(float64(b.N*len(corpus))/b.Elapsed().Seconds(), "cards/s")
	})
}

// BenchmarkStructure reads a card and holds it to its schema, without the rest.
func BenchmarkStructure(b *testing.B) {
	for _, s := range samples(b) {
		if s.file != "030-signed.json" && s.file != "10-recipes.json" {
			continue
		}
		b.Run(s.file, func(b *testing.B) {
			b.SetBytes(int64(len(s.text)))
			b.ReportAllocs()
			for b.Loop() {
				from := spare.Get().(*blocks)
				if c, ok := readInto(s.text, Options{}, from); ok {
					c.chooseVersion()
					c.structure()
				}
				from.release(len(s.text))
			}
		})
	}
}

// large makes a valid card of 1.0 that is about as long as size says.
func large(size int) []byte {
	var one bytes.Buffer
	skillText(&one, 0)
	return withSkills(size / (one.Len() + 5))
}

// withSkills makes a valid card of 1.0 with n skills.
func withSkills(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"name":"Handbook","description":"Answers questions on a handbook.","version":"1.0.0","capabilities":{},` +
		`"supportedInterfaces":[{"url":"https://example.com/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],` +
		`"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		skillText(&b, i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func skillText(b *bytes.Buffer, i int) {
	fmt.Fprintf(b,
		`{"id":"chapter-%d","name":"Chapter %d","description":"Answers questions on chapter %d, and quotes the `+
			`paragraph that each answer rests on.","tags":["handbook","chapter-%d"],"examples":["What does %d.1 ask for?","Who signs under %d.3?"],`+
			`"inputModes":["text/plain"],"outputModes":["text/plain"]}`, i, i, i, i, i, i)
}

// withMembers makes a card of 0.3.0 with n security schemes, each under a name of its own, and as many members that nobody knows.
func withMembers(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"protocolVersion":"0.3.0","name":"x","description":"x","url":"https://example.com","version":"1","capabilities":{},` +
		`"defaultInputModes":[],"defaultOutputModes":[],"skills":[],"securitySchemes":{`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"s%d":{"type":"http","scheme":"bearer"}`, i)
	}
	b.WriteByte('}')
	for i := range n {
		fmt.Fprintf(&b, `,"member%d":null`, i)
	}
	b.WriteByte('}')
	return b.Bytes()
}
