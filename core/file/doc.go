// Package file keeps the files that callers upload and that sessions produce. Bytes lie in ports/blob, everything else in the
// repository.
//
// A row comes before its bytes and goes after them: it is pending while they arrive, ready when all of them are there, and gone from the
// moment of its deletion until they are removed. Only ready rows are seen. Whatever a crash leaves, Sweep finds by its row.
package file
