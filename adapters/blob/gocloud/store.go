// Package gocloud stores blobs in a folder, through gocloud.dev/blob.
//
// A blob is one object: its bytes, and behind them a trailer that holds their SHA-256. Bytes and checksum are so replaced
// together, whatever interrupts. In the folder the object of key "a/b" is the file "a/b~"; since keys have no tilde, the blobs
// "a" and "a/b" do not get in each other's way.
package gocloud

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	gcblob "gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/gcerrors"

	"github.com/bureau-agents/bureau/ports/blob"
)

const (
	suffix      = "~"
	magic       = "bureaub1"
	trailerSize = len(magic) + sha256.Size
	// abandoned is the age at which an unfinished file cannot be another process's any more.
	abandoned = 24 * time.Hour
)

// errNotFile is what a bucket that is not a folder would give.
var errNotFile = errors.New("blob: the object is not a file")

// Config says where the blobs are.
type Config struct {
	// Dir is the folder; it is made, readable for its owner only, if it is missing.
	Dir string
}

// Store is a blob.Store. It is safe for concurrent use, also by several processes.
type Store struct {
	bucket *gcblob.Bucket
	dir    string
}

var _ blob.Store = (*Store)(nil)

// Open opens the store and removes what writes that were cut off more than a day ago left behind.
func Open(_ context.Context, cfg Config) (*Store, error) {
	if cfg.Dir == "" {
		return nil, errors.New("blob: Config.Dir is required")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	b, err := fileblob.OpenBucket(dir, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, NoTempDir: true, Metadata: fileblob.MetadataDontWrite,
	})
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	s := &Store{bucket: b, dir: dir}
	if err := s.sweep(); err != nil {
		_ = b.Close()
		return nil, fmt.Errorf("blob: %w", err)
	}
	return s, nil
}

// Close releases the store.
func (s *Store) Close() error { return s.bucket.Close() }

func (s *Store) sweep() error {
	return filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, suffix) {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || time.Since(info.ModTime()) < abandoned {
			return err
		}
		return os.Remove(path)
	})
}

// object returns the name of the object that holds key.
func object(key string) (string, error) {
	if err := blob.CheckKey(key); err != nil {
		return "", err
	}
	return key + suffix, nil
}

// Put implements blob.Store. When it returns, the blob has reached the disk.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	name, err := object(key)
	if err != nil {
		return blob.Info{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var file *os.File
	w, err := s.bucket.NewWriter(ctx, name, &gcblob.WriterOptions{
		ContentType: "application/octet-stream",
		BeforeWrite: func(as func(any) bool) error {
			if !as(&file) {
				return errNotFile
			}
			return file.Chmod(0o600) // the library leaves it to the umask
		},
	})
	if err != nil {
		return blob.Info{}, wrap(err)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), r)
	info := blob.Info{Size: n, SHA256: [32]byte(h.Sum(nil))}
	if err == nil {
		_, err = w.Write(append([]byte(magic), info.SHA256[:]...))
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cancel() // Close would publish what there is otherwise
		_ = w.Close()
		return blob.Info{}, wrap(err)
	}
	if err := w.Close(); err != nil {
		return blob.Info{}, wrap(err)
	}
	return info, s.syncFolders(name)
}

// syncFolders makes the names on the way to an object durable: its own, and those of folders that Put has just made.
func (s *Store) syncFolders(name string) error {
	for dir := filepath.Dir(filepath.Join(s.dir, filepath.FromSlash(name))); ; dir = filepath.Dir(dir) {
		f, err := os.Open(dir)
		if err != nil {
			return wrap(err)
		}
		err = errors.Join(f.Sync(), f.Close())
		if err != nil {
			return wrap(err)
		}
		if dir == s.dir || len(dir) <= len(s.dir) {
			return nil
		}
	}
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	name, err := object(key)
	if err != nil {
		return nil, blob.Info{}, err
	}
	r, info, err := s.open(ctx, name)
	if err != nil {
		return nil, blob.Info{}, err
	}
	return &reader{r: r, left: info.Size, info: info, hash: sha256.New()}, info, nil
}

// Stat implements blob.Store. It does not read the bytes, so it cannot tell whether they are still those that were written.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	name, err := object(key)
	if err != nil {
		return blob.Info{}, err
	}
	r, info, err := s.open(ctx, name)
	if err != nil {
		return blob.Info{}, err
	}
	return info, wrap(r.Close())
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	name, err := object(key)
	if err != nil {
		return err
	}
	return wrap(s.bucket.Delete(ctx, name))
}

// open opens an object and reads its trailer, both through one file: a Put in between cannot mix two objects.
func (s *Store) open(ctx context.Context, name string) (*gcblob.Reader, blob.Info, error) {
	var file *os.File
	r, err := s.bucket.NewReader(ctx, name, &gcblob.ReaderOptions{
		BeforeRead: func(as func(any) bool) error {
			if !as(&file) {
				return errNotFile
			}
			return nil
		},
	})
	if err != nil {
		return nil, blob.Info{}, wrap(err)
	}
	info, err := trailer(file)
	if err != nil {
		_ = r.Close()
		return nil, blob.Info{}, err
	}
	return r, info, nil
}

// trailer reads the end of an object.
func trailer(f *os.File) (blob.Info, error) {
	at, err := f.Stat()
	if err != nil {
		return blob.Info{}, wrap(err)
	}
	size := at.Size() - int64(trailerSize)
	if size < 0 {
		return blob.Info{}, blob.ErrCorrupt
	}
	b := make([]byte, trailerSize)
	if _, err := f.ReadAt(b, size); err != nil {
		return blob.Info{}, wrap(err)
	}
	if string(b[:len(magic)]) != magic {
		return blob.Info{}, blob.ErrCorrupt
	}
	return blob.Info{Size: size, SHA256: [32]byte(b[len(magic):])}, nil
}

// reader gives out the bytes before the trailer and judges them at their end.
type reader struct {
	r    *gcblob.Reader
	left int64
	info blob.Info
	hash hash.Hash
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		if !bytes.Equal(r.hash.Sum(nil), r.info.SHA256[:]) {
			return 0, blob.ErrCorrupt
		}
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.r.Read(p)
	r.hash.Write(p[:n])
	r.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if r.left > 0 { // shorter than it was when it was opened
			err = blob.ErrCorrupt
		}
	}
	return n, wrap(err)
}

// Close implements io.Closer.
func (r *reader) Close() error { return wrap(r.r.Close()) }

// wrap turns the library's errors into the port's.
func wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, blob.ErrCorrupt):
		return err
	case gcerrors.Code(err) == gcerrors.NotFound:
		return blob.ErrNotFound.Wrap(err)
	}
	return fmt.Errorf("blob: %w", err)
}
