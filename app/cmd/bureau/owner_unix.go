//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// giveTo makes a file that of the owner and the group of another, which info is of.
func giveTo(f *os.File, info fs.FileInfo) error {
	own, err := f.Stat()
	if err != nil {
		return err
	}
	is, _ := own.Sys().(*syscall.Stat_t)
	to, ok := info.Sys().(*syscall.Stat_t)
	if !ok || is.Uid == to.Uid && is.Gid == to.Gid {
		return nil
	}
	if err := f.Chown(int(to.Uid), int(to.Gid)); err != nil {
		return fmt.Errorf("the owner of %s cannot be kept: %w", info.Name(), err)
	}
	return nil
}
