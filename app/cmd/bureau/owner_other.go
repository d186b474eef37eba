//go:build !unix

package main

import (
	"io/fs"
	"os"
)

// giveTo changes nothing: here files have no owner that a number names.
func giveTo(*os.File, fs.FileInfo) error { return nil }
