package sqltx

import (
	"context"
	"database/sql/driver"
	"fmt"
)

const (
	// maxStatements is how many statements one connection keeps. A program has fewer, apart from those with lists in them.
	maxStatements = 256
	// maxBareStatement is the longest statement without arguments that is kept, in bytes: "RELEASE closure" is, and a statement
	// that has its arguments written into it, and will not come again, is not.
	maxBareStatement = 32
)

// statementConnector opens connections that keep the statements which they have prepared. SQLite's driver would parse and plan
// each one every time, which takes longer than most of them run.
type statementConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c statementConnector) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	conn, ok := dc.(sqliteConn)
	if !ok {
		_ = dc.Close()
		return nil, fmt.Errorf("sqltx: connections of type %T lack what the pool needs", dc)
	}
	return &statementConn{sqliteConn: conn, idle: make(map[string]sqliteStmt)}, nil
}

// sqliteConn, sqliteStmt and sqliteRows are what the driver's connections, statements and rows can do.
type (
	sqliteConn interface {
		driver.Conn
		driver.ConnBeginTx
		driver.ConnPrepareContext
		driver.ExecerContext
		driver.QueryerContext
		driver.Pinger
		driver.SessionResetter
		driver.Validator
	}
	sqliteStmt interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	sqliteRows interface {
		driver.Rows
		driver.RowsColumnTypeDatabaseTypeName
		driver.RowsColumnTypeLength
		driver.RowsColumnTypeNullable
		driver.RowsColumnTypePrecisionScale
		driver.RowsColumnTypeScanType
	}
)

// statementConn is a connection and its statements. database/sql sees to it that it is used by one goroutine at a time.
type statementConn struct {
	sqliteConn

	// idle holds the statements that are not in use. A query inside a loop over the rows of the same query finds it gone and
	// prepares another.
	idle   map[string]sqliteStmt
	closed bool
}

func kept(query string, args []driver.NamedValue) bool {
	return len(args) > 0 || len(query) <= maxBareStatement
}

// take returns a statement that nobody uses.
func (c *statementConn) take(ctx context.Context, query string) (sqliteStmt, error) {
	if stmt, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return stmt, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	stmt, ok := prepared.(sqliteStmt)
	if !ok {
		_ = prepared.Close()
		return nil, fmt.Errorf("sqltx: statements of type %T cannot be run with a context", prepared)
	}
	return stmt, nil
}

// put takes a statement back.
func (c *statementConn) put(query string, stmt sqliteStmt) error {
	if _, twin := c.idle[query]; twin || c.closed {
		return stmt.Close()
	}
	if len(c.idle) >= maxStatements {
		for other, victim := range c.idle { // whichever comes first
			delete(c.idle, other)
			if err := victim.Close(); err != nil {
				return err
			}
			break
		}
	}
	c.idle[query] = stmt
	return nil
}

// ExecContext implements driver.ExecerContext.
func (c *statementConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !kept(query, args) {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	stmt, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	res, err := stmt.ExecContext(ctx, args)
	if err != nil {
		_ = stmt.Close()
		return nil, err
	}
	return res, c.put(query, stmt)
}

// QueryContext implements driver.QueryerContext.
func (c *statementConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !kept(query, args) {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	stmt, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args)
	if err != nil {
		_ = stmt.Close()
		return nil, err
	}
	r, ok := rows.(sqliteRows)
	if !ok {
		_ = rows.Close()
		_ = stmt.Close()
		return nil, fmt.Errorf("sqltx: rows of type %T do not know their columns", rows)
	}
	return &statementRows{sqliteRows: r, conn: c, query: query, stmt: stmt}, nil
}

// Close implements driver.Conn.
func (c *statementConn) Close() error {
	c.closed = true
	for query, stmt := range c.idle {
		delete(c.idle, query)
		_ = stmt.Close()
	}
	return c.sqliteConn.Close()
}

// statementRows gives its statement back when it is closed.
type statementRows struct {
	sqliteRows

	conn  *statementConn
	query string
	stmt  sqliteStmt
}

// Close implements driver.Rows.
func (r *statementRows) Close() error {
	if r.stmt == nil {
		return nil
	}
	stmt := r.stmt
	r.stmt = nil
	if err := r.sqliteRows.Close(); err != nil {
		_ = stmt.Close()
		return err
	}
	return r.conn.put(r.query, stmt)
}
