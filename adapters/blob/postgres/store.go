// Package postgres stores blobs in the Postgres database that the servers share, so that each of them has what any of them has
// stored.
//
// A blob is a row that names an upload, and the upload's pieces. An upload becomes a blob in the transaction that writes its last
// piece. The pieces of a replaced or deleted blob stay for an hour, for whoever is reading them, and go with a later Put.
package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/bureau-agents/bureau/adapters/internal/sqltx"
	"github.com/bureau-agents/bureau/ports/blob"
)

// pieceSize bounds what one statement carries.
const pieceSize = 1 << 20

// schema is brought up under sqltx.MigrationLock. Most blobs are programs: compressing them costs more time than it saves space.
const schema = `
CREATE SEQUENCE IF NOT EXISTS bureau_blob_uploads;
CREATE TABLE IF NOT EXISTS bureau_blobs (
	key text PRIMARY KEY,
	upload bigint NOT NULL UNIQUE,
	size bigint NOT NULL,
	sha256 bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS bureau_blob_pieces (
	upload bigint NOT NULL,
	number integer NOT NULL,
	made_at timestamptz NOT NULL DEFAULT now(),
	bytes bytea STORAGE EXTERNAL NOT NULL,
	PRIMARY KEY (upload, number)
)`

// sweep removes the pieces that nobody can be reading any more.
const sweep = `DELETE FROM bureau_blob_pieces p WHERE made_at < now() - interval '1 hour'
	AND NOT EXISTS (SELECT 1 FROM bureau_blobs b WHERE b.upload = p.upload)`

// Config says where the blobs are.
type Config struct {
	// Store is the handle of a store on Postgres (bunstore's Store.SQL()); required.
	Store *sqltx.Handle
}

// Store is a blob.Store. It is safe for concurrent use, also by several processes.
type Store struct {
	db *sql.DB
}

var _ blob.Store = (*Store)(nil)

// Open makes the tables where they are missing.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Store == nil || cfg.Store.Dialect != sqltx.Postgres {
		return nil, errors.New("postgres blobs: Config.Store is required and must be on Postgres")
	}
	s := &Store{db: cfg.Store.DB}
	err := s.do(ctx, func(t *sql.Tx) error {
		if _, err := t.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", sqltx.MigrationLock); err != nil {
			return err
		}
		_, err := t.ExecContext(ctx, schema)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	var info blob.Info
	err := s.do(ctx, func(t *sql.Tx) error {
		var upload int64
		if err := t.QueryRowContext(ctx, "SELECT nextval('bureau_blob_uploads')").Scan(&upload); err != nil {
			return err
		}
		var err error
		if info, err = write(ctx, t, upload, r); err != nil {
			return err
		}
		// Of two that replace one blob the second waits here, and finds what the first has written.
		if _, err := t.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "bureau blob "+key); err != nil {
			return err
		}
		_, err = t.ExecContext(ctx, `INSERT INTO bureau_blobs (key, upload, size, sha256) VALUES ($1, $2, $3, $4)
			ON CONFLICT (key) DO UPDATE SET upload = excluded.upload, size = excluded.size, sha256 = excluded.sha256`,
			key, upload, info.Size, info.SHA256[:])
		return err
	})
	if err != nil {
		return blob.Info{}, err
	}
	if _, err := s.db.ExecContext(ctx, sweep); err != nil {
		return blob.Info{}, wrap(ctx, err)
	}
	return info, nil
}

// write stores what r has as the pieces of an upload.
func write(ctx context.Context, t *sql.Tx, upload int64, r io.Reader) (blob.Info, error) {
	sum, size, buf := sha256.New(), int64(0), make([]byte, pieceSize)
	for number := 0; ; number++ {
		n, err := io.ReadFull(r, buf)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return blob.Info{}, err
		}
		sum.Write(buf[:n])
		size += int64(n)
		if n > 0 {
			_, err := t.ExecContext(ctx, "INSERT INTO bureau_blob_pieces (upload, number, bytes) VALUES ($1, $2, $3)", upload, number, buf[:n])
			if err != nil {
				return blob.Info{}, err
			}
		}
		if last {
			return blob.Info{Size: size, SHA256: [32]byte(sum.Sum(nil))}, ctx.Err()
		}
	}
}

// Open implements blob.Store. ctx bounds the reading, too.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	upload, info, err := s.find(ctx, key)
	if err != nil {
		return nil, blob.Info{}, err
	}
	return &reader{ctx: ctx, db: s.db, upload: upload, info: info, sum: sha256.New()}, info, nil
}

// Stat implements blob.Store. It does not read the bytes, so it cannot tell whether they are still those that were written.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	_, info, err := s.find(ctx, key)
	return info, err
}

func (s *Store) find(ctx context.Context, key string) (upload int64, info blob.Info, err error) {
	if err := blob.CheckKey(key); err != nil {
		return 0, blob.Info{}, err
	}
	var sum []byte
	err = s.db.QueryRowContext(ctx, "SELECT upload, size, sha256 FROM bureau_blobs WHERE key = $1", key).Scan(&upload, &info.Size, &sum)
	if err != nil {
		return 0, blob.Info{}, wrap(ctx, err)
	}
	if len(sum) != sha256.Size {
		return 0, blob.Info{}, blob.ErrCorrupt
	}
	info.SHA256 = [32]byte(sum)
	return upload, info, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	res, err := s.db.ExecContext(ctx, "DELETE FROM bureau_blobs WHERE key = $1", key)
	if err != nil {
		return wrap(ctx, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(blob.ErrNotFound, err)
	}
	return nil
}

// do runs fn in a transaction of its own, whatever transaction ctx carries: a Put may take long.
func (s *Store) do(ctx context.Context, fn func(*sql.Tx) error) error {
	t, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return wrap(ctx, err)
	}
	if err := fn(t); err != nil {
		_ = t.Rollback()
		return wrap(ctx, err)
	}
	return wrap(ctx, t.Commit())
}

// reader fetches the pieces one by one, so that a slow reader holds no connection.
type reader struct {
	ctx    context.Context //nolint:containedctx // it is Open's, and ends with the reader
	db     *sql.DB
	upload int64
	info   blob.Info
	sum    hash.Hash
	number int
	piece  []byte // what is left of the last one
	read   int64
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.piece) == 0 {
		if r.read == r.info.Size {
			if [32]byte(r.sum.Sum(nil)) != r.info.SHA256 {
				return 0, blob.ErrCorrupt
			}
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	r.read += int64(n)
	return n, nil
}

func (r *reader) fetch() error {
	err := r.db.QueryRowContext(r.ctx, "SELECT bytes FROM bureau_blob_pieces WHERE upload = $1 AND number = $2", r.upload, r.number).
		Scan(&r.piece)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (len(r.piece) == 0 || r.read+int64(len(r.piece)) > r.info.Size) {
		return blob.ErrCorrupt
	}
	if err != nil {
		return wrap(r.ctx, err)
	}
	r.number++
	r.sum.Write(r.piece)
	return nil
}

// Close implements io.Closer.
func (r *reader) Close() error { return nil }

// wrap turns the database's errors into the port's.
func wrap(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return blob.ErrNotFound
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("postgres blobs: %w", err)
}
