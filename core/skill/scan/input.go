package scan

import "crypto/sha256"

// Bounds of what is looked at. What exceeds one is reported as CodeUnscanned.
const (
	MaxFile    = 2 << 20 // bytes of one file
	MaxTotal   = 8 << 20 // bytes of all texts of a skill
	MaxKnown   = 10_000  // names that a skill's own is compared with
	MaxReport  = 200     // findings of a report
	maxPerCode = 10      // findings of one code in one file

	maxDecoded    = 1 << 20  // bytes that decoding may yield for a skill
	maxPatternLen = 96 << 20 // bytes that all patterns together may read for a skill
	minPatternLen = 4 << 20  // that they may read of any skill
	// patternsPerByte is how often they may read each byte beyond that. Most documentation and programs need less than 8, what is dense
	// in commands up to 16; a text that is packed with suspicious words would need 30 and more.
	patternsPerByte = 12
)

// Kind says how a file is read.
type Kind int

// The kinds.
const (
	KindAuto         Kind = iota // by its path and its first bytes
	KindInstructions             // Markdown that an agent follows: SKILL.md, description_md, prompt_template
	KindCode                     // a program or a part of one
	KindData                     // neither: configuration, tables, schemas
)

// File is one file or one text of a skill.
type File struct {
	Path string // as findings name it: "scripts/run.py", "description_md"
	Kind Kind
	// Content may be the beginning only; the first MaxFile bytes are enough.
	Content []byte
	// Size in bytes of the whole file; 0 is that of Content.
	Size int64
	// Digest of the whole file; zero is that of Content.
	Digest [sha256.Size]byte
}

// Requires is what a skill says that it needs. What its own SKILL.md declares or explains is found by the scan itself.
type Requires struct {
	Env         []string // names of environment variables
	Credentials []string // in any words: "Slack Bot Token"
	Domains     []string // hosts; a subdomain of one is meant too
	Programs    []string // of the command line: "ffmpeg"
}

// Input is a skill as it is to be scanned.
type Input struct {
	Name  string // as people see it
	Key   string // as programs name it: a key, a handle; "" is none
	Files []File
	Requires
	// Known are names and keys of skills that people trust, which Name and Key should not be mistaken for. The skill's own names may
	// be among them. No more than MaxKnown are looked at.
	Known []string
	// Digest of the skill as a whole; zero is none.
	Digest [sha256.Size]byte
	// Blocked says why the operator blocked a digest, of a file or of the whole skill.
	Blocked map[[sha256.Size]byte]string
}
