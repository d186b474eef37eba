// Package audittest is the suite that every store of audit trails passes.
package audittest
