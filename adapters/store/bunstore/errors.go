package bunstore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/bureau-agents/bureau/ports/fault"
)

var (
	// errUnique is what mapErr makes of a violated unique index or primary key.
	errUnique = fault.New(fault.Conflict, "already_exists", "already exists")
	// errReference is what mapErr makes of a violated foreign key.
	errReference = fault.New(fault.Conflict, "still_referenced", "the object refers to something missing or is still referred to")
	// errLost is what mapErr makes of a connection that broke or could not be made. What became of a commit is not known then.
	errLost = fault.New(fault.Unavailable, "store_unavailable", "the database cannot be reached").WithRetry(time.Second)
)

// SQLSTATE codes, https://www.postgresql.org/docs/17/errcodes-appendix.html.
const (
	pgUnique        = "23505"
	pgForeignKey    = "23503"
	pgSerialization = "40001"
	pgDeadlock      = "40P01"

	pgConnection     = "08"  // and what follows: connection exceptions
	pgShutdown       = "57P" // an operator stops the server, or ends a session
	pgTooManyClients = "53300"
	pgReadOnly       = "25006" // the server became a standby
)

// mapErr turns the drivers' errors into the store's: errUnique, errReference; sql.ErrNoRows and everything else stay as they
// are. The driver's error remains in the chain, which is how Do sees that a transaction is worth repeating.
func mapErr(err error) error {
	if err == nil {
		return nil
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case pgUnique:
			return errUnique.Wrap(err)
		case pgForeignKey:
			return errReference.Wrap(err)
		}
		if isLost(err) {
			return errLost.Wrap(err)
		}
		return fmt.Errorf("bunstore: %w", err)
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		if lite.Code()&0xff == sqlitelib.SQLITE_BUSY { // and its extended codes
			return errBusy.Wrap(err)
		}
		switch lite.Code() {
		case sqlitelib.SQLITE_CONSTRAINT_UNIQUE, sqlitelib.SQLITE_CONSTRAINT_PRIMARYKEY, sqlitelib.SQLITE_CONSTRAINT_ROWID:
			return errUnique.Wrap(err)
		case sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY:
			return errReference.Wrap(err)
		}
		return fmt.Errorf("bunstore: %w", err)
	}
	if isLost(err) {
		return errLost.Wrap(err)
	}
	return err
}

// isLost reports whether err says that the database cannot be reached, rather than anything about a statement.
func isLost(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // the caller's own doing
	}
	if _, ok := fault.As(err); ok {
		return false
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pg.Code, pgConnection) || strings.HasPrefix(pg.Code, pgShutdown) || pg.Code == pgTooManyClients ||
			pg.Code == pgReadOnly
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}

// isUnique reports whether err is a violated unique index or primary key, mapped or not.
func isUnique(err error) bool { return errors.Is(mapErr(err), errUnique) }

// isRetryable reports whether the same transaction may succeed when it runs again.
func isRetryable(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == pgSerialization || pg.Code == pgDeadlock)
}
