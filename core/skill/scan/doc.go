// Package scan looks at the files of a skill before anybody runs it: commands that destroy or download, programs that come along, instructions
// that turn an agent against its owner, text that only machines see, secrets, and requirements that do not fit what the skill does.
//
// It is static and pure: nothing is run, opened or looked up, and the same input gives the same report. What it finds are signs for a
// reviewer. It does not prove that a skill is harmless, and a skill that fetches its orders at run time can pass it.
//
// The verdict says how far the signs go:
//   - malicious: a sign with a code malicious.*, or one of severity critical, which no honest skill needs;
//   - warn: a sign of severity high, or a score below 50;
//   - review: one of severity medium, or a score below 85;
//   - pass: nothing but low and info.
//
// The score begins at 100. Of each code the most severe finding takes 60 (critical), 25 (high), 10 (medium) or 3 (low) points, and each of
// at most three further findings of that code a fifth of what it would take alone, rounded down; nothing goes below 0. A malicious skill has 0.
//
// The risk says something else: what the skill can reach when it is used as it says. An honest skill that deploys to production
// passes and has a high risk.
//
// The time is linear in the size of the input, whatever it holds: patterns are RE2 and run only near words that they need, decoding goes
// two layers deep within a budget, and what exceeds a bound is named as suspicious.unscanned_content.
package scan
