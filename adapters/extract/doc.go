// Package extract reads Markdown, HTML, plain text and PDF files, and cuts them where their structure says.
//
// Readers of strangers' files can be made to loop and to eat memory. So a document is read by a process of its own: the server's program,
// started again and taken over by this package's init, with a limit on memory and time, and ended when the caller has gone.
package extract
